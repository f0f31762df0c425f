"""NIfTI: the standard's placement rules, every version and number type, and no truncated file taken for whole."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nifti_files import write_nifti
from support import shared_data

from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.nifti import read_nifti, read_nifti_header

ARRAY = np.random.default_rng(0).integers(-500, 500, (4, 5, 6)).astype(np.int16)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
C, S = math.cos(math.radians(30)), math.sin(math.radians(30))
TURNED = np.array([[C * 2, -S * 3, 0, 10], [S * 2, C * 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])
SHEARED = np.array([[2, 0.5, 0, 10], [0, 3, 0, 20], [0, 0.2, 4, 30], [0, 0, 0, 1]])
SIZES = (2.0, 3.0, 4.0)
QUATERN = {"qform_code": 1, "quatern": (0, 0, math.sin(math.radians(15))), "offset_mm": (10, 20, 30), "pixdim": SIZES}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_every_version_and_byte_order_is_read(tmp_path: Path, version: int, order: str, ending: str) -> None:
    path = write_nifti(tmp_path / f"a{ending}", ARRAY, version=version, order=order, sform=(1, TURNED), pixdim=SIZES)
    volume = read_nifti(path)
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.geometry.affine_lps, LPS @ TURNED, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"])
def test_number_types_are_kept(tmp_path: Path, dtype: str) -> None:
    array = np.abs(ARRAY // 5).astype(dtype)
    volume = read_nifti(write_nifti(tmp_path / "a.nii", array))
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, array)


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    volume = read_nifti(write_nifti(tmp_path / "a.nii", ARRAY, slope=0.5, intercept=-10))
    np.testing.assert_allclose(volume.array, ARRAY * 0.5 - 10)


def test_a_slope_of_nan_or_zero_means_none(tmp_path: Path) -> None:
    volume = read_nifti(write_nifti(tmp_path / "a.nii", ARRAY, slope=math.nan, intercept=5))
    np.testing.assert_array_equal(volume.array, ARRAY)


@pytest.mark.parametrize("code", [1, 2])
def test_a_sheared_sform_stays_sheared(tmp_path: Path, code: int) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", ARRAY, sform=(code, SHEARED), pixdim=SIZES)
    np.testing.assert_allclose(read_nifti(path).geometry.affine_lps, LPS @ SHEARED, atol=1e-5)


def test_a_sheared_sform_wins_over_a_qform_with_a_warning(tmp_path: Path) -> None:
    volume = read_nifti(write_nifti(tmp_path / "a.nii", ARRAY, sform=(2, SHEARED), **QUATERN))
    np.testing.assert_allclose(volume.geometry.affine_lps, LPS @ SHEARED, atol=1e-5)
    assert "the sform is used" in volume.warnings[0]


def test_a_qform_alone_is_turned_by_its_quaternion(tmp_path: Path) -> None:
    volume = read_nifti(write_nifti(tmp_path / "a.nii", ARRAY, **QUATERN))
    np.testing.assert_allclose(volume.geometry.affine_lps, LPS @ TURNED, atol=1e-5)


@pytest.mark.parametrize("qfac", [1.0, -1.0])
def test_a_qform_agrees_with_itk(tmp_path: Path, qfac: float) -> None:
    tilted = {"qform_code": 1, "quatern": (0.1, -0.3, 0.4), "offset_mm": (1, -2, 3), "pixdim": SIZES, "qfac": qfac}
    path = write_nifti(tmp_path / "a.nii", ARRAY, **tilted)
    assert read_nifti(path).geometry.difference(Geometry.from_sitk(sitk.ReadImage(path)), tolerance_mm=1e-4) == ""


def test_the_scanners_qform_wins_over_an_sform_of_another_space(tmp_path: Path) -> None:
    atlas = np.diag([2.0, 3.0, 4.0, 1.0])
    path = write_nifti(tmp_path / "a.nii", ARRAY, sform=(4, atlas), **QUATERN)
    volume = read_nifti(path)
    assert volume.geometry.difference(Geometry.from_sitk(sitk.ReadImage(path))) == ""
    assert "the qform is used" in volume.warnings[0]


def test_an_agreeing_sform_and_qform_give_no_warning(tmp_path: Path) -> None:
    assert read_nifti(write_nifti(tmp_path / "a.nii", ARRAY, sform=(1, TURNED), **QUATERN)).warnings == ()


def test_without_a_place_the_voxel_sizes_are_used_with_a_warning(tmp_path: Path) -> None:
    volume = read_nifti(write_nifti(tmp_path / "a.nii", ARRAY, pixdim=SIZES))
    assert volume.geometry.spacing_mm == SIZES and "does not say where it lies" in volume.warnings[0]


def test_the_sform_gives_the_spacing_where_the_voxel_sizes_contradict(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", ARRAY, sform=(1, np.diag([2.0, 2.0, 2.0, 1.0])), pixdim=(1.0, 1.0, 1.0))
    assert read_nifti(path).geometry.spacing_mm == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("units", "factor"), [(1, 1000.0), (2, 1.0), (3, 0.001)])
def test_metres_and_micrometres_become_millimetres(tmp_path: Path, units: int, factor: float) -> None:
    sform = np.diag([2 / factor, 2 / factor, 2 / factor, 1])
    path = write_nifti(tmp_path / "a.nii", ARRAY, sform=(1, sform), pixdim=(2 / factor,) * 3, units=units)
    np.testing.assert_allclose(read_nifti(path).geometry.spacing_mm, 2.0, rtol=1e-6)


def test_a_trailing_axis_of_one_is_dropped(tmp_path: Path) -> None:
    assert read_nifti(write_nifti(tmp_path / "a.nii", ARRAY[None])).array.shape == (4, 5, 6)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (ARRAY[0], r"2 axes, size \(6, 5\)"),
        (np.stack([ARRAY, ARRAY]), r"4 axes, size \(6, 5, 4, 2\)"),
        (ARRAY.astype(np.complex64), "data type 32"),
    ],
)
def test_images_that_are_not_one_real_volume_are_refused(tmp_path: Path, array: np.ndarray, words: str) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", array)
    with pytest.raises(UserError, match=words):
        read_nifti_header(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_file_cut_short_is_refused(tmp_path: Path, ending: str, kept: float) -> None:
    path = write_nifti(tmp_path / f"a{ending}", np.tile(ARRAY, (4, 4, 4)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(UserError, match="cut short"):
        read_nifti(path)


def test_a_damaged_packed_file_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", ARRAY)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # checksum
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_nifti(path)


def test_a_header_that_promises_far_too_much_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", ARRAY)
    content = bytearray(path.read_bytes())
    content[42:48] = b"\xff\x7f" * 3  # 32767 voxels along each axis
    path.write_bytes(content)
    with pytest.raises(UserError, match="cut short"):
        read_nifti(path)


@pytest.mark.filterwarnings("error")
def test_an_unreal_place_is_refused_by_file_name(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", ARRAY, sform=(1, np.full((4, 4), math.inf)))
    with pytest.raises(UserError, match="a.nii"):
        read_nifti(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"hello world\n" * 99])
def test_text_named_nifti_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(UserError, match="no NIfTI image"):
        read_nifti(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("source", ["hippocampus/images", "acdc/val/images", "left-atrium/labels"])
def test_real_files_are_read_as_itk_reads_them(source: str) -> None:
    path = sorted(shared_data(*source.split("/")).iterdir())[0]
    volume, image = read_nifti(path), sitk.ReadImage(str(path))
    assert volume.geometry.difference(Geometry.from_sitk(image), tolerance_mm=1e-4) == ""
    np.testing.assert_allclose(volume.array, sitk.GetArrayFromImage(image), rtol=1e-6)


def _with(path: Path, code: str, place: int, *numbers: float) -> Path:
    """A plain NIfTI-1 file of version 1 whose header has ``numbers`` at ``place``."""
    write_nifti(path, ARRAY, sform=(1, np.eye(4)))
    content = bytearray(path.read_bytes())
    struct.pack_into(f"<{code}", content, place, *numbers)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 1.0, 347.0, 352.5, 1e9, 3e38])
def test_voxels_that_begin_in_the_header_or_nowhere_are_refused(tmp_path: Path, offset: float) -> None:
    with pytest.raises(UserError, match=r"begin at byte|cut short"):
        read_nifti(_with(tmp_path / "a.nii", "f", 108, offset))


def test_voxels_may_follow_the_header_at_once(tmp_path: Path) -> None:
    path = _with(tmp_path / "a.nii", "f", 108, 348.0)
    content = path.read_bytes()
    path.write_bytes(content[:348] + content[352:])
    np.testing.assert_array_equal(read_nifti(path).array, ARRAY)


@pytest.mark.parametrize("dim", [(0, 6, 5, 4), (-1, 6, 5, 4), (8, 6, 5, 4), (32767, 6, 5, 4), (3, -6, 5, 4),
                                 (3, 0, 5, 4), (3, 32767, 32767, 32767), (2, 6, 5, 4), (4, 6, 5, 4, 2)])
def test_sizes_that_no_scan_has_are_refused(tmp_path: Path, dim: tuple[int, ...]) -> None:
    with pytest.raises(UserError):
        read_nifti(_with(tmp_path / "a.nii", f"{len(dim)}h", 40, *dim))


@pytest.mark.parametrize("code", [0, -1, 1, 3, 32, 128, 1536, 1792, 2048, 2304, 32767])
def test_a_data_type_of_no_single_number_is_refused_with_those_that_are_read(tmp_path: Path, code: int) -> None:
    with pytest.raises(UserError, match=f"data type {code}; .*2, 4, 8, 16, 64, 256, 512"):
        read_nifti(_with(tmp_path / "a.nii", "h", 70, code))


@pytest.mark.parametrize(("slope", "intercept"), [(float("nan"), 0.0), (float("inf"), 0.0), (1.0, float("nan")),
                                                  (float("nan"), float("nan"))])
def test_a_slope_that_is_no_number_is_not_used_and_a_warning_says_so(
        tmp_path: Path, slope: float, intercept: float) -> None:
    volume = read_nifti(_with(tmp_path / "a.nii", "2f", 112, slope, intercept))
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert "taken as stored" in volume.warnings[0]


@pytest.mark.parametrize("size", [float("nan"), float("inf")])
def test_a_voxel_size_that_is_no_number_is_refused_where_the_grid_needs_it(tmp_path: Path, size: float) -> None:
    path = _with(tmp_path / "a.nii", "f", 80, size)
    assert read_nifti(path).geometry.spacing_mm == (1.0, 1.0, 1.0)
    content = bytearray(path.read_bytes())
    content[254:256] = b"\0\0"
    path.write_bytes(content)
    with pytest.raises(UserError, match="pixdim"):
        read_nifti(path)


def test_a_voxel_size_of_0_is_taken_as_1_mm_with_a_warning(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", ARRAY, pixdim=(0.0, 2.0, 3.0))
    volume = read_nifti(path)
    assert volume.geometry.spacing_mm == (1.0, 2.0, 3.0) and any("taken as 1 mm" in odd for odd in volume.warnings)


def test_a_packed_file_whose_checksum_is_wrong_is_refused_also_where_more_follows(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", ARRAY)
    packed = bytearray(gzip.compress(path.read_bytes() + b"behind the voxels" * 99))
    packed[-8] ^= 1
    (tmp_path / "b.nii.gz").write_bytes(packed)
    with pytest.raises(UserError, match="damaged"):
        read_nifti(tmp_path / "b.nii.gz")


def test_a_packed_file_that_hardly_ends_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", ARRAY)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(path.read_bytes() + b"\0" * 2**26))
    with pytest.raises(UserError, match="goes on after its last voxel"):
        read_nifti(tmp_path / "b.nii.gz")
