"""Result: a label map of regions with all that belongs to it, and the engine's threshold for every beta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from alhvr.formats.region_tables import GammaCurve, RegionTable, parse_table, step_of

TABLE = "ALHVR.RegionTable"
BETA = "ALHVR.Beta"
"""Attribute: the beta that the voxels of the label map are at; without it, that of the table."""
CONFIDENCE_A, CONFIDENCE_B, TEACHER = "ALHVR.ConfidenceA", "ALHVR.ConfidenceB", "ALHVR.Teacher"
SCAN = "ALHVR.Scan"


@dataclass(frozen=True)
class Arrays:
    """Views [K, J, I] of the voxels in the scene; kept for one piece of work, never longer."""

    regions: np.ndarray
    con_a: np.ndarray
    con_b: np.ndarray


class RegionResult:
    """The regions of one scan. Holds the node's ID and its table; UserError where it has none."""

    def __init__(self, node: slicer.vtkMRMLLabelMapVolumeNode) -> None:
        self.node_id = node.GetID()
        self._text = node.GetAttribute(TABLE) or ""
        self.table: RegionTable = parse_table(self._text)
        self._state = self.confidence_state()
        self._counts = None

    def is_of(self, node: slicer.vtkMRMLLabelMapVolumeNode) -> bool:
        """Whether this is the result that a label map node carries now; a later run may have filled it anew."""
        same_node = node.GetID() == self.node_id and node.GetAttribute(TABLE) == self._text
        return same_node and self.confidence_state() == self._state

    def confidence_state(self) -> tuple:
        """Changes with every voxel of the confidences; () where a part is gone."""
        nodes = [self.other(role) for role in (CONFIDENCE_A, CONFIDENCE_B)]
        if any(node is None or node.GetImageData() is None for node in nodes):
            return ()
        return tuple((node.GetID(), node.GetImageData().GetMTime()) for node in nodes)

    def node(self) -> slicer.vtkMRMLLabelMapVolumeNode | None:
        """The label map node, or None when it has left the scene."""
        return slicer.mrmlScene.GetNodeByID(self.node_id)

    def other(self, role: str) -> slicer.vtkMRMLNode | None:
        """The node in a role (ALHVR.Scan, ...), or None."""
        node = self.node()
        return node.GetNodeReference(role) if node is not None else None

    def arrays(self) -> Arrays | None:
        """Arrays of the scene, or None when a part of them is gone or does not fit."""
        nodes = [self.node(), self.other(CONFIDENCE_A), self.other(CONFIDENCE_B)]
        if any(node is None or node.GetImageData() is None for node in nodes):
            return None
        regions, con_a, con_b = (slicer.util.arrayFromVolume(node) for node in nodes)
        fits = regions.shape == con_a.shape == con_b.shape and con_a.dtype == con_b.dtype == np.uint16
        return Arrays(regions, con_a, con_b) if fits else None

    def teacher(self) -> np.ndarray | None:
        """The teacher's uint16 certainty [K, J, I] like the regions, or None."""
        nodes = [self.node(), self.other(TEACHER)]
        if any(node is None or node.GetImageData() is None for node in nodes):
            return None
        regions, teacher = (slicer.util.arrayFromVolume(node) for node in nodes)
        return teacher if teacher.shape == regions.shape and teacher.dtype == np.uint16 else None

    def beta(self) -> float:
        """The beta that the voxels of the label map are at."""
        node = self.node()
        try:
            return min(max(float(node.GetAttribute(BETA)), 0.0), 1.0)
        except (AttributeError, TypeError, ValueError):
            return self.table.beta

    def level(self, beta: float) -> int:
        """The threshold for a beta: the smallest uint16 confidence that counts as confident."""
        return self.table.level[step_of(beta)]

    def voxel_ml(self) -> float:
        """Volume of a voxel in the world in ml, sheared or scaled as it may be; a transform that bends is left out."""
        return abs(float(np.linalg.det(self._to_world()))) / 1000

    def spacing_mm(self) -> tuple[float, ...]:
        """Edges of a voxel in the world along K, J, I; 1 where they cannot be told."""
        edges = np.linalg.norm(self._to_world(), axis=0)[::-1]
        return tuple(float(edge) if np.isfinite(edge) and edge > 0 else 1.0 for edge in edges)

    def _to_world(self) -> np.ndarray:
        """[3, 3] from (I, J, K) to the world."""
        node, matrix, above = self.node(), vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
        if node is None:
            return np.zeros((3, 3))
        node.GetIJKToRASMatrix(matrix)
        parent = node.GetParentTransformNode()
        if parent is not None and parent.IsTransformToWorldLinear():
            parent.GetMatrixTransformToWorld(above)
        return (slicer.util.arrayFromVTKMatrix(above) @ slicer.util.arrayFromVTKMatrix(matrix))[:3, :3]

    def volumes_ml(self, beta: float) -> tuple[float, ...] | None:
        """ml of regions 1, 2 and 3 at a beta, or None when the voxels are gone."""
        if self.table.voxels is not None:
            voxels = self.table.voxels[step_of(beta)]
        else:
            counts = self._counted()
            if counts is None:
                return None
            voxels = counts.voxels(self.level(beta))
        voxel_ml = self.voxel_ml()
        return tuple(count * voxel_ml for count in voxels)

    def _counted(self) -> GammaCurve | None:
        """Made once."""
        arrays = self.arrays() if self._counts is None else None
        if arrays is not None:
            self._counts = GammaCurve(arrays.con_a, arrays.con_b)
        return self._counts
