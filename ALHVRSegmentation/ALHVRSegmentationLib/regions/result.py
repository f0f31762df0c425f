"""Result: a label map of regions with all that belongs to it, and the engine's threshold for every beta."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import slicer
import vtk

RELIABLE_STABLE, RELIABLE_UNSTABLE, UNRELIABLE_STABLE = 1, 2, 3
"""Both networks confident, one of them, none: the values of a region map."""

STEPS = 100
"""Steps of beta from 0 to 1 in a table."""

_LEVELS = 65536
_CHUNK = 1 << 20
"""Voxels looked at at once, so that they stay in the processor's cache."""
TABLE = "ALHVR.RegionTable"
BETA = "ALHVR.Beta"
"""Attribute: the beta that the voxels of the label map are at; without it, that of the table."""
CONFIDENCE_A, CONFIDENCE_B, TEACHER = "ALHVR.ConfidenceA", "ALHVR.ConfidenceB", "ALHVR.Teacher"
SCAN, SEGMENTATION = "ALHVR.Scan", "ALHVR.Segmentation"


@dataclass(frozen=True)
class RegionTable:
    """What the engine tells of a result; every tuple has an entry for beta 0.00, 0.01, ... 1.00."""

    beta: float
    """Of the region map as it was written."""
    gamma: tuple
    """Threshold of Eq. 11, 0 to 1."""
    level: tuple
    """Smallest uint16 confidence (65535 = 1) that is at least gamma."""
    voxels: tuple | None
    """Voxels of regions 1, 2 and 3, where the engine counted them."""
    fusion: str
    """How the networks were joined, "" where the result does not tell."""
    temperature: float | None
    """T of Eq. 22, None where the result does not tell."""
    nominal: bool
    """True where voxels of 1 mm may stand for an unknown size, so that ml are not to be relied on."""


def parse_table(text: str) -> RegionTable:
    """The RegionTable in the text of a NAME.regions.json; ValueError with a sentence where it is none."""
    try:
        record = json.loads(text)
        keys = [f"{step / STEPS:.2f}" for step in range(STEPS + 1)]
        counts = record.get("voxels_by_beta")
        table = RegionTable(
            beta=float(record["beta"]),
            gamma=tuple(float(record["gamma_by_beta"][key]) for key in keys),
            level=tuple(int(record["threshold_by_beta"][key]) for key in keys),
            voxels=tuple(tuple(int(count) for count in counts[key]) for key in keys) if counts else None,
            fusion=str(record.get("fusion") or ""),
            temperature=float(record["temperature"]) if record.get("temperature") is not None else None,
            nominal=record.get("spacing_may_be_nominal") is True,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"The table of the regions is damaged ({error}).") from error
    if not 0 <= table.beta <= 1 or any(len(counts) != 3 for counts in table.voxels or ()):
        raise ValueError("The table of the regions is damaged (numbers out of range).")
    return table


def step_of(beta: float) -> int:
    """The entry of a table for a beta of 0 to 1: the nearest hundredth."""
    return min(max(round(beta * STEPS), 0), STEPS)


def region_of(con_a: np.ndarray, con_b: np.ndarray, level: int) -> np.ndarray:
    """uint8 regions 1, 2, 3 (Eqs. 12 to 14) of two equal arrays of uint16 confidences; a tie counts as confident."""
    region = np.less(con_a, level).view(np.uint8)
    region += np.less(con_b, level).view(np.uint8)
    region += RELIABLE_STABLE
    return region


def write_regions(target: np.ndarray, con_a: np.ndarray, con_b: np.ndarray, level: int) -> None:
    """Put the regions into `target`, an array of equal shape and any integer type, without a second one of its size."""
    flat = [array.reshape(-1) for array in (target, con_a, con_b)]
    for start in range(0, target.size, _CHUNK):
        part, part_a, part_b = (array[start : start + _CHUNK] for array in flat)
        part[:] = region_of(part_a, part_b, level)


def is_at(target: np.ndarray, con_a: np.ndarray, con_b: np.ndarray, level: int) -> bool:
    """Whether `target` holds the regions of a threshold."""
    flat = [array.reshape(-1) for array in (target, con_a, con_b)]
    for start in range(0, target.size, _CHUNK):
        part, part_a, part_b = (array[start : start + _CHUNK] for array in flat)
        if not np.array_equal(part, region_of(part_a, part_b, level)):
            return False
    return True


class RegionCounts:
    """Voxels of each region for any threshold, from one pass over two arrays of uint16 confidences."""

    def __init__(self, con_a: np.ndarray, con_b: np.ndarray) -> None:
        lower, higher = np.zeros(_LEVELS, np.int64), np.zeros(_LEVELS, np.int64)
        flat_a, flat_b = con_a.reshape(-1), con_b.reshape(-1)
        for start in range(0, flat_a.size, _CHUNK):
            part_a, part_b = flat_a[start : start + _CHUNK], flat_b[start : start + _CHUNK]
            lower += np.bincount(np.minimum(part_a, part_b), minlength=_LEVELS)
            higher += np.bincount(np.maximum(part_a, part_b), minlength=_LEVELS)
        self._lower_below = np.concatenate([[0], np.cumsum(lower)])
        self._higher_below = np.concatenate([[0], np.cumsum(higher)])

    def at(self, level: int) -> tuple[int, int, int]:
        """(voxels of region 1, of region 2, of region 3) for a threshold of 0 to 65536."""
        level = min(max(level, 0), _LEVELS)
        none, some_not = int(self._higher_below[level]), int(self._lower_below[level])
        return int(self._lower_below[-1]) - some_not, some_not - none, none


@dataclass(frozen=True)
class Arrays:
    """Views [K, J, I] of the voxels in the scene; kept for one piece of work, never longer."""

    regions: np.ndarray
    con_a: np.ndarray
    con_b: np.ndarray


class RegionResult:
    """The regions of one scan. Holds the node's ID and its table; ValueError with a sentence where it has none."""

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
            voxels = counts.at(self.level(beta))
        voxel_ml = self.voxel_ml()
        return tuple(count * voxel_ml for count in voxels)

    def _counted(self) -> RegionCounts | None:
        """RegionCounts, made once."""
        arrays = self.arrays() if self._counts is None else None
        if arrays is not None:
            self._counts = RegionCounts(arrays.con_a, arrays.con_b)
        return self._counts
