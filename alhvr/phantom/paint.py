"""Paints a phantom patient onto a voxel grid: tissues in HU with soft borders, and the label volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alhvr.phantom.patient import Patient
from alhvr.phantom.shapes import BodyGrid, Ellipsoid, Region, Tube, Waves, union
from alhvr.phantom.structures import Structure

_AIR_HU, _LUNG_HU, _DISC_HU = -1000.0, -850.0, 85.0
_WALL_MM, _VERTEBRA_MM, _RIB_STEP_MM = 11.0, 31.0, 27.0


@dataclass(frozen=True)
class Painting:
    """What was painted."""

    hu: np.ndarray
    """float32 [K, J, I] in HU, without noise."""
    label: np.ndarray
    """uint8 [K, J, I]; see LABEL_NAMES."""


def paint(patient: Patient, grid: BodyGrid, rng: np.random.Generator, *, edge_mm: float) -> Painting:
    """The patient on the grid; a border rises over ``edge_mm``, which is the partial volume of a voxel."""
    canvas = _Canvas(grid, rng, edge_mm)
    trunk = _distance_to_skin(patient, grid.points)
    wall = trunk + _skin_fat_mm(patient, grid.points)
    cavity = wall + _WALL_MM
    belly = np.maximum(cavity, _height_over_diaphragm(grid.points))
    canvas.fill(trunk, patient.tissue_hu["fat"], texture_hu=7.0)
    canvas.fill(wall, patient.tissue_hu["muscle"], texture_hu=8.0)
    canvas.fill(cavity + 1.5 * canvas.bumps, patient.tissue_hu["fat"], texture_hu=9.0)
    _paint_back_muscles(canvas, patient)
    for structure in patient.structures:
        _paint_structure(canvas, structure, belly, patient.tissue_hu["fat"])
    _paint_chest(canvas, patient, cavity, _height_over_diaphragm(grid.points))
    _paint_spine(canvas, patient)
    _paint_ribs(canvas, patient, wall)
    return Painting(canvas.hu, canvas.label)


class _Canvas:
    """The volume being painted, with the random surfaces and textures that all tissues share."""

    def __init__(self, grid: BodyGrid, rng: np.random.Generator, edge_mm: float) -> None:
        self.grid, self.edge_mm = grid, edge_mm
        self.hu = np.full(grid.shape_kji, _AIR_HU, np.float32)
        self.label = np.zeros(grid.shape_kji, np.uint8)
        self.bumps = Waves.draw(rng, (22, 60), 24).on(grid.affine, grid.shape_kji)
        self.texture = Waves.draw(rng, (14, 70), 24).on(grid.affine, grid.shape_kji)

    def fill(self, distance: np.ndarray, hu: float, *, label: int | None = 0, texture_hu: float = 4.0,
             region: Region = (slice(None),) * 3) -> None:
        """Fills where the signed distance (mm) is negative, softly over the border; the label is sharp."""
        share = np.clip(0.5 - distance / self.edge_mm, 0, 1)
        values = self.hu[region]
        values += share * (hu + texture_hu * self.texture[region] - values)
        if label is not None:
            self.label[region][distance < 0] = label


def _paint_structure(canvas: _Canvas, structure: Structure, belly: np.ndarray, fat_hu: float) -> None:
    """One organ, loop or vessel, kept inside the belly, with a rim of fat that parts it from its neighbours."""
    region = _region_of(canvas.grid, structure)
    if region is None:
        return
    points = canvas.grid.points[(slice(None), *region)]
    distance = structure.parts[0].distance(points)
    for part in structure.parts[1:]:
        distance = union(distance, part.distance(points), structure.blend_mm)
    for hole in structure.holes:
        distance = -union(-distance, hole.distance(points), structure.blend_mm)
    distance += structure.rough_mm * canvas.bumps[region]
    distance = np.maximum(distance, belly[region] + 1.5)
    if structure.rim_mm > 0:
        canvas.fill(distance - structure.rim_mm, fat_hu, region=region)
    canvas.fill(distance, structure.hu, label=structure.label, texture_hu=structure.texture_hu, region=region)


def _region_of(grid: BodyGrid, structure: Structure) -> Region | None:
    """Slices around all parts; None when the structure lies outside the scan."""
    margin_mm = structure.rim_mm + 3 * structure.rough_mm + structure.blend_mm + 6
    found = [region for part in structure.parts if (region := grid.near(part.reach, margin_mm)) is not None]
    if not found:
        return None
    k, j, i = [slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*found, strict=True)]
    return k, j, i


def _distance_to_skin(patient: Patient, points: np.ndarray) -> np.ndarray:
    """Signed distance (mm) to the trunk's outline, a rounded box seen from above, a little narrower at the waist."""
    across, deep = patient.build.half_width_mm
    x, y, z = points
    waist = 1 - 0.05 * np.exp(-((z + 30) / 60) ** 2)
    level = (np.abs(x / (across * waist)) ** 2.4 + np.abs(y / deep) ** 2.4) ** np.float32(1 / 2.4)
    return np.sqrt(x * x + y * y) * (1 - 1 / np.maximum(level, 0.05))


