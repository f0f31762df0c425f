"""Segmenting many inputs in one call: names, geometry, and what one bad input does to the others."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from dicom_files import write_series
from tiny_cases import Listener
from tiny_runs import OBLIQUE, make_scan, write_scan
from untrained import write_untrained

from alhvr.core.errors import Cancelled, UserError
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe, read_label, read_scan
from alhvr.formats.region_tables import sharpen
from alhvr.inference import run as room
from alhvr.inference.results_index import FILE_NAME
from alhvr.inference.run import SegmentRequest, SegmentResult, segment


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path / "in" / "one.nii.gz", make_scan(1)[0])


def run(model: Path, out: Path, *inputs: Path, reporter: Listener | None = None, **options) -> SegmentResult:
    return segment(SegmentRequest(model, tuple(inputs), out, **options), reporter or Listener())


def names(folder: Path) -> list[str]:
    """Everything in the folder but the record of what was done."""
    return sorted(path.name for path in folder.iterdir() if path.name != FILE_NAME)


@pytest.mark.parametrize("ending", ["seg.nrrd", "nii.gz", "nrrd", "mha"])
def test_the_result_has_the_name_and_the_grid_of_the_scan(model, scan, tmp_path: Path, ending: str) -> None:
    result = run(model, tmp_path / "out", scan, file_format=ending)
    assert names(tmp_path / "out") == [f"one.{ending}"] and result.written == [tmp_path / "out" / f"one.{ending}"]
    found = read_label(result.written[0])
    assert found.geometry.difference(probe(scan).geometry, tolerance_mm=1e-4) == ""
    assert set(np.unique(found.array)) <= {0, 1, 3}


def test_regions_come_beside_the_segmentation(model: Path, scan: Path, tmp_path: Path) -> None:
    run(model, tmp_path / "out", scan, regions=True)
    assert names(tmp_path / "out") == ["one.confidence-a.nrrd", "one.confidence-b.nrrd", "one.regions.json",
                                       "one.regions.nrrd", "one.seg.nrrd", "one.teacher.nrrd"]


def test_fusion_and_temperature_are_the_models_unless_asked_for(model: Path, scan: Path, tmp_path: Path) -> None:
    run(model, tmp_path / "own", scan, regions=True)
    run(model, tmp_path / "other", scan, regions=True, fusion="competition", temperature=1.0)
    own, other = (json.loads((tmp_path / out / "one.regions.json").read_text()) for out in ("own", "other"))
    assert (own["fusion"], own["temperature"]) == ("mean", 0.1)
    assert (other["fusion"], other["temperature"]) == ("competition", 1.0)
    assert own["voxels_by_beta"] == other["voxels_by_beta"]
    teacher = [read_scan(tmp_path / out / "one.teacher.nrrd").array / 65535 for out in ("own", "other")]
    np.testing.assert_allclose(teacher[0], sharpen(teacher[1].astype(float), 0.1), atol=0.5 * 10 / 255 + 1 / 255)


@pytest.mark.parametrize("wish", [{"fusion": "vote"}, {"temperature": 0.0}, {"temperature": 1.5}])
def test_a_wish_that_there_is_not_is_refused(model: Path, scan: Path, tmp_path: Path, wish: dict) -> None:
    with pytest.raises(UserError, match=f"{next(iter(wish))} is .*Accepted: "):
        run(model, tmp_path / "out", scan, **wish)


def test_a_bad_input_is_told_and_the_others_go_on(model: Path, scan: Path, tmp_path: Path) -> None:
    bad, reporter = tmp_path / "bad.nii.gz", Listener()
    bad.write_text("text")
    (tmp_path / "empty").mkdir()
    last = write_scan(tmp_path / "in" / "two.nrrd", make_scan(2)[0])
    with pytest.raises(UserError, match=r"^2 of 4 inputs could not be segmented; the first: "):
        run(model, tmp_path / "out", bad, tmp_path / "empty", scan, last, reporter=reporter)
    assert names(tmp_path / "out") == ["one.seg.nrrd", "two.seg.nrrd"]
    assert len(reporter.warnings) == 2 and any("bad was not segmented" in w for w in reporter.warnings)


def test_a_single_bad_input_is_one_line(model: Path, tmp_path: Path) -> None:
    reporter = Listener()
    with pytest.raises(UserError, match=r"^gone\.nii\.gz is not there\."):
        run(model, tmp_path / "out", tmp_path / "gone.nii.gz", reporter=reporter)
    assert reporter.warnings == []


def test_two_inputs_of_one_name_are_refused_before_any_work(model: Path, scan: Path, tmp_path: Path) -> None:
    twin = write_scan(tmp_path / "other" / "one.nrrd", make_scan(2)[0])
    with pytest.raises(UserError, match="2 inputs are called one; their results would overwrite each other"):
        run(model, tmp_path / "out", scan, twin)
    assert names(tmp_path / "out") == []


def test_a_folder_of_scans_is_no_place_for_their_results(model: Path, scan: Path) -> None:
    with pytest.raises(UserError, match="would lie among the scans .* Choose another --out folder"):
        run(model, scan.parent, scan.parent)
    assert names(scan.parent) == [scan.name]


def test_a_folder_gives_all_its_scans(model: Path, scan: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "in" / "two.nrrd", make_scan(2)[0])
    run(model, tmp_path / "out", tmp_path / "in")
    assert names(tmp_path / "out") == ["one.seg.nrrd", "two.seg.nrrd"]


def series(folder: Path) -> list[Path]:
    return write_series(folder, make_scan(3)[0].astype(np.int16), OBLIQUE)


@pytest.mark.parametrize("given", ["folder", "file", "dot", "parent"])
def test_a_dicom_series_is_called_like_its_folder(model, tmp_path: Path, given: str, monkeypatch) -> None:
    folder = tmp_path / "study" / "T1 axial"
    files = series(folder)
    monkeypatch.chdir(folder)
    source = {"folder": folder, "file": files[0], "dot": Path("."), "parent": folder.parent}[given]
    (written,) = run(model, tmp_path / "out", source).written
    assert written.name == "T1 axial.seg.nrrd"
    assert read_label(written).geometry.difference(OBLIQUE, tolerance_mm=0.01) == ""


def test_series_that_share_a_folder_are_numbered(model: Path, tmp_path: Path) -> None:
    series(tmp_path / "s")
    for file in (tmp_path / "s").iterdir():
        file.rename(file.with_name("x" + file.name))
    series(tmp_path / "s")
    run(model, tmp_path / "out", tmp_path / "s")
    assert names(tmp_path / "out") == ["s-1.seg.nrrd", "s-2.seg.nrrd"]


def test_a_result_never_overwrites_the_scan(model: Path, tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "one.nrrd", make_scan(1)[0])
    before = scan.read_bytes()
    with pytest.raises(UserError, match="would overwrite the scan"):
        run(model, tmp_path, scan, file_format="nrrd")
    assert scan.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_told_before_any_work(model, scan, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(room, "choose_backend", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"The folder .*out cannot be written \(Not a directory\)"):
        run(model, tmp_path / "file" / "out", scan)


def test_what_was_mended_in_a_scan_is_told(model: Path, tmp_path: Path) -> None:
    array, reporter = make_scan(1)[0], Listener()
    array[0, 0, :3] = np.nan
    run(model, tmp_path / "out", write_scan(tmp_path / "holes.nrrd", array), reporter=reporter)
    assert "holes: holes.nrrd holds 3 of 4096 voxels that are NaN or infinite" in reporter.warnings[0]


def test_a_stop_keeps_what_is_done(model: Path, scan: Path, tmp_path: Path) -> None:
    class Stopper(Listener):
        """Presses Ctrl-C when the second scan begins, once; the first one's result is still on its way."""

        pressed = False

        def warning(self, message: str) -> None:
            if not self.pressed:
                self.pressed = True
                signal.raise_signal(signal.SIGINT)

    array = make_scan(2)[0]
    array[0, 0, 0] = np.nan
    two, three = (write_scan(tmp_path / "in" / name, array) for name in ("two.nrrd", "three.nrrd"))
    with pytest.raises(Cancelled, match=r"^Stopped after 1 of 3 scans; their results are kept\. The same command goes"):
        run(model, tmp_path / "out", scan, two, three, reporter=Stopper())
    assert names(tmp_path / "out") == ["one.seg.nrrd"]


def test_the_same_scan_gives_the_same_files(model: Path, scan: Path, tmp_path: Path) -> None:
    for out in ("a", "b"):
        run(model, tmp_path / out, scan, regions=True)
    first, second = ([path.read_bytes() for path in sorted((tmp_path / out).glob("one.*"))] for out in ("a", "b"))
    assert len(first) == 6 and first == second


def test_one_slice_and_a_scan_smaller_than_the_patch_are_segmented(model: Path, tmp_path: Path) -> None:
    slice_ = write_scan(tmp_path / "slice.nrrd", make_scan(1)[0][:1])
    small = write_scan(tmp_path / "small.nrrd", make_scan(2)[0][:, 8:19, 8:17])
    written = run(model, tmp_path / "out", slice_, small).written
    for path, size in zip(written, [(32, 32, 1), (9, 11, 4)], strict=True):
        image = SimpleITK.ReadImage(str(path))
        assert image.GetSize() == size
        assert Geometry.from_sitk(image).spacing_mm == pytest.approx(OBLIQUE.spacing_mm)
