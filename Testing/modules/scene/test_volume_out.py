"""Volumes written for the engine lie where they lie in Slicer, whatever their grid, transform and number type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scene_worlds import (
    GRIDS,
    MARK,
    SHAPE,
    add_bending_transform,
    add_linear_transform,
    add_volume,
    ijk_to_ras,
    marked_voxels,
    moved,
    world_point,
)
from support import shared_data

RAS_TO_LPS = (-1, -1, 1)


def read_back(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and RAS of the marked voxel as the engine reads them."""
    reading = pytest.importorskip("alhvr.data.reading")
    scan = reading.read_scan(path)
    return scan.array, scan.geometry.index_to_lps([MARK[::-1]])[0] * RAS_TO_LPS


@pytest.mark.parametrize("kind", GRIDS)
def test_the_engine_reads_a_voxel_where_the_scene_has_it(kind: str, tmp_path: Path) -> None:
    from ALHVRLib.scene.export_volume import export_volume

    node = add_volume(marked_voxels(), ijk_to_ras(kind))
    export_volume(node, tmp_path / "scan.nrrd")
    array, place = read_back(tmp_path / "scan.nrrd")
    assert np.array_equal(array, marked_voxels())
    assert place == pytest.approx(world_point(node, MARK), abs=1e-9)
    assert place == pytest.approx((ijk_to_ras(kind) @ (*MARK[::-1], 1))[:3], abs=1e-9)


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("scale", [1.0, 1.7])
def test_linear_transforms_above_the_volume_are_part_of_its_place(kind: str, scale: float, tmp_path: Path) -> None:
    from ALHVRLib.scene.export_volume import export_volume

    node = add_volume(marked_voxels(), ijk_to_ras(kind))
    upper = add_linear_transform(moved(scale))
    node.SetAndObserveTransformNodeID(add_linear_transform(np.diag([1, 1, 0.5, 1]), upper).GetID())
    export_volume(node, tmp_path / "scan.nrrd")
    assert read_back(tmp_path / "scan.nrrd")[1] == pytest.approx(world_point(node, MARK), abs=1e-9)


def test_under_a_bending_transform_the_volume_keeps_its_own_space(tmp_path: Path) -> None:
    from ALHVRLib.scene.export_volume import export_volume

    node = add_volume(marked_voxels(), ijk_to_ras("oblique"))
    own = world_point(node, MARK)
    node.SetAndObserveTransformNodeID(add_bending_transform().GetID())
    assert np.abs(world_point(node, MARK) - own).max() > 0.1
    export_volume(node, tmp_path / "scan.nrrd")
    assert read_back(tmp_path / "scan.nrrd")[1] == pytest.approx(own, abs=1e-9)


def test_an_image_that_does_not_begin_at_zero_keeps_its_place(tmp_path: Path) -> None:
    from ALHVRLib.scene.export_volume import export_volume

    node = add_volume(marked_voxels(), ijk_to_ras("sheared"))
    expected = world_point(node, (MARK[0] + 30, MARK[1] + 20, MARK[2] + 10))
    node.GetImageData().SetExtent(10, 16, 20, 25, 30, 34)
    export_volume(node, tmp_path / "scan.nrrd")
    assert read_back(tmp_path / "scan.nrrd")[1] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
def test_every_number_type_arrives(dtype: str, tmp_path: Path) -> None:
    from ALHVRLib.scene.export_volume import export_volume

    export_volume(add_volume(marked_voxels(dtype), np.eye(4)), tmp_path / "scan.nrrd")
    assert np.array_equal(read_back(tmp_path / "scan.nrrd")[0], marked_voxels(dtype))


@pytest.mark.parametrize("kind", ["VTK_LONG_LONG", "VTK_UNSIGNED_LONG", "VTK_SIGNED_CHAR"])
def test_number_types_that_only_files_bring_arrive_too(kind: str, tmp_path: Path) -> None:
    import slicer
    import vtk

    from ALHVRLib.scene.export_volume import export_volume

    node = add_volume(marked_voxels(), np.eye(4))
    node.GetImageData().AllocateScalars(getattr(vtk, kind), 1)
    slicer.util.arrayFromVolume(node)[:] = marked_voxels()
    export_volume(node, tmp_path / "scan.nrrd")
    assert np.array_equal(read_back(tmp_path / "scan.nrrd")[0], marked_voxels())


