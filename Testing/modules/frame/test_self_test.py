"""Reload and Test: the module's own test runs, and fails when what it looks at is broken."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable

import pytest


def test_the_self_test_passes(load_panel: Callable, module_file: pathlib.Path) -> None:
    load_panel(module_file)
    sys.modules["ALHVRSegmentation"].ALHVRSegmentationTest().runTest()


def test_the_self_test_fails_without_the_engine(load_panel: Callable, module_file: pathlib.Path,
                                                tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRLib import paths

    load_panel(module_file)
    monkeypatch.setattr(paths, "engine_root", lambda: tmp_path)
    monkeypatch.setattr(paths, "packages_folder", lambda: tmp_path)
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit(3)")
    monkeypatch.setattr(paths, "child_script", lambda: script)
    with pytest.raises(AssertionError):
        sys.modules["ALHVRSegmentation"].ALHVRSegmentationTest().runTest()
