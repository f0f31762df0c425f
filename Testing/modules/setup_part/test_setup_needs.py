"""What is missing is found without loading anything."""

from __future__ import annotations

import pathlib
import sys

import pytest


def test_a_bare_slicer_cannot_segment(bare_slicer: pathlib.Path) -> None:
    from ALHVRLib.requirements import ONNXRUNTIME

    assert not ONNXRUNTIME.is_met()


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_package_among_ours_is_enough(bare_slicer: pathlib.Path, name: str) -> None:
    from ALHVRLib import paths
    from ALHVRLib.requirements import ONNXRUNTIME

    (paths.packages_folder() / name).mkdir(parents=True)
    assert not ONNXRUNTIME.is_met()
    (paths.packages_folder() / name / "__init__.py").write_text("raise RuntimeError('loaded')")
    assert ONNXRUNTIME.is_met()


def test_a_package_of_slicers_own_is_enough_and_not_loaded(own_settings: pathlib.Path, tmp_path: pathlib.Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRLib import requirements

    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "__init__.py").write_text("raise RuntimeError('loaded')")
    (tmp_path / "empty").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert requirements.in_slicer("there")
    assert "there" not in sys.modules
    assert not requirements.in_slicer("empty")
    assert not requirements.in_slicer("nowhere")
