"""Small scans with confidences for tests of the regions: any grid, any parent transform, as a result in the scene."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from alhvr.formats.region_tables import REGION_NAMES, GammaCurve, region_map, threshold_level

SHAPE = (9, 14, 11)
OBLIQUE = np.array([[0.9, -0.7, 0.4, -12.0], [0.5, 1.1, 0.3, 7.0], [-0.6, 0.1, 2.2, 3.0], [0, 0, 0, 1]])
"""Sheared as well: its columns are not at right angles."""


@dataclass(frozen=True)
class World:
    """A result in the scene, and what the engine says of it."""

    node: Any
    con_a: np.ndarray
    con_b: np.ndarray
    curve: GammaCurve

    def engine_regions(self, beta: float) -> np.ndarray:
        """The region map that the engine computes for a beta."""
        return region_map(self.con_a, self.con_b, self.curve.gamma(round(beta, 2)))

    def shown(self) -> np.ndarray:
        """A copy of the voxels in the scene."""
        import slicer

        return slicer.util.arrayFromVolume(self.node).copy()


def confidences(shape: tuple[int, int, int] = SHAPE, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Two uint16 maps [K, J, I]: sure in most places, unsure in smooth patches, with ties at 65535."""
    generator = np.random.default_rng(seed)
    rough = generator.normal(size=(2, *shape))
    for axis in (1, 2, 3):
        rough = rough + np.roll(rough, 1, axis) + np.roll(rough, -1, axis)
    rough = 1 - np.clip(rough / rough.std() * 0.2 + 0.1, 0, 0.6)
    return tuple((rough * 65535).round().astype(np.uint16))


def table_of(con_a: np.ndarray, con_b: np.ndarray, beta: float = 0.8, **more: object) -> dict:
    """What the engine writes into NAME.regions.json."""
    curve = GammaCurve(con_a, con_b)
    gammas = curve.table()
    return {
        "beta": beta,
        "gamma": curve.gamma(beta),
        "gamma_by_beta": {f"{key:.2f}": gamma for key, gamma in gammas.items()},
        "threshold_by_beta": {f"{key:.2f}": threshold_level(gamma) for key, gamma in gammas.items()},
        **more,
    }


def make_result(
    shape: tuple[int, int, int] = SHAPE,
    ijk_to_ras: np.ndarray = OBLIQUE,
    arrays: tuple[np.ndarray, np.ndarray] | None = None,
    teacher: np.ndarray | None = None,
    **table: object,
) -> World:
    """A scan, its segmentation and its regions at beta 0.8 in the scene, as the Segment section leaves them."""
    import slicer

    from ALHVRLib.scene import region_layers
    from ALHVRSegmentationLib.regions import result

    con_a, con_b = arrays if arrays is not None else confidences(shape)
    curve = GammaCurve(con_a, con_b)
    volume, label_map = "vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode"
    scan = slicer.util.addVolumeFromArray(con_a.astype(np.int16) // 100, ijk_to_ras, "scan", volume)
    regions = region_map(con_a, con_b, curve.gamma(0.8))
    node = slicer.util.addVolumeFromArray(regions, ijk_to_ras, "scan regions", label_map)
    node.GetDisplayNode().SetAndObserveColorNodeID(region_colours().GetID())
    node.SetAttribute(result.TABLE, json.dumps(table_of(con_a, con_b, **table)))
    parts = {result.CONFIDENCE_A: con_a, result.CONFIDENCE_B: con_b, result.TEACHER: teacher}
    for role, array in parts.items():
        if array is not None:
            node.SetNodeReferenceID(role, slicer.util.addVolumeFromArray(array, ijk_to_ras, role, volume).GetID())
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "scan segmentation")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    node.SetNodeReferenceID(result.SCAN, scan.GetID())
    node.SetNodeReferenceID(region_layers.SEGMENTATION, segmentation.GetID())
    return World(node, con_a, con_b, curve)


def region_colours() -> Any:
    """A colour table with the three names."""
    import slicer

    colours = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", "regions")
    colours.SetTypeToUser()
    colours.SetNumberOfColors(4)
    colours.SetColor(0, "background", 0, 0, 0, 0)
    for value, name in REGION_NAMES.items():
        colours.SetColor(value, name, value / 3, 0.5, 0.5, 1)
    return colours


def move_under(world: World, matrix: np.ndarray) -> Any:
    """Put a transform over the scan and everything of its result."""
    import slicer

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        node.SetAndObserveTransformNodeID(transform.GetID())
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        node.SetAndObserveTransformNodeID(transform.GetID())
    return transform