def _skin_fat_mm(patient: Patient, points: np.ndarray) -> np.ndarray:
    """Thickness of the fat under the skin: thinner towards the chest."""
    return patient.build.skin_fat_mm * np.clip(0.9 - points[2] / 350, 0.4, 1.2)


def _height_over_diaphragm(points: np.ndarray) -> np.ndarray:
    """Signed distance (mm, roughly) to two domes; negative below them."""
    x, y, z = points
    right = 134 - 0.0085 * (x + 62) ** 2 - 0.0075 * (y - 2) ** 2
    left = 122 - 0.0095 * (x - 62) ** 2 - 0.0080 * (y - 2) ** 2
    return 0.75 * (z + union(-right, -left, 16))


def _paint_back_muscles(canvas: _Canvas, patient: Patient) -> None:
    hu = patient.tissue_hu["muscle"]
    size = 1.0 + 0.15 * (patient.build.half_width_mm[0] - 155) / 15
    for side in (-1, 1):
        path = ((side * 26, 52, 30), (side * 36, 50, -30), (side * 46, 40, -130))
        psoas = Tube(path, (7 * size, 16 * size, 23 * size))
        erector = Tube(((side * 34, 84, 180), (side * 34, 84, -160)), (18 * size, 23 * size))
        crus = Tube(((side * 14, 30, 90), (side * 18, 38, 0)), (7, 4))
        for shape in (psoas, erector, crus):
            region = canvas.grid.near(shape.reach, 8)
            if region is not None:
                distance = shape.distance(canvas.grid.points[(slice(None), *region)]) + canvas.bumps[region]
                canvas.fill(distance, hu, texture_hu=9.0, region=region)


def _paint_chest(canvas: _Canvas, patient: Patient, cavity: np.ndarray, over_diaphragm: np.ndarray) -> None:
    """Diaphragm, lung bases and the heart."""
    chest = np.maximum(cavity - 2, -over_diaphragm)
    canvas.fill(chest, patient.tissue_hu["muscle"])
    lung = chest + 3
    canvas.fill(lung, _LUNG_HU, texture_hu=25.0)
    heart = Ellipsoid((22, -32, 142), (56, 44, 38), (0, 20, 0)).distance(canvas.grid.points)
    blood_hu = 0.5 * (patient.tissue_hu["artery"] + patient.tissue_hu["vein"])
    canvas.fill(np.maximum(heart, lung), blood_hu, texture_hu=8.0)


def _paint_spine(canvas: _Canvas, patient: Patient) -> None:
    """Vertebral bodies with discs and a hard shell, arches around a canal, spinous and transverse processes."""
    x, y, z = canvas.grid.points
    bone_hu = patient.tissue_hu["bone"]
    body = Ellipsoid((0, 58, 0), (25, 19, 1e5)).distance(canvas.grid.points)
    arch = Ellipsoid((0, 86, 0), (19, 15, 1e5)).distance(canvas.grid.points)
    place = np.abs((z / _VERTEBRA_MM) % 1 - 0.5)
    process = np.maximum(np.minimum(np.abs(x) + 0.2 * np.abs(y - 100) - 5, np.abs(y - 78) + 0.08 * np.abs(x) - 6),
                         np.maximum(np.abs(x) - 40, np.abs(y - 92) - 22))
    process = np.maximum(process, _VERTEBRA_MM * (place - 0.28))
    canvas.fill(process, bone_hu + 120)
    canvas.fill(arch, bone_hu + 160)
    canvas.fill(body, bone_hu + 260)
    canvas.fill(body + 3.5, bone_hu, texture_hu=22.0)
    canvas.fill(Ellipsoid((0, 82, 0), (10, 8, 1e5)).distance(canvas.grid.points), 35.0)
    canvas.fill(np.maximum(body + 1, _VERTEBRA_MM * (0.36 - place)), _DISC_HU)


def _paint_ribs(canvas: _Canvas, patient: Patient, wall: np.ndarray) -> None:
    """Slanting rods in the chest wall, down to the costal arch, which climbs towards the front."""
    x, y, z = canvas.grid.points
    along = (z + 0.42 * y - 0.1 * np.abs(x)) / _RIB_STEP_MM
    rod = np.hypot(_RIB_STEP_MM * (np.abs(along % 1 - 0.5)), 1.5 * (wall + 0.55 * _WALL_MM)) - 6.5
    above_arch = 0.7 * (z - 20 + 0.8 * y)
    rod = np.maximum(rod, -above_arch)
    rod = np.maximum(rod, 24 - np.abs(x))
    canvas.fill(rod, patient.tissue_hu["bone"] + 180)
