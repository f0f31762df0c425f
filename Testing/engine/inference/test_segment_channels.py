"""Segmenting scans of several channels: wherever the files lie, all are found, and what is missing is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_cases import Listener, tiny_plan, with_channels
from tiny_runs import make_scan, write_scan
from untrained import write_untrained

from alhvr.bundle.model import read_model
from alhvr.core.errors import UserError
from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe, read_label, read_scan
from alhvr.inference.backends import choose_backend
from alhvr.inference.predictor import Predictor
from alhvr.inference.request import SegmentRequest
from alhvr.inference.run import SegmentResult, segment
from alhvr.inference.summary import DONE_BEFORE, SEGMENTED, SomeFailed

SMALLER = Geometry((20, 20, 6), (2.0, 2.0, 6.0), (-28.0, 25.0, 5.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained(tmp_path_factory.mktemp("model") / "m", channels=("T1", "FLAIR"))


@pytest.fixture(scope="module")
def one_channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained(tmp_path_factory.mktemp("model") / "one")


def write_pair(folder: Path, name: str, seed: int = 0) -> list[Path]:
    return [write_scan(folder / f"{name}_{n:04d}.nii.gz", make_scan(2 * seed + n)[0]) for n in range(2)]


def run(model: Path, out: Path, *inputs: Path, reporter: Listener | None = None, **options) -> SegmentResult:
    return segment(SegmentRequest(model, tuple(inputs), out, **options), reporter or Listener())


def voxels(path: Path) -> np.ndarray:
    return read_scan(path).array


def test_one_file_is_segmented_with_the_channels_beside_it_and_named_without_number(model, tmp_path: Path) -> None:
    first, second = write_pair(tmp_path / "in", "p 1")
    result, sure, *_ = run(model, tmp_path / "a", first, regions=True).written
    assert (result.name, sure.name) == ("p 1.seg.nrrd", "p 1.confidence-a.nrrd")
    assert read_label(result).geometry.difference(probe(first).geometry, 1e-4) == ""
    same = run(model, tmp_path / "b", second, first, regions=True).written[1]
    assert np.array_equal(voxels(sure), voxels(same))
    write_scan(second, make_scan(11)[0])
    changed = run(model, tmp_path / "c", first, regions=True).written[1]
    assert not np.array_equal(voxels(sure), voxels(changed))


def test_a_folder_gives_one_result_a_case_and_fails_those_without_a_channel_by_name(model, tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b", "c")):
        write_pair(tmp_path / "in", name, seed=number)
    (tmp_path / "in" / "b_0001.nii.gz").unlink()
    reporter = Listener()
    with pytest.raises(SomeFailed, match="1 of 3 inputs could not be segmented"):
        run(model, tmp_path / "out", tmp_path / "in", reporter=reporter)
    assert [path.name for path in sorted((tmp_path / "out").glob("*.seg.nrrd"))] == ["a.seg.nrrd", "c.seg.nrrd"]
    assert reporter.warnings == ['b was not segmented: The case "b" lacks the channel b_0001.nii.gz (FLAIR).']


def test_cases_json_tells_where_the_channels_are(model, tmp_path: Path) -> None:
    images = write_pair(tmp_path / "else", "x")
    told = {"channels": ["T1", "FLAIR"], "cases": {"patient 7": {"images": [str(path) for path in images]}}}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cases.json").write_text(json.dumps(told))
    for place in (tmp_path / "in", tmp_path / "in" / "cases.json"):
        run(model, tmp_path / place.name, place)
        assert (tmp_path / place.name / "patient 7.seg.nrrd").exists()


def test_a_channel_on_another_grid_is_resampled_and_said(model, tmp_path: Path) -> None:
    first = write_pair(tmp_path / "in", "p")[0]
    write_scan(tmp_path / "in" / "p_0001.nii.gz", make_scan(7, (6, 20, 20))[0][:, :20, :20], SMALLER)
    reporter = Listener()
    run(model, tmp_path / "out", first, reporter=reporter)
    (warning,) = reporter.warnings
    assert warning.startswith("p: p_0001.nii.gz lies on another grid than p_0000.nii.gz") and "resampled" in warning


@pytest.mark.parametrize(("name", "words"), [
    ("scan.nii.gz", r"scan.nii.gz is one channel; the model needs 2 channels \(T1, FLAIR\).*scan_0000"),
    ("scan_0000.nii.gz", r'"scan" lacks the channel scan_0001.nii.gz \(FLAIR\)'),
    ("scan_0002.nii.gz", r'"scan" lacks the channel scan_0000.nii.gz \(T1\)')])
def test_a_single_file_without_its_channels_is_refused(model, tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        run(model, tmp_path / "out", write_scan(tmp_path / "in" / name, make_scan(1)[0]))


def test_other_channels_than_the_models_are_refused_with_both_lists(model, one_channel, tmp_path: Path) -> None:
    write_pair(tmp_path, "imagesTr/a")
    (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "T1", "1": "T2"}}')
    with pytest.raises(UserError, match=r"have 2 channels \(T1, T2\); needed: 1 channel"):
        run(one_channel, tmp_path / "out", tmp_path)
    (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "FLAIR", "1": "T1"}}')
    with pytest.raises(UserError, match=r"\(FLAIR, T1\) in this order; needed: 2 channels \(T1, FLAIR\)"):
        run(model, tmp_path / "out", tmp_path)


def test_a_case_is_done_again_when_any_of_its_channels_changed(model, tmp_path: Path) -> None:
    images = write_pair(tmp_path / "in", "p")
    kinds = [run(model, tmp_path / "out", tmp_path / "in").outcomes[0].kind for _ in range(2)]
    write_scan(images[1], make_scan(9)[0])
    kinds.append(run(model, tmp_path / "out", tmp_path / "in").outcomes[0].kind)
    assert kinds == [SEGMENTED, DONE_BEFORE, SEGMENTED]


def test_no_channel_is_overwritten_by_the_result(model, tmp_path: Path) -> None:
    case = Case("p_0001", tmp_path / "p_0000.nii.gz", None, (tmp_path / "p_0001.nii.gz",))
    for path in case.images:
        path.write_bytes(b"")
    with pytest.raises(UserError, match="overwrite the scan .*p_0001.nii.gz itself"):
        SegmentRequest(model, (), tmp_path, file_format="nii.gz").refuse_overwriting(case)


def test_every_channel_counts_in_the_forecast_of_memory(model) -> None:
    about, plan = read_model(model).description, tiny_plan(3, (128, 128, 128))
    backend = choose_backend(read_model(model), backend="torch", threads=1)
    grid = Geometry((512, 512, 300), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    one, two = (Predictor(backend, p, about.labels, about.inference).forecast(grid, voxel_bytes=4 * p.n_channels)
                for p in (plan, with_channels(plan, "T1", "FLAIR")))
    assert (two.scan, two.reading) == (2 * one.scan, 2 * one.reading)
    assert two.stream - one.stream >= 4 * 512 * 512 * 128
    predictor = Predictor(backend, plan, about.labels, about.inference)
    assert predictor.forecast(grid, reading_bytes=10**12).total == 10**12
