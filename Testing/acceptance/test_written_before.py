"""What an older version wrote is read by this one: a model, a run that was stopped, and the cache of a check.

Testing/fixtures/written_2026_11.zip was written by version 0.1.0 of 29 November 2026, before its files had their
present rooms: three labelled scans, an archive of two, a run of six steps that was stopped after the second, the model
of the same run without a stop (``expected.json`` has sums of its weights), and the cache of its check.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from support import ROOT
from tiny_cases import Listener

from alhvr.bundle.model import read_model
from alhvr.checking.context import RunContext
from alhvr.checking.run import Folders, check
from alhvr.inference.run import SegmentRequest, segment
from alhvr.training.run import TrainRequest, train
from alhvr.training.run_folder import load_checkpoint

WRITTEN = ROOT / "Testing" / "fixtures" / "written_2026_11.zip"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """The folder of then, at its new place."""
    with zipfile.ZipFile(WRITTEN) as archive:
        archive.extractall(tmp_path)
    for path in (tmp_path / "run").rglob("*"):
        if path.suffix in (".json", ".jsonl", ".txt"):
            path.write_text(path.read_text().replace("@WORLD@", tmp_path.as_posix()))
    return tmp_path


def test_a_model_of_then_segments(world: Path) -> None:
    model = read_model(world / "model")
    assert model.description.network.names == ("a", "b") and len(model.graph_files()) == 4
    for backend in ("onnxruntime", "torch"):
        out = world / backend
        request = SegmentRequest(world / "model", (world / "archive" / "scan0.nii.gz",), out, regions=True,
                                 backend=backend)
        assert [one.kind for one in segment(request, Listener()).outcomes] == ["segmented"]


def test_a_run_of_then_goes_on_to_the_same_end(world: Path) -> None:
    listener = Listener()
    train(TrainRequest(labeled=None, out=world / "run", resume=True), listener)
    saved = load_checkpoint(world / "run" / "checkpoints" / "last.pt")
    expected = json.loads((world / "expected.json").read_text())
    assert saved["loop"]["iteration"] == expected["iterations"] and listener.warnings == []
    sums = {name: float(saved["average"][name].double().sum()) for name in expected["average_sums"]}
    assert sums == pytest.approx(expected["average_sums"], rel=1e-3, abs=1e-3)


def test_a_check_examines_anew_what_one_of_another_kind_knew(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALHVR_CACHE", str(world / "cache"))
    found = [check(Folders(world / "labeled", world / "archive"), RunContext()) for _ in range(2)]
    assert [(one.n_cached, len(one.facts)) for one in found] == [(0, 5), (5, 5)]
