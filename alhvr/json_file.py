"""JSON files that every program can read: no NaN, readable lines, and never half written."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np


def to_json(value: Any) -> str:
    """Indented JSON text of plain values; numpy numbers become plain ones, NaN and infinity become null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Writes ``to_json(value)`` to a temporary name beside ``path`` and moves it there."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(to_json(value), encoding="utf-8", errors="backslashreplace")
    os.replace(partial, path)


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
