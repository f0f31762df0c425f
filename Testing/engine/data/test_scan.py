"""Scan and Segmentation: array and grid always fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Scan, Segmentation
from alhvr.formats.labels import LabelSet

GRID = Geometry((2, 3, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


def test_a_scan_of_another_shape_than_its_grid_is_refused() -> None:
    with pytest.raises(UserError, match=r"\(2, 3, 4\).*\(4, 3, 2\)"):
        Scan("a", np.zeros((2, 3, 4), np.float32), GRID, "MR", Path("a.nii"))


def test_a_segmentation_of_another_shape_than_its_grid_is_refused() -> None:
    with pytest.raises(UserError, match="a: the array"):
        Segmentation("a", np.zeros((4, 3), np.uint8), GRID, LabelSet.from_names({1: "liver"}))


def test_a_scan_has_no_warnings_unless_given() -> None:
    assert Scan("a", np.zeros((4, 3, 2), np.float32), GRID, "other", Path("a.nii")).warnings == ()
