"""Live update: rewrites the regions for another threshold, first where slices show them, then everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import qt
import slicer
import vtk

from alhvr.formats.region_tables import STEPS, are_regions, regions_at, step_of, write_regions
from ALHVRLib.places.components import transformed
from ALHVRSegmentationLib.regions.result import BETA, Arrays, RegionResult

_SLACK = 1e-3
"""Part of a voxel by which a voxel counts as touched although the plane passes beside it: more than rounding errs."""
_REST_MS = 150
"""So long after the last move, by mouse or key, the whole volume follows."""


def voxels_on_plane(origin: np.ndarray, along_x: np.ndarray, along_y: np.ndarray,
                    shape_kji: tuple[int, ...]) -> np.ndarray:
    """Flat indices into a C-ordered KJI array of the voxels that an infinite plane touches.

    origin: a point of the plane in voxel coordinates (I, J, K), voxel centres being whole numbers; along_x, along_y:
    two directions in it. A plane that has lost a direction touches none.
    """
    size = np.array(shape_kji[::-1])
    strides = np.array([1, size[0], size[0] * size[1]], np.intp)
    normal = np.cross(along_x, along_y)
    deep = int(np.argmax(np.abs(normal)))
    if not np.isfinite(normal).all() or abs(normal[deep]) < 1e-12:
        return np.empty(0, np.intp)
    p, q = (axis for axis in (2, 1, 0) if axis != deep)
    slope_p, slope_q = normal[p] / normal[deep], normal[q] / normal[deep]
    depth = (
        origin[deep]
        - slope_p * (np.arange(size[p])[:, None] - origin[p])
        - slope_q * (np.arange(size[q])[None, :] - origin[q])
    )
    column = strides[p] * np.arange(size[p])[:, None] + strides[q] * np.arange(size[q])[None, :]
    reach = (abs(slope_p) + abs(slope_q)) / 2 + 0.5 + _SLACK
    lowest = np.ceil(depth - reach).astype(np.intp)
    found = []
    for number in range(int(2 * reach) + 1):
        level = lowest + number
        touched = (level >= 0) & (level < size[deep]) & (level <= depth + reach)
        found.append((column + level * strides[deep])[touched])
    return np.concatenate(found)


def voxels_at_points(points: np.ndarray, shape_kji: tuple[int, ...]) -> np.ndarray:
    """Flat indices of the voxels that hold the points [N, 3] in voxel coordinates, those of a tie all; each once."""
    size = np.array(shape_kji[::-1])
    found = []
    for shift in np.ndindex(2, 2, 2):
        voxel = np.floor(points + 0.5 + (np.array(shift) * 2 - 1) * _SLACK)
        inside = np.isfinite(voxel).all(axis=1) & (voxel >= 0).all(axis=1) & (voxel < size).all(axis=1)
        i, j, k = voxel[inside].astype(np.intp).T
        found.append(np.unique((k * size[1] + j) * size[0] + i))
    return np.unique(np.concatenate(found))


@dataclass(frozen=True)
class Touched:
    """The voxels of one slice with their confidences, good as long as `state` is the same."""

    state: tuple
    flat: np.ndarray
    con_a: np.ndarray
    con_b: np.ndarray


class LiveRegions:
    """Moves the voxels of region label maps to other betas; keeps only what the visible slices touch."""

    def __init__(self) -> None:
        self._touched = {}

    def preview(self, result: RegionResult, beta: float) -> bool:
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
            flat_regions[touched.flat] = regions_at(touched.con_a, touched.con_b, level)
        slicer.util.arrayFromVolumeModified(result.node())
        return True

    def complete(self, result: RegionResult, beta: float) -> bool:
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

    def forget(self) -> None:
        """Let go of everything gathered."""
        self._touched = {}

    def _voxels(self, key: tuple[str, str], layer: slicer.vtkMRMLSliceLayerLogic, arrays: Arrays,
                state: tuple) -> Touched:
        """Touched of a layer: gathered once for each place of the slice."""
        state = (*state, *_place(layer))
        touched = self._touched.get(key)
        if touched is None or touched.state != state:
            flat = _voxels_of(layer, arrays.regions.shape)
            con_a, con_b = (array.reshape(-1)[flat] for array in (arrays.con_a, arrays.con_b))
            touched = self._touched[key] = Touched(state, flat, con_a, con_b)
        return touched


def _place(layer: slicer.vtkMRMLSliceLayerLogic) -> tuple:
    """What tells one place of a slice in a volume from another."""
    slice_node, volume, matrix = layer.GetSliceNode(), layer.GetVolumeNode(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    parent = volume.GetParentTransformNode()
    moved = (parent.GetID(), parent.GetTransformToWorldMTime()) if parent is not None else ()
    elements = [slicer.util.arrayFromVTKMatrix(part).tobytes() for part in (matrix, slice_node.GetXYToRAS())]
    return (volume.GetID(), moved, *elements, slice_node.GetDimensions())


def _visible_layers(node: slicer.vtkMRMLNode) -> dict[tuple[str, str], slicer.vtkMRMLSliceLayerLogic]:
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


def _voxels_of(layer: slicer.vtkMRMLSliceLayerLogic, shape: tuple[int, ...]) -> np.ndarray:
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


class BetaController:
    """Moves one result at a time.

    onSettled() when all its voxels are at the slider's beta; onLost() when a part of it has left the scene.
    """

    def __init__(self, onSettled: Callable[[], None], onLost: Callable[[], None]) -> None:
        self._onSettled = onSettled
        self._onLost = onLost
        self._live = LiveRegions()
        self._pending = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST_MS)
        self._timer.connect("timeout()", self.finish)

    @property
    def isBehind(self) -> bool:
        """Whether voxels out of sight are at another beta than the slider."""
        return self._pending is not None

    def check(self, result: RegionResult) -> None:
        """Make every voxel of a result that is new here be at its beta: its file may be older than its scene."""
        arrays = result.arrays()
        if arrays is None:
            return
        if not are_regions(arrays.regions, arrays.con_a, arrays.con_b, result.level(result.beta())):
            self._live.complete(result, result.beta())

    def follow(self, result: RegionResult, beta: float) -> None:
        """Move to a beta unless the result is there, or on the way there."""
        at = self._pending[1] if self._pending is not None else result.beta()
        if step_of(at) != step_of(beta):
            self.move(result, beta)

    def move(self, result: RegionResult, beta: float) -> bool:
        """Let the slices show a beta now, and the rest when the slider rests; False when the result is lost."""
        beta = step_of(beta) / STEPS
        if not self._live.preview(result, beta):
            self.drop()
            self._onLost()
            return False
        self._pending = (result, beta)
        self._timer.start()
        return True

    def finish(self, *_arguments: object) -> None:
        """Let every voxel follow now."""
        self._timer.stop()
        if self._pending is None:
            return
        (result, beta), self._pending = self._pending, None
        if self._live.complete(result, beta):
            self._onSettled()
        else:
            self._onLost()

    def drop(self) -> None:
        """Forget the result and where it was to go."""
        self._timer.stop()
        self._pending = None
        self._live.forget()
