"""Small scenes for tests: volumes on any grid with one marked voxel, transforms, labels, segmentations of the user."""

from __future__ import annotations

from typing import Any

import numpy as np

ROTATED = np.array([[0.8, -0.6, 0.0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]])
GRIDS = {
    "axial": np.array([[-0.7, 0, 0], [0, -0.7, 0], [0, 0, 3.0]]),
    "sagittal": np.array([[0, 0, 2.5], [-0.9, 0, 0], [0, -0.9, 0]]),
    "coronal": np.array([[-0.9, 0, 0], [0, 0, 2.0], [0, -0.9, 0]]),
    "oblique": ROTATED @ np.diag([1.0, 1.0, 1.0]),
    "flipped": np.diag([1.1, -1.2, -1.3]),
    "anisotropic": ROTATED @ np.diag([0.4, 0.5, 7.0]),
    "sheared": ROTATED @ np.array([[1.0, 0.2, 0.1], [0, 1.5, -0.3], [0, 0, 2.0]]),
}
"""Columns: what a step along I, J, K is in mm, RAS."""
SHAPE = (5, 6, 7)
MARK = (3, 1, 4)
"""The marked voxel, K, J, I."""


def ijk_to_ras(kind: str) -> np.ndarray:
    """(4, 4) of a grid of GRIDS, away from the origin."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = GRIDS[kind], (-31.5, 12.25, 107.0)
    return matrix


def marked_voxels(dtype: Any = np.int16, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Different small numbers everywhere, the largest at MARK."""
    array = (np.arange(np.prod(shape)).reshape(shape) % 50).astype(dtype)
    array[MARK] = 100
    return array


def add_volume(array: np.ndarray, matrix: np.ndarray, name: str = "Scan") -> Any:
    """A scalar volume node."""
    import slicer

    return slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name=name)


def add_linear_transform(matrix: np.ndarray, parent: Any = None) -> Any:
    """A linear transform node, under another one where there is one."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(parent.GetID() if parent else None)
    return node


def moved(scale: float = 1.0) -> np.ndarray:
    """(4, 4) rotation and translation, and scaling."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = ROTATED.T * scale, (5.0, -60.0, 17.5)
    return matrix


def add_bending_transform() -> Any:
    """A transform node that is not linear: a thin-plate spline that moves one of some points."""
    import slicer
    import vtk

    spline, before, after = vtk.vtkThinPlateSplineTransform(), vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        point = np.array(corner) * 200.0 - 100.0
        before.InsertNextPoint(point)
        after.InsertNextPoint(point + (15.0 if corner == (1, 0, 1) else 0.0))
    spline.SetSourceLandmarks(before)
    spline.SetTargetLandmarks(after)
    spline.SetBasisToR()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(spline)
    return node


def labels(*names: str) -> tuple[Any, ...]:
    """Labels with values 1, 2, ..., colours and codes."""
    from alhvr.formats.labels import Code, Label

    category = Code("SCT", "123037004", "Anatomical Structure")
    return tuple(
        Label(value, name, (0.2 * value % 1, 0.5, 0.25), category, Code("SCT", f"{value}000", name))
        for value, name in enumerate(names, start=1)
    )


def world_points(segmentation_node: Any, segment_id: str) -> np.ndarray:
    """World RAS (N, 3) of the voxel centres of a segment, as Slicer's own nodes and transforms say."""
    import slicer
    import vtk

    image = slicer.vtkOrientedImageData()
    segmentation_node.GetBinaryLabelmapRepresentation(segment_id, image)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(segmentation_node.GetParentTransformNode(), None, to_world)
    extent = image.GetExtent()
    found = []
    for k, j, i in np.ndindex(*(image.GetDimensions()[::-1])):
        index = (i + extent[0], j + extent[2], k + extent[4])
        if image.GetScalarComponentAsDouble(*index, 0):
            found.append(to_world.TransformPoint(matrix.MultiplyPoint((*index, 1))[:3]))
    return np.array(found).reshape(-1, 3)


def world_point(volume_node: Any, kji: tuple[int, int, int]) -> np.ndarray:
    """World RAS of a voxel's centre, as Slicer's own nodes and transforms say."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volume_node.GetParentTransformNode(), None, to_world)
    return np.array(to_world.TransformPoint(matrix.MultiplyPoint((*kji[::-1], 1))[:3]))
