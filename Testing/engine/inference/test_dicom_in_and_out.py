"""``alhvr segment --dicom-seg`` on series folders: a DICOM Segmentation beside the result, or a word why not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
import torch
from dicom_files import write_series

from alhvr.bundle import InferenceSettings, ModelDescription, NetworkSpec, write_model
from alhvr.data.geometry import Geometry
from alhvr.data.labels import LabelSet
from alhvr.data.plan import Normalization, Plan
from alhvr.data.reading import read_label
from alhvr.errors import UserError
from alhvr.inference.run import SegmentRequest, segment
from alhvr.networks.dual import DualNetwork
from alhvr.progress import SilentReporter

GRID = Geometry((20, 18, 3), (0.8, 0.8, 5.0), (1.0, 2.0, 3.0), (1.0, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8))
LABELS = LabelSet.from_names({1: "left atrium", 4: "right ventricle"})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Untrained networks that nevertheless mark something of every class."""
    torch.manual_seed(0)
    spec = NetworkSpec("unet", 2, 3)
    networks = DualNetwork.build(spec)
    plan = Plan(2, "unet", None, None, (32, 32), 2, 1, "MR", Normalization("zscore"))
    description = ModelDescription("small", plan, LABELS, spec, InferenceSettings())
    write_model(tmp_path / "model", description, {"a": networks.a.state_dict(), "b": networks.b.state_dict()})
    return tmp_path / "model"


@pytest.fixture
def series(tmp_path: Path) -> Path:
    voxels = np.random.default_rng(0).integers(0, 900, GRID.shape_kji).astype(np.int16)
    write_series(tmp_path / "study" / "series", voxels, GRID)
    return tmp_path / "study" / "series"


def test_the_dicom_segmentation_holds_the_voxels_of_the_other_file(tmp_path: Path, model: Path, series: Path) -> None:
    result = segment(SegmentRequest(model, (series,), tmp_path / "out", dicom_seg=True), SilentReporter())
    assert [path.name for path in result.written] == ["series.seg.nrrd", "series.seg.dcm"]
    values, counts = np.unique(read_label(result.written[0]).array, return_counts=True)
    expected = {LABELS.names[LABELS.values.index(v)]: n for v, n in zip(values, counts, strict=True) if v}
    dataset = pydicom.dcmread(result.written[1])
    assert {item.SegmentLabel for item in dataset.SegmentSequence} == set(expected)
    assert dataset.pixel_array.sum() == sum(expected.values()) > 0


def test_a_scan_that_is_no_dicom_is_refused_before_any_work(tmp_path: Path, model: Path) -> None:
    scan = tmp_path / "scan.nrrd"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.eye(16, dtype=np.float32)[None].repeat(3, 0)), str(scan))
    with pytest.raises(UserError, match=r"scan\.nrrd is no DICOM series.*leave out --dicom-seg"):
        segment(SegmentRequest(model, (scan,), tmp_path / "out", dicom_seg=True), SilentReporter())
    assert not list((tmp_path / "out").iterdir())


def test_results_written_into_the_study_do_not_hinder_the_next_run(tmp_path: Path, model: Path, series: Path) -> None:
    request = SegmentRequest(model, (series,), series, dicom_seg=True)
    first = segment(request, SilentReporter()).written[0].read_bytes()
    shutil.move(series / "series.seg.nrrd", tmp_path / "first.seg.nrrd")
    assert segment(request, SilentReporter()).written[0].read_bytes() == first


def test_segmenting_without_dicom_seg_loads_no_highdicom() -> None:
    script = "import sys, alhvr.inference.run; print('highdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "False"