def test_one_slice_is_enough(tmp_path: Path) -> None:
    from ALHVRLib.scene.export_volume import export_volume

    node = add_volume(np.arange(12, dtype=np.int16).reshape(1, 3, 4), ijk_to_ras("oblique"))
    export_volume(node, tmp_path / "scan.nrrd")
    assert read_back(tmp_path / "scan.nrrd")[0].shape == (1, 3, 4)


def test_colours_vectors_emptiness_and_flatness_are_refused_in_a_sentence(tmp_path: Path) -> None:
    import slicer

    from ALHVRLib.scene.errors import SceneError
    from ALHVRLib.scene.export_volume import export_volume

    colour = slicer.util.addVolumeFromArray(np.zeros((2, 3, 4, 3), np.uint8), nodeClassName="vtkMRMLVectorVolumeNode")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    flat = add_volume(marked_voxels(), np.eye(4), "Flat")
    flat.SetAndObserveTransformNodeID(add_linear_transform(np.diag([1.0, 1.0, 0.0, 1.0])).GetID())
    for node, word in ((colour, "3 components"), (empty, "Nothing"), (flat, "Flat")):
        with pytest.raises(SceneError, match=word):
            export_volume(node, tmp_path / "scan.nrrd")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    from ALHVRLib.scene.errors import SceneError
    from ALHVRLib.scene.export_volume import export_volume

    with pytest.raises(SceneError, match="could not be written"):
        export_volume(add_volume(marked_voxels(), np.eye(4)), tmp_path / "no" / "scan.nrrd")


@pytest.mark.parametrize("name", ["hippocampus", "acdc", "left-atrium"])
def test_a_real_scan_is_the_same_for_the_engine_through_slicer(name: str, tmp_path: Path) -> None:
    import slicer

    from ALHVRLib.scene.export_volume import export_volume

    reading = pytest.importorskip("alhvr.data.reading")
    source = next(path for path in sorted(shared_data(name).rglob("*.nii.gz")) if "image" in path.parent.name)
    node = slicer.util.loadVolume(str(source))
    export_volume(node, tmp_path / "scan.nrrd")
    original, through = reading.read_scan(source), reading.read_scan(tmp_path / "scan.nrrd")
    assert np.array_equal(original.array, through.array)
    assert original.geometry.difference(through.geometry, 1e-3) == ""


def test_a_real_oblique_dicom_series_is_the_same_for_the_engine_through_slicer(tmp_path: Path) -> None:
    import slicer

    from ALHVRLib.scene.export_volume import export_volume

    reading = pytest.importorskip("alhvr.data.reading")
    sitk = pytest.importorskip("SimpleITK")
    folder = sorted(shared_data("brain-dicom").rglob("*.dcm"))[0].parent
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    sitk.WriteImage(sitk.ReadImage(names), str(tmp_path / "series.nrrd"))
    node = slicer.util.loadVolume(str(tmp_path / "series.nrrd"))
    export_volume(node, tmp_path / "scan.nrrd")
    original, through = reading.read_scan(folder), reading.read_scan(tmp_path / "scan.nrrd")
    for lps in original.geometry.index_to_lps([[100, 200, 3], [300, 250, 15]]):
        there, here = (np.rint(scan.geometry.lps_to_index([lps])[0]).astype(int)[::-1] for scan in (original, through))
        assert original.array[tuple(there)] == through.array[tuple(here)] > 0
        assert through.geometry.index_to_lps([here[::-1]])[0] == pytest.approx(lps, abs=0.05)
    assert 0.1 < abs(original.geometry.direction[5]) < 0.9  # oblique


def test_sizes_are_as_in_the_scene(tmp_path: Path) -> None:
    from ALHVRLib.scene.export_volume import export_volume

    export_volume(add_volume(marked_voxels(), np.eye(4)), tmp_path / "a ü.nrrd")
    assert read_back(tmp_path / "a ü.nrrd")[0].shape == SHAPE
