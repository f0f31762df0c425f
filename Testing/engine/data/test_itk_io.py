"""NRRD and MetaImage: same grid out as in, and one clear line for what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from grids import random_geometry

from alhvr.core.errors import UserError
from alhvr.data.itk_io import read_itk, read_itk_header

ENDINGS = [".nrrd", ".nhdr", ".mha", ".mhd"]


def _image(shape: tuple[int, ...] = (12, 13, 14), **kind: bool) -> sitk.Image:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return sitk.GetImageFromArray(array, **kind)


@pytest.mark.parametrize("ending", ENDINGS)
def test_any_grid_survives_a_file(tmp_path: Path, ending: str) -> None:
    grid = random_geometry(np.random.default_rng(1))
    image = _image(grid.shape_kji)
    grid.stamp(image)
    sitk.WriteImage(image, str(tmp_path / f"a{ending}"))
    volume = read_itk(tmp_path / f"a{ending}")
    assert volume.geometry.difference(grid, tolerance_mm=1e-4) == ""
    assert read_itk_header(tmp_path / f"a{ending}") == (volume.geometry, volume.array.dtype)
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_a_file_cut_short_is_refused_silently(
    tmp_path: Path, capfd: pytest.CaptureFixture, ending: str, packed: bool
) -> None:
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(_image(), str(path), packed)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="cut short"):
        read_itk(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_a_header_without_its_data_file_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(_image(), str(path))
    next(other for other in tmp_path.iterdir() if other != path).unlink()
    with pytest.raises(UserError, match=path.name):
        read_itk(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("ending", ENDINGS)
def test_text_of_that_name_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a{ending}").write_text("hello world\n" * 99)
    with pytest.raises(UserError, match="another kind"):
        read_itk(tmp_path / f"a{ending}")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (_image((8, 8)), "2 axes"),
        (_image((2, 8, 8, 8), isVector=False), "4 axes"),
        (_image((8, 8, 8, 3), isVector=True), "3 components per voxel"),
        (sitk.Cast(_image(), sitk.sitkComplexFloat32), "2 components per voxel"),
    ],
)
def test_images_that_are_not_one_volume_are_refused(tmp_path: Path, image: sitk.Image, words: str) -> None:
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    with pytest.raises(UserError, match=words):
        read_itk_header(tmp_path / "a.mha")


def test_overlapping_segments_are_refused_with_a_way_out(tmp_path: Path) -> None:
    sitk.WriteImage(_image((8, 8, 8, 2), isVector=True), str(tmp_path / "a.seg.nrrd"))
    with pytest.raises(UserError, match="overlap.*labelmap"):
        read_itk(tmp_path / "a.seg.nrrd")
