"""Random grids, scans and plans for tests: oblique, flipped, permuted, anisotropic and sheared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alhvr.data.geometry import Geometry
from alhvr.data.plan import Normalization, Plan
from alhvr.data.scan import Scan

AS_IS = Normalization("ct", -1e6, 1e6, 0.0, 1.0)
"""Leaves intensities as they are."""


def random_geometry(rng: np.random.Generator, low: int = 8, high: int = 20) -> Geometry:
    """A grid of ``low`` to ``high`` voxels per axis, rotated anyhow, with shear, flips, permutation and any spacing."""
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    columns = rotation @ (np.eye(3) + np.triu(rng.uniform(-0.3, 0.3, (3, 3)), 1))
    columns = columns[:, rng.permutation(3)] * rng.choice([-1, 1], 3) * rng.uniform(0.4, 3.0, 3)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = columns, rng.uniform(-200, 200, 3)
    return Geometry.from_affine(tuple(int(n) for n in rng.integers(low, high, 3)), affine)


def plan_of(dimensions: int = 3, **changes: object) -> Plan:
    """A plan that keeps the grid and the intensities, with ``changes``."""
    values = {"dimensions": dimensions, "network": "unet", "target_spacing_mm": None, "in_plane_matrix": None,
              "patch_size": (16,) * dimensions, "batch_size": 4, "labeled_batch_size": 2, "modality": "MR",
              "normalization": AS_IS}
    return Plan(**{**values, **changes})


def random_plan(rng: np.random.Generator) -> Plan:
    """A 2-D or 3-D plan with a target spacing of 0.6 to 2.5 mm, or a 2-D plan with a matrix."""
    if rng.random() < 0.3:
        return plan_of(2, in_plane_matrix=tuple(int(n) for n in rng.integers(24, 48, 2)))
    return plan_of(int(rng.integers(2, 4)), target_spacing_mm=tuple(rng.uniform(0.6, 2.5, 3)))


def scan_of(array: np.ndarray, geometry: Geometry) -> Scan:
    """A scan around the array [K, J, I]."""
    return Scan("scan", array.astype(np.float32), geometry, "MR", Path("scan.nrrd"))


def lps_of_voxels(geometry: Geometry) -> np.ndarray:
    """[3, K, J, I]: the L, P and S coordinate in mm of every voxel centre."""
    kji = np.indices(geometry.shape_kji).reshape(3, -1)
    return geometry.index_to_lps(kji[::-1].T).T.reshape(3, *geometry.shape_kji)
