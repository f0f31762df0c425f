"""Places: moves all views to a voxel of a volume, in the world's millimetres."""

import numpy as np
import slicer
import vtk


def world_of(volume, ijk):
    """(R, A, S) in the world of a voxel's centre, through all parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    local = matrix.MultiplyPoint((*ijk, 1.0))[:3]
    world = [0.0, 0.0, 0.0]
    volume.TransformPointToWorld(local, world)
    return tuple(world)


def jump_to(point):
    """Bring a point of the world into the middle of every slice view, mark it, and turn the 3-D views around it."""
    slice_nodes = slicer.vtkMRMLSliceNode
    slice_nodes.JumpAllSlices(slicer.mrmlScene, *point, slice_nodes.CenteredJumpSlice)
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is not None:
        crosshair.SetCrosshairRAS(point)
        if crosshair.GetCrosshairMode() == slicer.vtkMRMLCrosshairNode.NoCrosshair:
            crosshair.SetCrosshairMode(slicer.vtkMRMLCrosshairNode.ShowSmallBasic)
    for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        _look_at(camera, point)


def _look_at(camera, point):
    """Move a camera as a whole, so that it looks at the point from the side and distance it has."""
    way = np.array(point) - camera.GetFocalPoint()
    with slicer.util.NodeModify(camera):
        camera.SetPosition(np.array(camera.GetPosition()) + way)
        camera.SetFocalPoint(point)
    camera.ResetClippingRange()
