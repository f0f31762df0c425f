"""``alhvr segment --dicom-seg`` on series folders: a DICOM Segmentation beside the result, or a word why not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
import torch
from dicom_files import write_series

from alhvr.bundle.model import InferenceSettings, ModelDescription, NetworkSpec, write_model
from alhvr.cli import main
from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.data.geometry import Geometry
from alhvr.data.plan import Normalization, Plan
from alhvr.data.reading import read_label
from alhvr.formats.labels import LabelSet
from alhvr.inference.run import DicomOptions, SegmentRequest, segment
from alhvr.inference.summary import DONE_BEFORE, KEPT, SEGMENTED, SomeFailed
from alhvr.networks.group import NetworkGroup

GRID = Geometry((20, 18, 3), (0.8, 0.8, 5.0), (1.0, 2.0, 3.0), (1.0, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8))
LABELS = LabelSet.from_names({1: "left atrium", 4: "right ventricle"})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Untrained networks that nevertheless mark something of every class."""
    torch.manual_seed(0)
    spec = NetworkSpec("unet", 2, 3)
    networks = NetworkGroup.build(spec)
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


SPOILED = {"one instance UID for all": {"SOPInstanceUID": "1.2.3.4"}, "no study": {"StudyInstanceUID": None},
           "two studies": {"StudyInstanceUID": ["1.2", "1.3"]}}


def spoil(series: Path, tags: dict) -> None:
    with pydicom.config.disable_value_validation():
        for path in series.iterdir():
            dataset = pydicom.dcmread(path)
            for tag, value in tags.items():
                setattr(dataset, tag, value)
            dataset.save_as(path)


@pytest.mark.parametrize(("kind", "ending"), [("one instance UID for all", "seg.nrrd"), ("no study", "nii.gz"),
                                              ("two studies", "mha")])
def test_a_dicom_segmentation_that_cannot_be_made_costs_no_other_result(
        tmp_path: Path, model: Path, series: Path, kind: str, ending: str) -> None:
    spoil(series, SPOILED[kind])
    request = SegmentRequest(model, (series,), tmp_path / "out", dicom_seg=True, file_format=ending, regions=True)
    with pytest.raises(SomeFailed, match=f"lack a file.*series.{ending} was") as failed:
        segment(request, SilentReporter())
    (outcome,) = failed.value.result.outcomes
    whole = segment(replace(request, out=tmp_path / "other", dicom_seg=False), SilentReporter())
    assert outcome.kind == SEGMENTED and "was not written" in outcome.reason
    assert [path.name for path in outcome.files] == [path.name for path in whole.written]
    assert all(path.read_bytes() == other.read_bytes() for path, other in zip(outcome.files, whole.written, strict=True)
               if path.suffix != ".json")


@pytest.mark.parametrize("ending", ["seg.nrrd", "nii.gz"])
def test_the_next_run_makes_only_the_dicom_segmentation_that_is_missing(
        tmp_path: Path, model: Path, series: Path, ending: str) -> None:
    good = {path.name: path.read_bytes() for path in series.iterdir()}
    spoil(series, SPOILED["no study"])
    request = SegmentRequest(model, (series,), tmp_path / "out", dicom_seg=True, file_format=ending)
    with pytest.raises(SomeFailed):
        segment(request, SilentReporter())
    first = tmp_path / "out" / f"series.{ending}"
    before = first.stat()
    with pytest.raises(SomeFailed, match="has no StudyInstanceUID"):
        segment(request, SilentReporter())
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    for name, data in good.items():
        (series / name).write_bytes(data)
    segment(request, SilentReporter())
    assert pydicom.dcmread(tmp_path / "out" / "series.seg.dcm").pixel_array.sum() == (read_label(first).array > 0).sum()
    assert [outcome.kind for outcome in segment(request, SilentReporter()).outcomes] == [DONE_BEFORE]


def test_a_dicom_segmentation_asked_for_later_is_made_from_the_result(
        tmp_path: Path, model: Path, series: Path) -> None:
    request = SegmentRequest(model, (series,), tmp_path / "out")
    segment(request, SilentReporter())
    first = tmp_path / "out" / "series.seg.nrrd"
    before = first.stat()
    result = segment(replace(request, dicom_seg=True), SilentReporter())
    assert [path.name for path in result.written] == ["series.seg.nrrd", "series.seg.dcm"]
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    whole = segment(replace(request, out=tmp_path / "other", dicom_seg=True), SilentReporter()).written[1]
    here, there = (pydicom.dcmread(path) for path in (result.written[1], whole))
    assert here.PixelData == there.PixelData


def test_a_dicom_segmentation_is_not_written_over_a_file_of_somebody_else(
        tmp_path: Path, model: Path, series: Path) -> None:
    request = SegmentRequest(model, (series,), tmp_path / "out")
    segment(request, SilentReporter())
    (tmp_path / "out" / "series.seg.dcm").write_bytes(b"mine")
    (outcome,) = segment(replace(request, dicom_seg=True), SilentReporter()).outcomes
    assert outcome.kind == KEPT and (tmp_path / "out" / "series.seg.dcm").read_bytes() == b"mine"


