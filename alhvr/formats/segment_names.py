"""Segment names: what a label file of 3D Slicer says that its values mean, from the header alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, shown
from alhvr.formats.labels import MAX_VALUE, clean_name, folded

_ENDINGS = (".nrrd", ".nhdr")
_HEADER_BYTES = 16 * 2**20
"""A longer header is not looked at: that of a thousand segments has half a megabyte."""
_KEY = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer):=(.*)", re.DOTALL)
_VALUE = re.compile(r"[0-9]{1,5}")
_ESCAPED = re.compile(r"\\([n\\])")


@dataclass(frozen=True)
class _Segment:
    name: str
    value: int
    layer: str


def read_segment_names(path: Path) -> dict[int, str]:
    """Label value to segment name, rising; empty for a file that names none or is no NRRD.

    Raises UserError where two segments have one value or one name, a value is no label value, or a segment lies in
    another layer than the first; OSError where the file cannot be opened.
    """
    found: dict[int, str] = {}
    by_name: dict[str, int] = {}
    for segment in _segments(path):
        other = found.get(segment.value)
        if other is not None:
            raise UserError(f'{shown(path.name)} has two segments of value {segment.value}: "{shown(other)}" and '
                            f'"{shown(segment.name)}".', "Give each segment a value of its own, or delete one.")
        if segment.layer.strip() not in ("", "0"):
            raise UserError(f'{shown(path.name)}: the segment "{shown(segment.name)}" is said to lie in layer '
                            f"{shown(segment.layer[:9])}; one layer, 0, is read.",
                            "In Slicer, export it to a labelmap, which gives each voxel to one segment.")
        twin = by_name.setdefault(folded(segment.name), segment.value)
        if twin != segment.value:
            raise UserError(f'{shown(path.name)} has two segments called "{shown(segment.name)}": values {twin} and '
                            f"{segment.value}.", "Rename one of them, or merge them.")
        found[segment.value] = segment.name
    return dict(sorted(found.items()))


def _segments(path: Path) -> Iterator[_Segment]:
    """The segments that have a name; raises UserError for a value that no label can have."""
    keys: dict[str, dict[str, str]] = {}
    for line in _header_lines(path):
        match = _KEY.match(line)
        if match:
            keys.setdefault(match[1], {})[match[2]] = match[3]
    for entry in keys.values():
        name = clean_name(entry.get("Name", ""))
        # Slicer takes 1 for the value that is not given, as in the files of its older versions.
        text = entry.get("LabelValue", "1" if len(keys) == 1 else "").strip()
        if not name or not text:
            continue
        if not _VALUE.fullmatch(text) or not 1 <= int(text) <= MAX_VALUE:
            raise UserError(f'{shown(path.name)}: the segment "{shown(name)}" has the value {shown(text[:20])!r}; '
                            f"1 to {MAX_VALUE} is accepted.", "Save the segmentation again in Slicer.")
        yield _Segment(name, int(text), entry.get("Layer", ""))


def _header_lines(path: Path) -> list[str]:
    """The lines of a NRRD header, escaped line breaks restored; none for another kind of file."""
    if not path.name.lower().endswith(_ENDINGS):
        return []
    with open_plain(path) as file:
        if file.read(4) != b"NRRD":
            return []
        lines, left = [], _HEADER_BYTES
        while left > 0:
            line = file.readline(left)
            left -= len(line)
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if not text:
                return lines
            lines.append(_ESCAPED.sub(lambda found: "\n" if found[1] == "n" else "\\", text))
    return []
