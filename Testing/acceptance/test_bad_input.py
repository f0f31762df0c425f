"""Bad scans and labels: one clear line and exit code 2, or left out with a reason; never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from command import Finished, alhvr
from nifti_files import write_nifti
from tiny_runs import OBLIQUE, SHAPE, make_scan, short_run, write_scan, write_study

from alhvr.bundle.model import read_model
from alhvr.data.geometry import Geometry


def text_file(path: Path) -> None:
    path.write_text("This is no scan.")


def flat_image(path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(make_scan(1)[0][0]), str(path))


def four_axes(path: Path) -> None:
    write_nifti(path, np.random.default_rng(0).normal(size=(5, *SHAPE)).astype(np.float32))


def cut_in_half(path: Path) -> None:
    whole = write_scan(path, make_scan(1)[0]).read_bytes()
    path.write_bytes(whole[:len(whole) // 2])


def all_nan(path: Path) -> None:
    write_nifti(path, np.full(SHAPE, np.nan, np.float32))


def constant(path: Path) -> None:
    write_scan(path, np.full(SHAPE, 7, np.float32))


NO_SCANS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a text file named .nii.gz": (text_file, "bad.nii.gz"),
    "a 2-D image": (flat_image, "bad.nii.gz"),
    "a 4-D NIfTI": (four_axes, "bad.nii.gz"),
    "a file cut in half": (cut_in_half, "bad.nii.gz"),
    "an image of NaN": (all_nan, "holds no number at all: every voxel is NaN or infinite"),
    "a constant image": (constant, "is empty: every voxel is 7"),
}
"""How each is made, and words of the complaint."""


@pytest.mark.parametrize("what", NO_SCANS)
def test_a_file_that_is_no_scan_is_refused_for_segmenting(model: Path, tmp_path: Path, what: str) -> None:
    make, words = NO_SCANS[what]
    make(tmp_path / "bad.nii.gz")
    alhvr("segment", "--model", model, tmp_path / "bad.nii.gz", "--out", tmp_path / "out").refused("bad.nii.gz", words)
    assert list((tmp_path / "out").iterdir()) == []


def test_files_that_are_no_scans_are_left_out_of_the_archive_each_with_its_reason(tmp_path: Path) -> None:
    study = write_study(tmp_path, labeled=2, archive=1)
    for what, (make, _) in NO_SCANS.items():
        make(study / "archive" / "bad.nii.gz")
        (study / "archive" / "bad.nii.gz").rename(study / "archive" / f"{what}.nii.gz")
    done = alhvr(*short_run(study, tmp_path / "run", "--iterations", 1, "--progress", "json"))
    assert done.code == 0
    left_out = [line for line in done.texts("warning").splitlines() if line.startswith("Left out of the archive: ")]
    assert len(left_out) == len(NO_SCANS)
    for what, (_, words) in NO_SCANS.items():
        (line,) = [line for line in left_out if what in line]
        assert words.replace("bad.nii.gz", what) in line
    assert read_model(tmp_path / "run" / "model").description.training["cases"]["unlabeled"] == 1


@pytest.mark.parametrize("what", NO_SCANS)
def test_a_labelled_file_that_is_no_scan_is_an_error(tmp_path: Path, what: str) -> None:
    study, (make, words) = write_study(tmp_path, labeled=2, archive=0), NO_SCANS[what]
    make(study / "labeled" / "images" / "bad.nii.gz")
    write_scan(study / "labeled" / "labels" / "bad.nii.gz", make_scan(1)[1])
    train(study, tmp_path).refused("bad.nii.gz", words)


def train(study: Path, tmp_path: Path, *options: str) -> Finished:
    """A short training on the labels that must not get far."""
    arguments = short_run(study, tmp_path / "run", "--iterations", 1, *options)
    where = arguments.index("--unlabeled")
    return alhvr(*arguments[:where], *arguments[where + 2:])


def test_a_good_scan_beside_bad_ones_is_segmented_and_the_code_is_2(model: Path, study: Path, tmp_path: Path) -> None:
    text_file(tmp_path / "bad.nii.gz")
    (tmp_path / "empty").mkdir()
    good = study / "archive" / "scan1.nii.gz"
    done = alhvr("segment", "--model", model, tmp_path / "bad.nii.gz", tmp_path / "empty", tmp_path / "gone.mha", good,
                 "--out", tmp_path / "out", "--progress", "json")
    assert done.code == 2 and [path.name for path in (tmp_path / "out").glob("*.nrrd")] == ["scan1.seg.nrrd"]
    assert done.texts("error").startswith("3 of 4 inputs could not be segmented; the first: ")
    for name in ("bad was not segmented", "empty was not segmented", "gone was not segmented"):
        assert name in done.texts("warning")


@pytest.mark.parametrize("option", ["--labeled", "--unlabeled", "--validation"])
def test_an_empty_folder_of_cases_is_refused(study: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "empty").mkdir()
    alhvr(*short_run(study, tmp_path / "run", "--iterations", 1), option, tmp_path / "empty").refused(
        "The folder empty holds no scans", "images/ with labels/ beside it")


def test_an_empty_folder_to_segment_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    alhvr("segment", "--model", model, tmp_path / "empty", "--out", tmp_path / "out").refused("empty holds no scans")


def test_a_folder_that_is_not_there_is_named(study: Path, tmp_path: Path) -> None:
    alhvr("train", "--labeled", tmp_path / "nowhere", "--out", tmp_path / "run").refused("nowhere is not there")


def test_labels_of_another_patient_are_refused_with_both_grids(tmp_path: Path) -> None:
    study = write_study(tmp_path, labeled=3, archive=0)
    moved = Geometry(OBLIQUE.size_ijk, OBLIQUE.spacing_mm, (0.0, 0.0, 0.0), OBLIQUE.direction)
    write_scan(study / "labeled" / "labels" / "case1.nii.gz", make_scan(1)[1], moved)
    write_scan(study / "labeled" / "labels" / "case2.nii.gz", make_scan(2)[1][:3])
    done = train(study, tmp_path)
    done.refused("There are 2 faults in the data", "case1.nii.gz lies on another grid than its scan case1.nii.gz",
                 "origin", "check.html", "--force")
    assert "case2.nii.gz lies on another grid" in done.err and "size (32, 32, 4) against (32, 32, 3) voxels" in done.err
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"check.json", "check.html"}


def test_faults_can_be_overridden_and_the_model_says_so(tmp_path: Path) -> None:
    study = write_study(tmp_path, labeled=4, archive=0)
    write_scan(study / "labeled" / "labels" / "case2.nii.gz", make_scan(2)[1][:3])
    done = train(study, tmp_path, "--force")
    assert done.code == 0 and "Fault: The label case2.nii.gz lies on another grid" in done.err
    model = read_model(tmp_path / "run" / "model")
    assert model.description.training["forced"] == ["label_on_another_grid"]
    assert sum(model.description.training["cases"].values()) == 3
    assert "despite faults that the check of the data found: label on another grid" in model.card()


def test_a_label_that_is_never_named_is_refused(tmp_path: Path) -> None:
    study = write_study(tmp_path, labeled=2, archive=0)
    (study / "labeled" / "labels.json").write_text('{"1": "liver"}')
    train(study, tmp_path).refused("case0.nii.gz holds the value 3, which has no name (named: 1 liver)", "labels.json")


def test_labels_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    study = write_study(tmp_path, labeled=2, archive=0)
    for label in (study / "labeled" / "labels").iterdir():
        write_scan(label, np.zeros(SHAPE, np.uint8))
    train(study, tmp_path).refused("All labels of case0, case1 are empty (value 0 everywhere)")


def test_scans_without_any_label_are_refused(study: Path, tmp_path: Path) -> None:
    train_on = alhvr("train", "--labeled", study / "archive", "--out", tmp_path / "run")
    train_on.refused("None of the 4 scans in archive has a label")


def test_one_slice_trains_and_is_segmented_in_place(model: Path, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", labeled=2, archive=1)
    image, label = make_scan(7)
    write_scan(study / "labeled" / "images" / "slice.nii.gz", image[1:2])
    write_scan(study / "labeled" / "labels" / "slice.nii.gz", label[1:2])
    write_scan(study / "archive" / "slice.nrrd", make_scan(8)[0][2:3])
    assert alhvr(*short_run(study, tmp_path / "run", "--iterations", 6)).code == 0
    assert segmented(model, write_scan(tmp_path / "one.nrrd", make_scan(9)[0][:1]), tmp_path).GetSize() == (32, 32, 1)


def test_a_scan_smaller_than_the_patch_trains_and_is_segmented_in_place(model: Path, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", labeled=2, archive=1)
    small = (slice(None), slice(5, 24), slice(6, 21))
    image, label = make_scan(7)
    write_scan(study / "labeled" / "images" / "small.nii.gz", image[small])
    write_scan(study / "labeled" / "labels" / "small.nii.gz", label[small])
    write_scan(study / "archive" / "small.nrrd", make_scan(8)[0][small])
    assert alhvr(*short_run(study, tmp_path / "run", "--iterations", 6)).code == 0
    scan = write_scan(tmp_path / "small.nrrd", make_scan(9)[0][small])
    assert segmented(model, scan, tmp_path).GetSize() == (15, 19, 4)


def segmented(model: Path, scan: Path, tmp_path: Path) -> SimpleITK.Image:
    """The result for ``scan``, which must be there and hold a structure."""
    done = alhvr("segment", "--model", model, scan, "--out", tmp_path / "out", "--regions")
    assert done.code == 0, done
    image = SimpleITK.ReadImage(str(tmp_path / "out" / f"{scan.stem}.seg.nrrd"))
    assert SimpleITK.GetArrayFromImage(image).max() > 0
    return image


def test_nan_in_part_of_a_scan_is_mended_aloud(model: Path, tmp_path: Path) -> None:
    array = make_scan(9)[0]
    array[0, :2] = np.nan
    done = alhvr("segment", "--model", model, write_scan(tmp_path / "holes.nrrd", array), "--out", tmp_path / "out",
                 "--progress", "json")
    assert done.code == 0 and "64 of 4096 voxels that are NaN or infinite" in done.texts("warning")


def test_scoring_against_another_grid_names_the_case(model: Path, study: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "found" / "a.nrrd", make_scan(1)[1])
    write_scan(tmp_path / "true" / "a.nrrd", make_scan(1)[1][:3])
    alhvr("evaluate", "--predictions", tmp_path / "found", "--reference", tmp_path / "true").refused(
        "the first, a: reference and prediction lie on different grids", "(32, 32, 3)")
