"""Safe files: what is read of a folder that anybody may have made: bounded, plain files only, nothing outside it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from slicer.i18n import tr as _

MAX_JSON_BYTES = 4 << 20
MAX_JSON_DEPTH = 40
TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""What decides how deep JSON is: strings, whose brackets do not count, and brackets."""
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
UNWANTED = set('<>:"|?*\\/')
MAX_NAME = 60


class ModelError(Exception):
    """A model that cannot be used, or moved; the text is one sentence for the user."""


def read_json(data: bytes, name: str) -> dict[str, Any]:
    """The object in a JSON text of bytes; raises ModelError for another value, and for what is too large or deep."""
    require_small(data, name)
    depth = 0
    for token in TOKENS.finditer(data):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token.group(), 0)
        if depth > MAX_JSON_DEPTH:
            raise ModelError(_("{file} is nested deeper than any description of a model.").format(file=name))
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise ModelError(_("{file} is damaged: it is not valid JSON.").format(file=name)) from None
    if not isinstance(values, dict):
        raise ModelError(_("{file} is damaged: it is not a JSON object.").format(file=name))
    return values


def require_small(data: bytes, name: str) -> None:
    """Raises ModelError for bytes that are more than MAX_JSON_BYTES."""
    if len(data) > MAX_JSON_BYTES:
        raise ModelError(_("{file} is larger than any description of a model.").format(file=name))


def open_inside(root: Path, name: str) -> BinaryIO:
    """A stream of a plain file inside a folder, opened for reading in binary.

    Raises ModelError for links that lead out of the folder, and for what is no file: reading a pipe never ends.
    """
    path = Path(root) / name
    try:
        if not path.resolve(strict=True).is_relative_to(Path(root).resolve()):
            raise ModelError(_("{file} is a link that leads out of the model folder.").format(file=name))
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise ModelError(_("{file} is missing.").format(file=name)) from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise ModelError(_("{file} cannot be read: {why}.").format(file=name, why=reason(error))) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ModelError(_("{file} is not a regular file.").format(file=name))
    return os.fdopen(descriptor, "rb")


def read_inside(root: Path, name: str) -> bytes:
    """The content of a small plain file inside a folder; ModelError as by open_inside, and where it is too large."""
    with open_inside(root, name) as stream, reading(name):
        data = stream.read(MAX_JSON_BYTES + 1)
    require_small(data, name)
    return data


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns what the disk refuses while a file is read into ModelError."""
    try:
        yield
    except OSError as error:
        raise ModelError(_("{file} cannot be read: {why}.").format(file=name, why=reason(error))) from error


def reason(error: Exception) -> str:
    """Why the system refused, without the path, in lower case as a part of a sentence."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:].rstrip(".")


def is_safe_name(name: object) -> bool:
    """Whether a relative path with forward slashes stays inside its folder, on any system."""
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        return False
    return all(_is_safe_part(part) for part in name.split("/"))


def _is_safe_part(part: str) -> bool:
    if part in ("", ".", "..") or part != part.rstrip(" .") or part.split(".")[0].lower() in RESERVED:
        return False
    return not UNWANTED & set(part) and all(unicodedata.category(letter)[0] != "C" for letter in part)


def folder_name(text: object) -> str:
    """A name for a folder, made of a text that may hold anything: letters, digits, and - _ . ( ) between them."""
    text = unicodedata.normalize("NFC", str(text))
    kept = "".join(letter if letter.isalnum() or letter in "-_.() " else " " for letter in text)
    name = " ".join(kept.split())[:MAX_NAME].strip(" .")
    return name if _is_safe_part(name) else f"model {name}".strip()


def one_line(text: object, limit: int = MAX_NAME) -> str:
    """A text from a file as it may be shown: one line without invisible letters, cut where it is too long."""
    text = "".join(" " if letter.isspace() else letter for letter in str(text)[: 20 * limit])
    visible = "".join(letter for letter in text if unicodedata.category(letter)[0] != "C")
    words = " ".join(visible.split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"