def test_a_scan_whose_dicom_segmentation_fails_does_not_stop_the_others(
        tmp_path: Path, model: Path, series: Path) -> None:
    shutil.copytree(series, series.with_name("t"))
    spoil(series, SPOILED["one instance UID for all"])
    with pytest.raises(SomeFailed, match="1 of 2 scans were segmented, but lack a file") as failed:
        segment(SegmentRequest(model, (series.parent,), tmp_path / "out", dicom_seg=True), SilentReporter())
    assert [bool(outcome.reason) for outcome in failed.value.result.outcomes] == [True, False]
    assert (tmp_path / "out" / "t.seg.dcm").exists() and (tmp_path / "out" / "series.seg.nrrd").exists()


def test_the_command_ends_with_2_and_a_line_where_the_result_is(
        tmp_path: Path, model: Path, series: Path, capsys: pytest.CaptureFixture) -> None:
    spoil(series, SPOILED["one instance UID for all"])
    code = main(["segment", str(series), "--model", str(model), "--out", str(tmp_path / "out"), "--dicom-seg"])
    told = capsys.readouterr()
    assert code == 2 and (tmp_path / "out" / "series.seg.nrrd").exists()
    last = told.err.strip().splitlines()[-1]
    assert "out/series.seg.nrrd was" in last and "all 3 images have one SOPInstanceUID" in last


ROWS = b"\x28\x00\x10\x00"
BAD_SERIES = {
    "position": lambda b: b.replace(b"1.000000", b"\x01.000000", 1),
    "kind of value": lambda b: b.replace(ROWS + b"US", ROWS + b"\x55\xd3"),
}


@pytest.mark.parametrize("kind", ["position", "kind of value"])
def test_a_bad_series_among_good_ones_costs_only_itself(tmp_path: Path, model: Path, series: Path, kind: str) -> None:
    for name in ("bad", "z"):
        shutil.copytree(series, series.with_name(name))
    for path in series.with_name("bad").iterdir():
        path.write_bytes(BAD_SERIES[kind](path.read_bytes()))
    with pytest.raises(SomeFailed, match="1 of 3 inputs could not be segmented; the first: bad holds no DICOM image"):
        segment(SegmentRequest(model, (series.parent,), tmp_path / "out"), SilentReporter())
    assert (tmp_path / "out" / "series.seg.nrrd").exists() and (tmp_path / "out" / "z.seg.nrrd").exists()


def test_results_written_into_the_study_do_not_hinder_the_next_run(tmp_path: Path, model: Path, series: Path) -> None:
    request = SegmentRequest(model, (series,), series, dicom_seg=True)
    first = segment(request, SilentReporter()).written[0].read_bytes()
    shutil.move(series / "series.seg.nrrd", tmp_path / "first.seg.nrrd")
    assert segment(request, SilentReporter()).written[0].read_bytes() == first


def test_segmenting_without_dicom_seg_loads_no_highdicom() -> None:
    script = "import sys, alhvr.inference.run; print('highdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "False"


def test_everything_that_may_be_asked_of_dicom_is_written_beside_the_result(
        tmp_path: Path, model: Path, series: Path) -> None:
    words = ["segment", str(series), "--model", str(model), "--out", str(tmp_path / "out"), "--regions",
             "--dicom-kind", "fractional", "--dicom-regions", "--rtstruct", "--dicom-report", "--dicom-creator",
             "Doe^Jo", "--dicom-series-number", "77", "--dicom-series-description", "heart, first try"]
    assert main(words) == 0
    objects = {path.name: pydicom.dcmread(path) for path in (tmp_path / "out").glob("*.dcm")}
    assert set(objects) == {"series.seg.dcm", "series.regions.seg.dcm", "series.rtstruct.dcm", "series.sr.dcm"}
    seg = objects["series.seg.dcm"]
    assert (seg.SeriesNumber, seg.SeriesDescription, seg.ContentCreatorName) == (77, "heart, first try", "Doe^Jo")
    assert seg.SegmentationType == "FRACTIONAL" and 255 / 3 < seg.pixel_array.max() <= 255
    assert "fusion" not in seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters
    assert len({item.SeriesInstanceUID for item in objects.values()}) == 4


def test_contours_asked_for_later_are_made_from_the_result(tmp_path: Path, model: Path, series: Path) -> None:
    request = SegmentRequest(model, (series,), tmp_path / "out", dicom_seg=True)
    before = segment(request, SilentReporter()).written[0].stat()
    more = replace(request, dicom=DicomOptions(rtstruct=True))
    assert [path.name for path in segment(more, SilentReporter()).written] == [
        "series.seg.nrrd", "series.seg.dcm", "series.rtstruct.dcm"]
    assert (tmp_path / "out" / "series.seg.nrrd").stat().st_mtime_ns == before.st_mtime_ns
    assert [outcome.kind for outcome in segment(more, SilentReporter()).outcomes] == [DONE_BEFORE]


@pytest.mark.parametrize(("words", "seen"), [
    (["--dicom-regions"], "need the regions"), (["--dicom-creator", "a\\b"], "the content creator is"),
    (["--dicom-series-number", "-1"], "the series number is -1"),
    (["--dicom-series-description", "x" * 65], "the series description is"),
])
def test_what_dicom_does_not_hold_is_refused_before_any_work(tmp_path, model, series, capsys, words, seen) -> None:
    code = main(["segment", str(series), "--model", str(model), "--out", str(tmp_path / "out"), *words])
    assert code == 2 and seen in capsys.readouterr().err and not (tmp_path / "out").exists()
