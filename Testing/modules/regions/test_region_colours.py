"""The regions' colours, as colour-blind people see them over a scan."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

OPACITY = 0.5
GREYS = np.linspace(0, 1, 6)
LEAST_DISTANCE = 20.0
"""In CIELAB, of hue and chroma alone: the lightness is the scan's."""
SIGHT = {
    "usual": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""Linear RGB to linear RGB (Machado and others, 2009)."""
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = (0.9505, 1.0, 1.089)


def hues(colour: tuple[float, float, float], sight: str) -> np.ndarray:
    """a* and b* [greys, 2] of a colour half transparent over greys."""
    mixed = OPACITY * np.array(colour) + (1 - OPACITY) * GREYS[:, None]
    linear = np.where(mixed <= 0.04045, mixed / 12.92, ((mixed + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(SIGHT[sight]).T, 0, 1)
    x, y, z = np.cbrt(np.maximum(seen @ TO_XYZ.T / WHITE, 1e-9)).T
    return np.stack([500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("pair", list(itertools.combinations((1, 2, 3), 2)), ids=str)
def test_two_regions_differ_in_hue_over_any_grey(clean_slate: None, pair: tuple[int, int], sight: str) -> None:
    from ALHVRLib.scene.region_colours import REGION_COLOURS

    one, other = (hues(REGION_COLOURS[region], sight) for region in pair)
    assert np.linalg.norm(one[:, None] - other[None], axis=2).min() > LEAST_DISTANCE
