"""Networks that give NaN or infinity are refused with one line by every backend; there is never an empty result."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from command import alhvr
from model_worlds import engine_model, sign
from onnx import numpy_helper
from tiny_runs import make_scan, write_scan

from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.inference.results_index import FILE_NAME
from alhvr.inference.run import SegmentRequest, segment

BACKENDS = ("onnxruntime", "openvino", "torch")
GRAPHS = ("models/a_encoder.onnx", "models/b_decoder.onnx")
WEIGHTS = "models/model.pt"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return engine_model(tmp_path / "model")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path / "one.nii.gz", make_scan(1)[0])


def spoil(model: Path, value: float) -> None:
    """One weight of each network, in every file of them, becomes ``value``."""
    for name in GRAPHS:
        graph = onnx.load(model / name)
        tensor = next(each for each in graph.graph.initializer if len(each.dims) == 4)
        array = numpy_helper.to_array(tensor).copy()
        array.flat[0] = value
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        onnx.save(graph, model / name)
    flat = torch.load(model / WEIGHTS, weights_only=True)
    for network in ("a.", "b."):
        next(each for key, each in flat.items() if key.startswith(network) and each.ndim == 4).view(-1)[0] = value
    torch.save(flat, model / WEIGHTS)
    sign(model, *GRAPHS, WEIGHTS)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused_before_a_scan_is_read(model: Path, scan: Path, tmp_path: Path,
                                                                        backend: str, value: float) -> None:
    spoil(model, value)
    done = alhvr("segment", scan, "--model", model, "--out", tmp_path / "out", "--backend", backend, "--device", "cpu")
    done.refused("NaN or infinity", "no numbers")
    assert not list((tmp_path / "out").glob("one*"))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("regions", [False, True])
def test_weights_whose_sums_are_no_numbers_are_refused_at_the_first_window(
        model: Path, scan: Path, tmp_path: Path, backend: str, regions: bool) -> None:
    spoil(model, 3e38)
    request = SegmentRequest(model, (scan,), tmp_path / "out", backend=backend, device="cpu", regions=regions)
    with pytest.raises(UserError, match="give NaN or infinity in place of numbers"):
        segment(request, SilentReporter())
    assert not list((tmp_path / "out").glob("one*"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_record_names_backend_and_arithmetic_and_another_finds_the_scan_done(
        model: Path, scan: Path, tmp_path: Path, backend: str) -> None:
    out = tmp_path / "out"
    segment(SegmentRequest(model, (scan,), out, backend=backend, device="cpu"), SilentReporter())
    (entry,) = json.loads((out / FILE_NAME).read_text())["results"].values()
    assert entry["ran_with"] in {f"{backend} in fp32", "openvino in bf16"} and backend in entry["ran_with"]
    before = {path.name: os.stat(path).st_mtime_ns for path in out.iterdir()}
    for other in BACKENDS:
        result = segment(SegmentRequest(model, (scan,), out, backend=other, device="cpu"), SilentReporter())
        assert [outcome.kind for outcome in result.outcomes] == ["done before"]
    assert before == {path.name: os.stat(path).st_mtime_ns for path in out.iterdir()}


def test_a_record_from_before_arithmetic_was_recorded_is_still_valid(model: Path, scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    request = SegmentRequest(model, (scan,), out, device="cpu")
    segment(request, SilentReporter())
    values = json.loads((out / FILE_NAME).read_text())
    for entry in values["results"].values():
        del entry["ran_with"]
    (out / FILE_NAME).write_text(json.dumps(values))
    assert [outcome.kind for outcome in segment(request, SilentReporter()).outcomes] == ["done before"]
