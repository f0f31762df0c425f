"""Geometry: where the voxels of a scan lie in the patient; index to LPS millimetres and back, for any grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from alhvr.core.errors import UserError

_ALIGNED_TOLERANCE = 1e-4
"""Largest departure of a direction cosine from 0 or 1 for an axis to count as aligned."""

_SPACING_MM = (1e-6, 1e3)
"""Least and largest distance of voxels: no microscope has finer ones, no patient coarser."""
_FARTHEST_MM = 1e7
"""Largest coordinate of the first voxel."""


@dataclass(frozen=True)
class Geometry:
    """A voxel grid in patient space, in ITK's order (I, J, K) and DICOM's LPS millimetres."""

    size_ijk: tuple[int, int, int]
    """Voxels along I, J, K; at least one each."""
    spacing_mm: tuple[float, float, float]
    """Distance of neighbouring voxel centres along I, J, K in mm, above zero."""
    origin_lps_mm: tuple[float, float, float]
    """Centre of voxel (0, 0, 0) in LPS mm."""
    direction: tuple[float, ...]
    """Row-major 3x3 as in ITK; column a is the unit LPS direction of index axis a. Oblique, flipped or sheared."""

    def __post_init__(self) -> None:
        """Checks sizes, spacing and that the axes span the space; raises UserError."""
        if len(self.size_ijk) != 3 or min(self.size_ijk) < 1:
            raise UserError(f"The grid's size is {self.size_ijk}; three numbers of 1 or more are needed.")
        numbers = np.array([*self.spacing_mm, *self.origin_lps_mm, *self.direction], dtype=float)
        if len(numbers) != 15 or not np.isfinite(numbers).all():
            raise UserError("The grid's spacing, origin or direction is not a finite number.", "Export the scan again.")
        if min(self.spacing_mm) <= 0:
            raise UserError(f"The grid's spacing is {self.spacing_mm} mm; every axis needs more than 0 mm.")
        if not (_SPACING_MM[0] <= min(self.spacing_mm) and max(self.spacing_mm) <= _SPACING_MM[1]):
            raise UserError(f"The grid's spacing is {self.spacing_mm} mm; {_SPACING_MM[0]:g} to {_SPACING_MM[1]:g} mm "
                            "are accepted.", "Export the scan again.")
        if max(abs(number) for number in self.origin_lps_mm) > _FARTHEST_MM:
            raise UserError(f"The grid's origin is {self.origin_lps_mm} mm; up to {_FARTHEST_MM:g} mm are accepted.",
                            "Export the scan again.")
        if abs(np.linalg.det(np.reshape(self.direction, (3, 3)))) < 1e-6:
            raise UserError(f"The grid's axes do not span the space: direction {self.direction}.")

    @classmethod
    def from_affine(cls, size_ijk: tuple[int, int, int], affine_lps: np.ndarray) -> Geometry:
        """The grid of ``size_ijk`` voxels whose index-to-LPS matrix (4, 4, mm) is given; raises UserError."""
        columns = np.asarray(affine_lps, dtype=float)[:3, :3]
        spacing = np.linalg.norm(columns, axis=0)
        with np.errstate(invalid="ignore"):
            unit = columns / np.where(spacing > 0, spacing, 1.0)
        origin = np.asarray(affine_lps, dtype=float)[:3, 3]
        return cls(_ints(size_ijk), _floats(spacing), _floats(origin), _floats(unit.ravel()))

    @classmethod
    def from_sitk(cls, image: Any) -> Geometry:
        """The grid of a 3-D SimpleITK image (or of an ImageFileReader that has read a header)."""
        spacing, origin = _floats(image.GetSpacing()), _floats(image.GetOrigin())
        return cls(_ints(image.GetSize()), spacing, origin, _floats(image.GetDirection()))

    def stamp(self, image: Any) -> None:
        """Sets spacing, origin and direction on a 3-D SimpleITK image; raises UserError when its size differs."""
        if _ints(image.GetSize()) != self.size_ijk:
            raise UserError(f"The image has {image.GetSize()} voxels (I, J, K), its geometry {self.size_ijk}.")
        image.SetSpacing(self.spacing_mm)
        image.SetOrigin(self.origin_lps_mm)
        image.SetDirection(self.direction)

    @property
    def shape_kji(self) -> tuple[int, int, int]:
        """Shape of the numpy array of this grid, slowest axis first."""
        return self.size_ijk[::-1]

    @cached_property
    def affine_lps(self) -> np.ndarray:
        """(4, 4) float64: homogeneous index (I, J, K, 1) to LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing_mm)
        affine[:3, 3] = self.origin_lps_mm
        return affine

    def index_to_lps(self, points: np.ndarray) -> np.ndarray:
        """Continuous indices [N, 3] in order (I, J, K) to LPS mm [N, 3]."""
        return np.asarray(points, dtype=float) @ self.affine_lps[:3, :3].T + self.affine_lps[:3, 3]

    def lps_to_index(self, points: np.ndarray) -> np.ndarray:
        """LPS mm [N, 3] to continuous indices [N, 3] in order (I, J, K)."""
        offsets = np.asarray(points, dtype=float) - self.affine_lps[:3, 3]
        return np.linalg.solve(self.affine_lps[:3, :3], offsets.T).T

    @property
    def nominal(self) -> bool:
        """True when spacing is exactly 1 mm on axes along L, P and S: the true spacing may be unknown."""
        cosines = np.abs(np.asarray(self.direction))
        aligned = np.minimum(cosines, np.abs(cosines - 1)).max() < _ALIGNED_TOLERANCE
        return bool(aligned) and np.allclose(self.spacing_mm, 1.0, rtol=0, atol=1e-6)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres; a sheared grid's parallelepiped included."""
        return float(abs(np.linalg.det(self.affine_lps[:3, :3]))) / 1000.0

    def difference(self, other: Geometry, tolerance_mm: float = 0.01) -> str:
        """Empty when all corner voxels of both grids lie within ``tolerance_mm``; else a sentence with both values."""
        if self.size_ijk != other.size_ijk:
            return f"size {_numbers(self.size_ijk)} against {_numbers(other.size_ijk)} voxels (I, J, K)"
        corners = np.array(list(product(*[(0, size - 1) for size in self.size_ijk])), dtype=float)
        apart_mm = np.linalg.norm(self.index_to_lps(corners) - other.index_to_lps(corners), axis=1).max()
        step_mm = np.abs(self.affine_lps[:3, :3] - other.affine_lps[:3, :3]).max()
        if max(apart_mm, step_mm) <= tolerance_mm:
            return ""
        return f"{self._what_differs(other)}, corners up to {apart_mm:.3g} mm apart"

    def index_of(self, part: Geometry) -> tuple[int, int, int] | None:
        """Index (I, J, K) of the first voxel of ``part`` on this grid; None unless all its voxels are voxels of it."""
        start = np.rint(self.lps_to_index(np.array([part.origin_lps_mm]))[0])
        if not ((start >= 0) & (start + part.size_ijk <= self.size_ijk)).all():
            return None
        first_lps_mm = _floats(self.index_to_lps(start[None])[0])
        cut = replace(self, size_ijk=part.size_ijk, origin_lps_mm=first_lps_mm)
        return None if cut.difference(part) else _ints(start)

    def _what_differs(self, other: Geometry) -> str:
        """Spacing, else direction, else origin, with both values."""
        if not np.allclose(self.spacing_mm, other.spacing_mm, rtol=0, atol=1e-5):
            return f"spacing {_numbers(self.spacing_mm)} against {_numbers(other.spacing_mm)} mm"
        if not np.allclose(self.direction, other.direction, rtol=0, atol=1e-5):
            return f"direction {_numbers(self.direction)} against {_numbers(other.direction)}"
        return f"origin {_numbers(self.origin_lps_mm)} against {_numbers(other.origin_lps_mm)} mm (LPS)"


def _ints(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _numbers(values: tuple[float, ...]) -> str:
    """Six digits each, in brackets, for a message."""
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
