"""Reading: what people hand in becomes a Scan or a label volume, or one clear line why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import write_series
from nifti_files import write_nifti
from support import shared_data

from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.reading import content_hash, distinct_values, probe, read_label, read_scan, scan_name

ARRAY = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
GRID = Geometry((6, 5, 4), (0.5, 0.75, 3.0), (-10.0, 20.0, 30.0), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1.0))


def _write(path: Path, array: np.ndarray = ARRAY) -> Path:
    image = sitk.GetImageFromArray(array)
    if array.ndim == 3:
        replace(GRID, size_ijk=array.shape[::-1]).stamp(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_every_kind_gives_the_same_scan(tmp_path: Path, ending: str) -> None:
    scan = read_scan(_write(tmp_path / f"a.b{ending}"))
    assert scan.geometry.difference(GRID, tolerance_mm=1e-3) == ""
    assert (scan.name, scan.modality, scan.array.dtype, scan.warnings) == ("a.b", "other", ARRAY.dtype, ())
    np.testing.assert_array_equal(scan.array, ARRAY)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_small_integers_stay_small_and_the_header_tells_it(tmp_path: Path, ending: str, dtype: str) -> None:
    path = _write(tmp_path / f"a{ending}", np.abs(ARRAY // 20).astype(dtype))
    scan = read_scan(path)
    assert scan.array.dtype == (dtype if dtype in ("i1", "u1", "i2", "u2") else np.float32)
    assert probe(path).voxel_bytes == scan.array.itemsize
    np.testing.assert_array_equal(scan.array, np.abs(ARRAY // 20))


def test_small_integers_of_a_file_with_a_slope_become_real_numbers(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", ARRAY, slope=0.5, intercept=3)
    assert read_scan(path).array.dtype == np.float32
    assert probe(path).voxel_bytes == 4


def test_the_hash_does_not_depend_on_the_number_type(tmp_path: Path) -> None:
    paths = [_write(tmp_path / f"{dtype}.nrrd", ARRAY.astype(dtype)) for dtype in ("i2", "i4", "f4")]
    assert len({content_hash(read_scan(path)) for path in paths}) == 1


def test_the_caller_may_say_the_modality(tmp_path: Path) -> None:
    assert read_scan(_write(tmp_path / "a.nii.gz"), modality="CT").modality == "CT"


@pytest.mark.parametrize("name", ["with space", "Jürgen", "患者 一", "a.b.c"])
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_any_name_is_read(tmp_path: Path, name: str, ending: str) -> None:
    scan = read_scan(_write(tmp_path / name / f"{name}{ending}"))
    assert scan.name == name


def test_a_series_folder_of_any_name_is_read(tmp_path: Path) -> None:
    write_series(tmp_path / "Größe 一.v2", ARRAY, GRID)
    assert read_scan(tmp_path / "Größe 一.v2").name == "Größe 一.v2"


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_probe_knows_the_grid(tmp_path: Path, ending: str) -> None:
    header = probe(_write(tmp_path / f"a{ending}"))
    assert header.geometry.difference(GRID, tolerance_mm=1e-3) == ""
    assert (header.size_ijk, header.modality) == ((6, 5, 4), "other")
    np.testing.assert_allclose(header.spacing_mm, GRID.spacing_mm, rtol=1e-6)


def test_probe_decodes_no_voxels(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:400])
    assert probe(path).size_ijk == (6, 5, 4)


def test_probe_and_scan_of_a_series_agree(tmp_path: Path) -> None:
    write_series(tmp_path, ARRAY, GRID)
    assert probe(tmp_path).geometry == read_scan(tmp_path).geometry


def test_one_slice_is_a_scan(tmp_path: Path) -> None:
    assert read_scan(_write(tmp_path / "a.nii.gz", ARRAY[:1])).array.shape == (1, 5, 6)


def test_voxels_that_are_no_numbers_take_the_smallest_value_with_a_warning(tmp_path: Path) -> None:
    array = ARRAY.astype(np.float32)
    array[0, 0, 0], array[1, 1, 1], array[2, 2, 2] = np.nan, np.inf, -np.inf
    scan = read_scan(_write(tmp_path / "a.nrrd", array))
    assert scan.array[0, 0, 0] == scan.array[1, 1, 1] == scan.array[2, 2, 2] == scan.array.min() == ARRAY.min()
    assert "3 of 120 voxels" in scan.warnings[0]


def _damaged(folder: Path, kind: str) -> Path:
    """A bad input of this kind."""
    if kind == "empty folder":
        folder.joinpath("empty").mkdir()
        return folder / "empty"
    if kind == "folder without series":
        return _write(folder / "x" / "a.nii.gz").parent
    if kind == "text":
        folder.joinpath("a.nii.gz").write_text("hello world\n" * 50)
    elif kind == "cut short":
        path = _write(folder / "a.nii.gz")
        path.write_bytes(path.read_bytes()[:200])
    elif kind == "another ending":
        folder.joinpath("a.gif").write_text("hello")
        return folder / "a.gif"
    elif kind != "missing":
        arrays = {"flat": ARRAY[0], "4-D": np.stack([ARRAY, ARRAY]), "all NaN": ARRAY * np.float32(np.nan)}
        arrays |= {"constant": np.full_like(ARRAY, 7), "complex": ARRAY.astype(np.complex64)}
        write_nifti(folder / "a.nii.gz", arrays[kind])
    return folder / "a.nii.gz"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "is not there"),
        ("empty folder", "is empty"),
        ("folder without series", "holds no DICOM images"),
        ("text", "no NIfTI image"),
        ("cut short", "cut short"),
        ("another ending", "of no kind that is read"),
        ("flat", "2 axes"),
        ("4-D", "4 axes"),
        ("all NaN", "no number at all"),
        ("constant", "every voxel is 7"),
        ("complex", "one real number"),
    ],
)
def test_bad_input_gets_one_clear_line(tmp_path: Path, capfd: pytest.CaptureFixture, kind: str, words: str) -> None:
    path = _damaged(tmp_path, kind)
    with pytest.raises(UserError, match=words) as caught:
        read_scan(path)
    assert path.name in str(caught.value) and "\n" not in str(caught.value) and caught.value.hint
    assert capfd.readouterr().err == ""


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_float32_count_as_infinite(tmp_path: Path) -> None:
    array = ARRAY.astype(np.float64)
    array[0, 0, 0] = 1e300
    assert "1 of 120" in read_scan(_write(tmp_path / "a.nrrd", array)).warnings[0]


@pytest.mark.parametrize(("top", "dtype"), [(3, np.uint8), (255, np.uint8), (300, np.uint16), (70000, np.int32)])
def test_labels_take_the_smallest_integers(tmp_path: Path, top: int, dtype: type) -> None:
    label = read_label(_write(tmp_path / "a.seg.nrrd", np.array([[[0, top, 1]]], dtype=np.int32)))
    assert (label.array.dtype, label.array.ravel().tolist()) == (dtype, [0, top, 1])


def test_integers_stored_as_real_numbers_are_labels(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.nii.gz", np.array([[[0, 1.00002, 2]]], dtype=np.float32))
    assert read_label(path).array.ravel().tolist() == [0, 1, 2]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_other_real_numbers_are_no_labels(tmp_path: Path, value: float) -> None:
    with pytest.raises(UserError, match=f"holds {value:g}; a label holds whole numbers"):
        read_label(_write(tmp_path / "a.nii.gz", np.array([[[0, value, 2]]], dtype=np.float32)))


def test_negative_labels_are_kept_for_a_later_verdict(tmp_path: Path) -> None:
    assert read_label(_write(tmp_path / "a.nrrd", ARRAY)).array.min() == ARRAY.min()


def test_an_empty_label_is_a_label(tmp_path: Path) -> None:
    assert distinct_values(read_label(_write(tmp_path / "a.nrrd", np.zeros((2, 3, 4), np.uint8))).array) == (0,)


@pytest.mark.parametrize("values", [(0, 2, 7), (-1, 0, 5)])
def test_label_values_are_listed(tmp_path: Path, values: tuple[int, ...]) -> None:
    path = _write(tmp_path / "a.nrrd", np.array([[values]], dtype=np.int16))
    assert distinct_values(read_label(path).array) == values


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.b.nii.gz", "a.b"),
        ("a.nii", "a"),
        ("A.NII.GZ", "A"),
        ("a.seg.nrrd", "a"),
        ("a.nhdr", "a"),
        ("a.mhd", "a"),
        ("a.dcm", "a"),
        (".nii.gz", ".nii.gz"),
        ("series 7.v2", "series 7.v2"),
    ],
)
def test_scan_names_lose_known_endings_only(file: str, name: str) -> None:
    assert scan_name(Path("some.folder") / file) == name


def test_a_folder_keeps_its_whole_name(tmp_path: Path) -> None:
    (tmp_path / "study.nii").mkdir()
    assert scan_name(tmp_path / "study.nii") == "study.nii"


def test_the_hash_does_not_depend_on_the_file(tmp_path: Path) -> None:
    hashes = {content_hash(read_scan(_write(tmp_path / f"a{ending}"))) for ending in (".nii.gz", ".nrrd", ".mha")}
    assert len(hashes) == 1 and len(hashes.pop()) == 64


def test_the_hash_changes_with_a_value_and_with_the_place(tmp_path: Path) -> None:
    scan = read_scan(_write(tmp_path / "a.nrrd"))
    other = scan.array.copy()
    other[0, 0, 0] += 1
    moved = replace(scan.geometry, origin_lps_mm=(0.0, 0.0, 0.0))
    variants = [scan, replace(scan, array=other), replace(scan, geometry=moved)]
    assert len({content_hash(variant) for variant in variants}) == 3


def test_real_hippocampus_keeps_its_flipped_axes() -> None:
    scan = read_scan(sorted(shared_data("hippocampus", "images").iterdir())[0])
    np.testing.assert_array_equal(np.diag(np.reshape(scan.geometry.direction, (3, 3))), [-1, -1, 1])


def test_a_real_hippocampus_series_keeps_its_own_axes() -> None:
    scan = read_scan(shared_data("brain-dicom", "Study1", "13_HCropVolume"))
    np.testing.assert_array_equal(np.reshape(scan.geometry.direction, (3, 3)), np.eye(3))
