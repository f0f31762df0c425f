"""JSON files that every program can read: no NaN, readable lines, never half written, and read with limits."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import read_bytes, shown, write_text

LARGEST_BYTES = 64_000_000
"""A longer JSON file is refused: the largest that this program writes, the record of a large archive, has a tenth."""


class InvalidJson(UserError):
    """A file that is no JSON, or that nobody should parse."""


def to_json(value: Any) -> str:
    """Indented JSON text of plain values; numpy numbers become plain ones, NaN and infinity become null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Writes ``to_json(value)`` to ``path``, whole or not at all; raises OSError."""
    write_text(path, to_json(value))


def read_json(path: Path) -> Any:
    """The value in the JSON file ``path``.

    Raises InvalidJson for what is no JSON, is nested too deeply or is not UTF-8, UserError where ``path`` is no plain
    file or too large, OSError where it is missing or may not be read.
    """
    return parse_json(read_bytes(path, at_most=LARGEST_BYTES), shown(path.name))


def parse_json(data: bytes | str, name: str) -> Any:
    """The value of the JSON text ``data``; raises InvalidJson, with ``name`` in its message."""
    try:
        return json.loads(data.decode("utf-8-sig") if isinstance(data, bytes) else data)
    except RecursionError:
        raise InvalidJson(f"{name} is nested too deeply to be read.", "Check that it is the file you mean.") from None
    except UnicodeDecodeError as error:
        raise InvalidJson(f"{name} is not UTF-8 (byte {error.start}).", "Save it as UTF-8 text.") from None
    except ValueError as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidJson(f"{name} is not valid JSON{where}.", "Check it with a text editor.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
