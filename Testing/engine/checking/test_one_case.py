"""One case becomes facts, whatever is wrong with its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from support import shared_data

from alhvr.checking.examine import ExamineOptions, examine_case
from alhvr.data.cases import Case, find_cases
from alhvr.data.reading import content_hash, read_label, read_scan

TERMS = ExamineOptions(255, b"key")


def write(path: Path, array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 3.0)) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def scan_array(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, (6, 20, 24)).astype(np.float32)


def label_array() -> np.ndarray:
    array = np.zeros((6, 20, 24), dtype=np.uint8)
    array[2:4, 5:15, 5:15] = 1
    return array


def case(folder: Path) -> Case:
    return Case("one", write(folder / "one.nii.gz", scan_array()), write(folder / "one-label.nii.gz", label_array()))


def test_a_good_case_is_measured_as_reading_and_planning_see_it(tmp_path: Path) -> None:
    good = case(tmp_path)
    facts = examine_case("labeled", good, TERMS)
    scan, label = read_scan(good.image), read_label(good.label)
    image = facts.images[0]
    assert facts.usable and facts.part == "labeled" and facts.case == good
    assert image.content == content_hash(scan) and facts.label.content == content_hash(label)
    assert image.lowest == scan.array.min() and image.highest == scan.array.max()
    assert image.print.foreground.median == np.median(scan.array[label.array == 1])
    assert facts.label.other_grid == "" and facts.label.outline.shape == image.thumbnail.shape
    assert facts.label.outline.max() == 1


def test_voxels_that_are_no_number_are_counted(tmp_path: Path) -> None:
    array = scan_array()
    array[0, 0, :3], array[1, 1, 1] = np.nan, np.inf
    facts = examine_case("unlabeled", Case("x", write(tmp_path / "x.nii.gz", array), None), TERMS)
    assert facts.images[0].n_not_finite == 4
    assert np.isfinite(facts.images[0].highest)
    assert facts.label is None and facts.usable


def test_scan_and_label_that_cannot_be_read_are_told_of_together(tmp_path: Path) -> None:
    good = case(tmp_path)
    good.image.write_bytes(good.image.read_bytes()[:200])
    good.label.write_text("no label")
    facts = examine_case("labeled", good, TERMS)
    assert not facts.usable and facts.images == () and facts.label is None
    assert "one.nii.gz" in facts.image_problem.message and facts.image_problem.hint
    assert "one-label.nii.gz" in facts.label_problem.message


def test_a_label_is_looked_at_although_its_scan_is_missing(tmp_path: Path) -> None:
    good = case(tmp_path)
    good.image.unlink()
    facts = examine_case("labeled", good, TERMS)
    assert "one.nii.gz is not there" in facts.image_problem.message
    assert facts.label.structures[1].voxels == 200 and facts.label.outline is None


def test_a_label_on_another_grid_is_measured_on_its_own(tmp_path: Path) -> None:
    good = case(tmp_path)
    write(good.label, label_array()[:5])
    facts = examine_case("labeled", good, TERMS)
    assert "voxels (I, J, K)" in facts.label.other_grid
    assert facts.label.slices == 5 and facts.label.structures[1].voxels == 200
    assert facts.images[0].print.foreground is None and facts.label.outline is None


def test_what_is_not_annotated_is_no_foreground(tmp_path: Path) -> None:
    good, array = case(tmp_path), label_array()
    array[array == 1] = 255
    write(good.label, array)
    facts = examine_case("labeled", good, TERMS)
    assert facts.label.structures == {} and facts.images[0].print.foreground is None


def test_each_channel_is_measured_and_the_first_bad_one_is_named(tmp_path: Path) -> None:
    good = case(tmp_path)
    second = write(tmp_path / "two.nii.gz", scan_array(1)[:, :10])
    both = examine_case("labeled", Case("one", good.image, good.label, (second,)), TERMS)
    assert [image.print.size_ijk for image in both.images] == [(24, 20, 6), (24, 10, 6)]
    assert both.images[0].print.foreground is not None and both.images[1].print.foreground is None
    assert both.label.other_grid == ""
    same = examine_case("labeled", Case("one", good.image, good.label, (good.image,)), TERMS)
    assert same.images[1].print.foreground == same.images[0].print.foreground
    missing = Case("one", good.image, good.label, (tmp_path / "none.nii.gz", second))
    facts = examine_case("labeled", missing, TERMS)
    assert len(facts.images) == 1 and "none.nii.gz" in facts.image_problem.message


def test_dicom_headers_tell_the_field_and_a_digest_of_the_patient() -> None:
    found = find_cases(shared_data("brain-dicom"), labeled=False)
    facts = [examine_case("unlabeled", entry, TERMS) for entry in found.cases if "T1post" in entry.name]
    again = examine_case("unlabeled", facts[0].case, ExamineOptions(255, b"another key"))
    assert facts[0].images[0].field_strength_t == 3.0
    assert facts[0].images[0].patient != again.images[0].patient
    assert len(facts[0].images[0].patient) == 32
