"""DICOM series apart and together: passes, copies, localizers, series in several folders, several in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import AXIAL, OBLIQUE, change, series_voxels, slice_dataset, write_series

from alhvr.core.errors import UserError
from alhvr.data.cases import find_cases
from alhvr.data.reading import read_scan


@pytest.mark.parametrize("same_instance", [True, False])
def test_an_image_that_is_there_twice_is_taken_once(tmp_path: Path, same_instance: bool) -> None:
    files = write_series(tmp_path, series_voxels(), OBLIQUE)
    copy = pydicom.dcmread(files[2])
    if not same_instance:
        copy.SOPInstanceUID, copy.InstanceNumber = "1.2.3.4", 99
    copy.save_as(tmp_path / "copy of 004.dcm")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, series_voxels())
    assert scan.warnings == (f"{tmp_path.name}: images that are there twice were taken once: 1, the first copy of "
                             "004.dcm.",)


def two_passes(folder: Path, shift_mm: float, **second: object) -> None:
    """Six slices, and four more of the same series that begin at the third, shifted; ``second``: their tags."""
    for index, pixels in enumerate(series_voxels()):
        first = slice_dataset(pixels, AXIAL, index, SeriesInstanceUID="1.2.3", **dict.fromkeys(second, 1))
        first.save_as(folder / f"a{index}.dcm", enforce_file_format=True)
    for index in range(2, 6):
        again = slice_dataset(series_voxels()[index] + 7, AXIAL, index, SeriesInstanceUID="1.2.3", **second)
        again.ImagePositionPatient = [0, 0, 4 * index + shift_mm]
        again.save_as(folder / f"b{index}.dcm", enforce_file_format=True)


@pytest.mark.parametrize("shift_mm", [0.0, 2.0])
@pytest.mark.parametrize("tag", ["AcquisitionNumber", "TemporalPositionIdentifier", "EchoNumbers", "SeriesNumber"])
def test_two_passes_that_a_tag_tells_apart_are_two_scans(tmp_path: Path, tag: str, shift_mm: float) -> None:
    two_passes(tmp_path, shift_mm, **{tag: 2})
    first, second = (read_scan(case.image) for case in find_cases(tmp_path, labeled=False).cases)
    np.testing.assert_array_equal(first.array, series_voxels())
    np.testing.assert_array_equal(second.array, series_voxels()[2:] + 7)
    assert f"split by {tag} into 2 stacks" in first.warnings[0]


def test_two_passes_at_one_place_that_no_tag_tells_apart_are_refused_with_the_doubles(tmp_path: Path) -> None:
    two_passes(tmp_path, 0.0)
    with pytest.raises(UserError, match=r"same place: 4 of 10 lie where another does; the first are a2\.dcm and b2"):
        read_scan(tmp_path)


def test_two_passes_between_each_other_that_no_tag_tells_apart_are_refused(tmp_path: Path) -> None:
    two_passes(tmp_path, 1.0)
    with pytest.raises(UserError, match=r"1 mm between|hole"):
        read_scan(tmp_path)


@pytest.mark.parametrize("rows", [6, 4])
def test_a_localizer_of_the_same_series_is_left_out_with_a_warning(tmp_path: Path, rows: int) -> None:
    write_series(tmp_path, series_voxels(), AXIAL, SeriesInstanceUID="1.2.3")
    scout = slice_dataset(np.resize(series_voxels(), (rows, 5)), AXIAL, 0, SeriesInstanceUID="1.2.3")
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    scout.save_as(tmp_path / "scout.dcm", enforce_file_format=True)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, series_voxels())
    assert "localizers?): 1, the first scout.dcm" in scan.warnings[0]


def test_two_stacks_of_one_series_in_two_orientations_are_two_scans(tmp_path: Path) -> None:
    write_series(tmp_path, series_voxels(), AXIAL, SeriesInstanceUID="1.2.3")
    for path in write_series(tmp_path / "b", series_voxels()[:4], OBLIQUE, SeriesInstanceUID="1.2.3"):
        path.rename(tmp_path / f"z{path.name}")
    (tmp_path / "b").rmdir()
    shapes = [read_scan(case.image).array.shape[0] for case in find_cases(tmp_path, labeled=False).cases]
    assert shapes == [6, 4]


def test_a_series_uid_for_each_slice_is_one_scan(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, series_voxels(), OBLIQUE)):
        change(path, SeriesInstanceUID=f"1.2.3.{index}")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, series_voxels())
    assert "6 DICOM series of one image each" in scan.warnings[0]


def test_a_series_uid_for_each_slice_with_a_hole_is_refused(tmp_path: Path) -> None:
    files = write_series(tmp_path, series_voxels(), OBLIQUE)
    for index, path in enumerate(files):
        change(path, SeriesInstanceUID=f"1.2.3.{index}")
    files[2].unlink()
    with pytest.raises(UserError, match="hole: 8 mm.*5 series of one image each"):
        read_scan(tmp_path)


def test_single_images_of_several_studies_stay_scans_of_their_own(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, series_voxels(), OBLIQUE)):
        change(path, SeriesInstanceUID=f"1.2.3.{index}", StudyInstanceUID=f"1.2.4.{index}")
    assert len(find_cases(tmp_path, labeled=False).cases) == 6


def test_one_series_in_two_folders_is_one_scan_named_after_the_folder_around(tmp_path: Path) -> None:
    for part in ("a", "b"):
        write_series(tmp_path / "p1" / part, series_voxels(), OBLIQUE, SeriesInstanceUID="1.2.3")
        for path in list((tmp_path / "p1" / part).iterdir())[:]:
            if (path.name > "003.dcm") == (part == "a"):
                path.unlink()
    write_series(tmp_path / "p2", series_voxels(), OBLIQUE)
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["p1", "p2"]
    np.testing.assert_array_equal(read_scan(found.cases[0].image).array, series_voxels())
    assert found.warnings == ("The folders a and b hold one DICOM series; it was taken for one scan, p1.",)


def test_one_uid_for_two_patients_stays_two_scans_and_is_said(tmp_path: Path) -> None:
    for patient in ("x", "y"):
        write_series(tmp_path / patient, series_voxels() + len(patient), OBLIQUE, SeriesInstanceUID="1.2.3")
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["x", "y"]
    assert "x and y have one SeriesInstanceUID but make no single stack" in found.warnings[0]


def test_a_folder_of_reports_alone_is_said_to_be_left_out(tmp_path: Path) -> None:
    write_series(tmp_path / "p1", series_voxels(), OBLIQUE)
    write_series(tmp_path / "sr", series_voxels()[:2], OBLIQUE, Modality="SR",
                 SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["p1"]
    assert found.warnings == ("sr: DICOM files that are no images were left out: 2 SR.",)


def test_a_folder_of_nothing_but_zeroed_files_without_an_ending_is_said_to_be_left_out(tmp_path: Path) -> None:
    for folder in ("p1", "p2"):
        for path in write_series(tmp_path / folder, series_voxels(), OBLIQUE):
            path = path.rename(path.with_name(f"IM{path.stem}"))
            if folder == "p2":
                path.write_bytes(bytes(800))
    assert find_cases(tmp_path, labeled=False).warnings == (
        "p2: files that could not be used were left out: 6, the first IM001: it holds nothing but zeros.",)


def test_a_linked_folder_is_looked_into_once(tmp_path: Path) -> None:
    write_series(tmp_path / "elsewhere", series_voxels(), OBLIQUE)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "p1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "in")
    assert [case.name for case in find_cases(tmp_path / "in", labeled=False).cases] == ["p1"]


def test_a_link_to_a_folder_around_is_not_followed_and_said(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "p1", series_voxels(), OBLIQUE)
    write_series(tmp_path / "other", series_voxels(), OBLIQUE)
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    found = find_cases(tmp_path / "in", labeled=False)
    assert [case.name for case in found.cases] == ["p1"]
    assert found.warnings == ("Passed over in in: links to folders that are listed already or that hold this one: 1 "
                              "(up).",)


def test_one_instance_uid_for_all_images_is_named(tmp_path: Path) -> None:
    write_series(tmp_path, series_voxels(), OBLIQUE, SOPInstanceUID="1.2.3.4")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, series_voxels())
    assert "all 6 images have one SOPInstanceUID" in scan.warnings[0]


def test_an_image_that_stores_its_numbers_in_another_way_is_named(tmp_path: Path) -> None:
    change(write_series(tmp_path, np.abs(series_voxels()), OBLIQUE)[3], PixelRepresentation=0)
    scan = read_scan(tmp_path)
    assert "1 of 6 images store their numbers in another way" in scan.warnings[0] and "003.dcm" in scan.warnings[0]


def test_series_without_an_ending_that_share_a_folder_are_all_read(tmp_path: Path) -> None:
    for size, name in ((6, "A{}"), (4, "B{}")):
        for index, path in enumerate(write_series(tmp_path, series_voxels()[:size], OBLIQUE)):
            path.rename(tmp_path / name.format(index))
    shapes = [read_scan(case.image).array.shape[0] for case in find_cases(tmp_path, labeled=False).cases]
    assert shapes == [6, 4]
