"""Case names and listed paths: results are named after a case, and a file of the folder may name any other file.

Both come from people whom nobody here knows. A name that could lead out of the folder of results is refused, and a path
is followed only to a plain file of a kind that is read, or to a folder. A path may lead out of the folder (scans often
lie on another disk); that is said once.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path, PureWindowsPath

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.dicom_file import DICOM_ENDINGS, is_dicom_file
from alhvr.data.h5_file import H5_ENDINGS
from alhvr.data.image_2d import PICTURE_ENDINGS
from alhvr.data.reading import ENDINGS

LONGEST_NAME_BYTES = 200
"""Result files are called after the case, and a file name has 255 bytes at most."""
READ_ENDINGS = (*ENDINGS, *DICOM_ENDINGS, *PICTURE_ENDINGS, *H5_ENDINGS)
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of writing, so that a name is not what it looks like."""
_SHOWN = 3


def name_fault(name: str) -> str:
    """Why no result can be named ``name``, as the end of a sentence that begins with the name; empty where one can."""
    if not name.strip() or name in (".", ".."):
        return "is empty" if not name.strip() else "is no name of a file"
    if "/" in name or "\\" in name or PureWindowsPath(name).drive:
        return "is a path; a name of a file without folders is needed"
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") or letter in _TURNING for letter in name):
        return "has control characters or marks that turn the writing"
    try:
        n_bytes = len(os.fsencode(name))
    except UnicodeEncodeError:
        return "has letters that no file name can hold"
    if n_bytes > LONGEST_NAME_BYTES:
        return f"has {n_bytes} bytes; {LONGEST_NAME_BYTES} at most are accepted"
    return ""


def require_case_name(source: str, name: str) -> None:
    """Raises UserError where the case ``name`` that ``source`` lists cannot be the name of a result."""
    fault = name_fault(name)
    if fault:
        raise UserError(f'{source}: the case name "{shown(name)[:LONGEST_NAME_BYTES]}" {fault}.',
                        "Results are named after their case: call it like a file, such as patient-01.")


def require_result_name(name: str) -> None:
    """Raises UserError where a result called ``name`` would not lie directly in its folder."""
    if not name or name in (".", "..") or "\0" in name or Path(name).name != name or PureWindowsPath(name).name != name:
        raise UserError(f'The result "{shown(name)}" would lie outside the folder of results.', "Rename the scan.")


def say_alike(names: Iterable[str]) -> tuple[str, ...]:
    """A sentence where two names differ only in upper and lower case or in how Unicode writes them."""
    first: dict[str, str] = {}
    pairs = []
    for name in sorted(names):
        other = first.setdefault(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()), name)
        if other is not name:
            pairs.append(f"{shown(other)} and {shown(name)}")
    if not pairs:
        return ()
    more = f" and {len(pairs) - _SHOWN} more pairs" if len(pairs) > _SHOWN else ""
    return (f"Names that differ only in upper and lower case or in the form of their letters: "
            f"{', '.join(pairs[:_SHOWN])}{more}. Their results would be one file on macOS and Windows: rename them.",)


def require_image_path(source: str, path: Path) -> None:
    """Raises UserError where the ``path`` that ``source`` lists is there, but is nothing that holds an image."""
    if path.is_dir() or not os.path.lexists(path):
        return
    if not path.name.lower().endswith(READ_ENDINGS) and not is_dicom_file(path):
        raise UserError(f"{source} lists {shown(path.name)}, which is of no kind that is read.",
                        f"Accepted: {', '.join(READ_ENDINGS)}, or a folder with a DICOM series.")


def say_outside(source: str, folder: Path, paths: Mapping[str, Path]) -> tuple[str, ...]:
    """A sentence on those of the ``paths``, by what ``source`` calls them, that lie outside ``folder``."""
    base = os.path.join(os.path.abspath(folder), "")
    out = sorted(text for text, path in paths.items() if not os.path.abspath(path).startswith(base))
    if not out:
        return ()
    more = " and more" if len(out) > _SHOWN else ""
    return (f"{source} in {shown(folder.name)} takes {len(out)} "
            f"{'file' if len(out) == 1 else 'files'} from outside that folder: "
            f"{', '.join(shown(text) for text in out[:_SHOWN])}{more}.",)

