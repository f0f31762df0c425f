"""For tests of the child process: commands of the real engine, or of one that the test writes."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from child_watch import Told, write_engine


@pytest.fixture
def child(slicer_app: object, own_settings: pathlib.Path, tmp_path: pathlib.Path) -> Callable[..., Told]:
    """child("segment", ..., around=...) is a child process, not yet started."""
    return lambda *arguments, **options: Told(list(arguments), tmp_path / "work", **options)


@pytest.fixture
def engine(child: Callable[..., Told], tmp_path: pathlib.Path,
           monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """engine(body) is a child whose command does ``body``."""
    def write(body: str, *arguments: str) -> Told:
        from ALHVRLib import paths

        root = write_engine(tmp_path, body)
        monkeypatch.setattr(paths, "engine_root", lambda: root)
        return child(*arguments)

    return write
