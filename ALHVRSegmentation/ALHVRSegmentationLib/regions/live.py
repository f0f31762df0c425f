"""Live: rewrites the regions for another threshold, first where slices show them, then everywhere."""

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ALHVRSegmentationLib.regions.planes import voxels_at_points, voxels_on_plane
from ALHVRSegmentationLib.regions.result import BETA
from ALHVRSegmentationLib.regions.values import region_of, write_regions


@dataclass(frozen=True)
class Touched:
    """The voxels of one slice with their confidences, good as long as `state` is the same."""

    state: tuple
    flat: np.ndarray
    con_a: np.ndarray
    con_b: np.ndarray


class LiveRegions:
    """Moves the voxels of region label maps to other betas; keeps only what the visible slices touch."""

    def __init__(self):
        self._touched = {}

    def preview(self, result, beta):
        """Rewrite the voxels that visible slices touch; the others stay behind until complete(). False: parts gone."""
        arrays = result.arrays()
        if arrays is None:
            self.forget()
            return False
        level, state = result.level(beta), result.confidence_state()
        layers = _visible_layers(result.node())
        self._touched = {key: touched for key, touched in self._touched.items() if key in layers}
        if any(logic.GetSliceNode().GetSlabReconstructionEnabled() for logic in layers.values()):
            return self.complete(result, beta)  # a thick slab shows more than a plane
        flat_regions = arrays.regions.reshape(-1)
        for key, layer in layers.items():
            touched = self._voxels(key, layer, arrays, state)
            flat_regions[touched.flat] = region_of(touched.con_a, touched.con_b, level)
        slicer.util.arrayFromVolumeModified(result.node())
        return True

    def complete(self, result, beta):
        """Rewrite every voxel, and note the beta in the node. False when parts of the result have left the scene."""
        arrays = result.arrays()
        if arrays is None:
            self.forget()
            return False
        write_regions(arrays.regions, arrays.con_a, arrays.con_b, result.level(beta))
        node = result.node()
        with slicer.util.NodeModify(node):
            node.SetAttribute(BETA, f"{beta:.2f}")
            slicer.util.arrayFromVolumeModified(node)
        return True

    def forget(self):
        """Let go of everything gathered."""
        self._touched = {}

    def _voxels(self, key, layer, arrays, state):
        """Touched of a layer: gathered once for each place of the slice."""
        state = (*state, *_place(layer))
        touched = self._touched.get(key)
        if touched is None or touched.state != state:
            flat = _voxels_of(layer, arrays.regions.shape)
            con_a, con_b = (array.reshape(-1)[flat] for array in (arrays.con_a, arrays.con_b))
            touched = self._touched[key] = Touched(state, flat, con_a, con_b)
        return touched


def _place(layer):
    """What tells one place of a slice in a volume from another."""
    slice_node, volume, matrix = layer.GetSliceNode(), layer.GetVolumeNode(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    parent = volume.GetParentTransformNode()
    moved = (parent.GetID(), parent.GetTransformToWorldMTime()) if parent is not None else ()
    elements = [slicer.util.arrayFromVTKMatrix(part).tobytes() for part in (matrix, slice_node.GetXYToRAS())]
    return (volume.GetID(), moved, *elements, slice_node.GetDimensions())


def _visible_layers(node):
    """The layers of slices in the layout, or in a 3-D view, that show a volume: {(slice, layer): layer logic}."""
    logics = slicer.app.applicationLogic().GetSliceLogics()
    layers = {}
    for number in range(logics.GetNumberOfItems() if logics is not None else 0):
        logic = logics.GetItemAsObject(number)
        slice_node = logic.GetSliceNode()
        if slice_node is None or not (slice_node.IsMappedInLayout() or slice_node.GetSliceVisible()):
            continue
        for name in ("Background", "Foreground", "Label"):
            layer = getattr(logic, f"Get{name}Layer")()
            if layer is not None and layer.GetVolumeNode() is node:
                layers[slice_node.GetID(), name] = layer
    return layers


def _voxels_of(layer, shape):
    """Flat indices of the voxels that a slice touches, all sheets of a light box; every voxel once in a sheet."""
    transform, linear = layer.GetXYToIJKTransform(), vtk.vtkTransform()
    width, height, sheets = layer.GetSliceNode().GetDimensions()
    if slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(transform, linear):
        to_ijk = slicer.util.arrayFromVTKMatrix(linear.GetMatrix())
        origins = [to_ijk[:3] @ (0, 0, sheet, 1) for sheet in range(sheets)]
        found = [voxels_on_plane(origin, to_ijk[:3, 0], to_ijk[:3, 1], shape) for origin in origins]
    else:  # a transform bends the slice: ask it for every pixel
        pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
        points = [np.column_stack([pixels, np.full(len(pixels), sheet)]) for sheet in range(sheets)]
        found = [voxels_at_points(transformed(at, transform), shape) for at in points]
    return np.concatenate(found)


def transformed(points, transform):
    """Points [N, 3] through a VTK transform."""
    given, moved = vtk.vtkPoints(), vtk.vtkPoints()
    given.SetDataTypeToDouble()
    moved.SetDataTypeToDouble()
    given.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64), deep=True))
    transform.TransformPoints(given, moved)
    return vtk_to_numpy(moved.GetData()).copy()
