"""Moving: puts an unpacked package in its place; when that fails, everything is as before."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from ALHVRSegmentationLib.setup.needs import PACKAGE

TRIES, PAUSE_S = 4, 0.2


def move_in(new: Path, target: Path, aside: Path) -> None:
    """Move the package from the folder ``new`` to ``target`` on the same disk; an older one goes to ``aside``.

    Raises OSError where that is not possible; ``target`` is then as it was.
    """
    made = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    aside.mkdir()
    moves = [(old, aside / old.name) for old in _parts(target)]
    moves += [(part, target / part.name) for part in _parts(new)]
    done = []
    try:
        for source, place in moves:
            _rename(source, place)
            done.append((source, place))
    except OSError:
        for source, place in reversed(done):
            _rename(place, source)
        if made:
            with contextlib.suppress(OSError):
                target.rmdir()
        raise


def _rename(source: Path, place: Path) -> None:
    """Windows refuses for a moment while a virus scanner reads new files."""
    for _try in range(TRIES):
        with contextlib.suppress(PermissionError):
            os.rename(source, place)
            return
        time.sleep(PAUSE_S)
    os.rename(source, place)


def version_in(folder: Path) -> str:
    """The version of the package in a folder; "" when it cannot be told."""
    names = [path.name for path in folder.glob(f"{PACKAGE}-*.dist-info")]
    return names[0].removeprefix(f"{PACKAGE}-").removesuffix(".dist-info") if names else ""


def _parts(folder: Path) -> list[Path]:
    """The package and what tells of its version; not the commands that come with it."""
    return [path for path in (folder / PACKAGE, *folder.glob(f"{PACKAGE}-*.dist-info")) if path.exists()]
