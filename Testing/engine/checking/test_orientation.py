"""Three letters tell which way each index axis runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alhvr.checking.measure import orientation_code
from alhvr.data.geometry import Geometry


def grid(*columns: tuple[float, float, float]) -> Geometry:
    return Geometry((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(np.transpose(columns).ravel().tolist()))


@pytest.mark.parametrize(("columns", "code"), [
    (((1, 0, 0), (0, 1, 0), (0, 0, 1)), "LPS"),
    (((-1, 0, 0), (0, -1, 0), (0, 0, 1)), "RAS"),
    (((0, 1, 0), (0, 0, -1), (-1, 0, 0)), "PIR"),
])
def test_each_axis_gets_the_letter_that_it_leads_to(columns: tuple, code: str) -> None:
    assert orientation_code(grid(*columns)) == code


def test_a_tilted_axis_counts_as_the_closest_one() -> None:
    sine, cosine = math.sin(math.radians(40)), math.cos(math.radians(40))
    assert orientation_code(grid((1, 0, 0), (0, cosine, sine), (0, -sine, cosine))) == "LPS"


def test_axes_at_45_degrees_get_three_different_letters() -> None:
    half = math.sqrt(0.5)
    assert sorted(orientation_code(grid((half, half, 0), (-half, half, 0), (0, 0, 1)))) == ["L", "P", "S"]
