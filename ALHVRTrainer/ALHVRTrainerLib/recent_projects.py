"""Recent projects: folders that were open here before, the last one first, in the user's own settings folder."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from alhvr.core.errors import UserError
from alhvr.core.files import read_json, write_json
from ALHVRLib import paths

MOST = 8
FILE = "recent-projects.json"


def recent() -> tuple[Path, ...]:
    """The folders that are still there."""
    return tuple(folder for folder in _remembered() if (folder / "project.json").is_file())


def last_open() -> Path | None:
    """The folder that was open when Slicer or the panel went; None where the user closed it."""
    there = recent()
    return there[0] if there and _record().get("open") is True else None


def remember(folder: Path) -> None:
    """Put a folder first, as the one that is open; what cannot be written is not remembered."""
    _write([folder, *(other for other in _remembered() if other != folder)], is_open=True)


def remember_closed() -> None:
    """No project is open, as the user wants it."""
    _write(list(_remembered()), is_open=False)


def _write(folders: list[Path], *, is_open: bool) -> None:
    with contextlib.suppress(OSError):
        paths.user_folder().mkdir(parents=True, exist_ok=True)
        write_json(paths.user_folder() / FILE, {"open": is_open, "folders": [str(path) for path in folders[:MOST]]})


def _record() -> dict[str, Any]:
    try:
        record = read_json(paths.user_folder() / FILE)
    except (OSError, UserError):
        return {}
    return record if isinstance(record, dict) else {}


def _remembered() -> tuple[Path, ...]:
    texts = _record().get("folders")
    texts = texts if isinstance(texts, list) else []
    return tuple(Path(text) for text in texts[:MOST] if isinstance(text, str) and text and "\0" not in text)
