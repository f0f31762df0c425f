"""Places: moves all views to a voxel of a volume, in the world's millimetres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import vtk

_MARGIN = 0.1
"""Part of a view at each edge that counts as out of sight."""


def world_of(volume: slicer.vtkMRMLVolumeNode, ijk: Sequence[int]) -> tuple[float, ...]:
    """(R, A, S) in the world of a voxel's centre, through all parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    local = matrix.MultiplyPoint((*ijk, 1.0))[:3]
    world = [0.0, 0.0, 0.0]
    volume.TransformPointToWorld(local, world)
    return tuple(world)


def jump_to(point: Sequence[float]) -> None:
    """Bring a point of the world into sight in every slice view, mark it, and turn the 3-D views around it."""
    for slice_node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        slice_node.JumpSliceByOffsetting(*point)
        if not _is_well_in_sight(slice_node, point):
            slice_node.JumpSliceByCentering(*point)
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is not None:
        crosshair.SetCrosshairRAS(point)
        if crosshair.GetCrosshairMode() == slicer.vtkMRMLCrosshairNode.NoCrosshair:
            crosshair.SetCrosshairMode(slicer.vtkMRMLCrosshairNode.ShowSmallBasic)
    for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        _look_at(camera, point)


def _is_well_in_sight(slice_node: slicer.vtkMRMLSliceNode, point: Sequence[float]) -> bool:
    """Whether a point is seen away from the edges of a slice view; of a light box any sheet will do."""
    matrix = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(slice_node.GetXYToRAS(), matrix)
    pixel, size = matrix.MultiplyPoint((*point, 1.0)), slice_node.GetDimensions()
    return all(_MARGIN * length <= at <= (1 - _MARGIN) * length for at, length in zip(pixel[:2], size[:2], strict=True))


def _look_at(camera: slicer.vtkMRMLCameraNode, point: Sequence[float]) -> None:
    """Move a camera as a whole, so that it looks at the point from the side and distance it has."""
    way = np.array(point) - camera.GetFocalPoint()
    with slicer.util.NodeModify(camera):
        camera.SetPosition(np.array(camera.GetPosition()) + way)
        camera.SetFocalPoint(point)
    camera.ResetClippingRange()
