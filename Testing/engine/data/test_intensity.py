"""Intensity: statistics are cheap and even, scales become one."""

from __future__ import annotations

import numpy as np
import pytest

from alhvr.core.errors import UserError
from alhvr.data.intensity import Normalization, measure, sample_voxels, scale_of


def _head(scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
    """A noisy bright block of 40 % of the volume in faint noise."""
    rng = np.random.default_rng(0)
    array = np.abs(rng.normal(0, 4, (30, 40, 50)))
    array[:, :30, :27] = rng.normal(600, 100, (30, 30, 27))
    return (array * scale + offset).astype(np.float32)


def normalize(array: np.ndarray, rule: Normalization, sample: np.ndarray) -> np.ndarray:
    return scale_of(rule, sample).apply(array)


def test_zscore_is_the_same_for_every_scale_of_the_same_scan() -> None:
    rule = Normalization("zscore")
    one, other = (normalize(a, rule, sample_voxels(a)) for a in (_head(), _head(7.3, -250)))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_zscore_measures_the_body_not_the_air() -> None:
    array = _head()
    body = normalize(array, Normalization("zscore"), sample_voxels(array))[:, :30, :27]
    assert abs(body.mean()) < 0.05 and abs(body.std() - 1) < 0.05


def test_a_few_extreme_voxels_do_not_matter() -> None:
    array = _head()
    spoiled = array.copy()
    spoiled[0, 0, :3] = 1e6
    one, other = (normalize(a, Normalization("zscore"), a.ravel()) for a in (array, spoiled))
    assert np.abs(one - other)[1:].max() < 0.05 and other.max() < 5


def test_percentile_brings_a_scan_to_zero_and_one() -> None:
    array = _head(3.0, 40.0)
    result = normalize(array, Normalization("percentile"), sample_voxels(array))
    assert result.min() == 0 and result.max() == pytest.approx(1)


def test_minmax_brings_the_extremes_to_zero_and_one_outliers_included() -> None:
    array = np.array([-3.0, 1.0, 5.0], np.float32).reshape(1, 1, 3)
    np.testing.assert_allclose(normalize(array, Normalization("minmax"), array.ravel()).ravel(), [0, 0.5, 1])


def test_nonzero_measures_the_voxels_above_zero() -> None:
    array = np.zeros((10, 10, 10), np.float32)
    array[:5] = np.random.default_rng(0).normal(600, 50, (5, 10, 10))
    result = normalize(array, Normalization("nonzero"), array.ravel())
    assert abs(result[:5].mean()) < 0.05 and abs(result[:5].std() - 1) < 0.05 and (result[5:] < -5).all()


def test_ct_clips_and_centres_with_the_stored_numbers() -> None:
    array = np.array([-1000.0, 40.0, 140.0, 3000.0], np.float32).reshape(1, 1, 4)
    result = normalize(array, Normalization("ct", -160, 240, 40, 100), array.ravel())
    np.testing.assert_allclose(result.ravel(), [-2, 0, 1, 2])


@pytest.mark.parametrize("kind", ["zscore", "percentile", "minmax", "nonzero"])
def test_a_nearly_constant_scan_stays_finite(kind: str) -> None:
    array = np.zeros((8, 30, 30), np.float32)
    assert np.isfinite(normalize(array, Normalization(kind), sample_voxels(array))).all()
    array[3, 4, 5] = 9
    assert np.isfinite(normalize(array, Normalization(kind), sample_voxels(array))).all()


def test_the_sample_meets_every_row_and_column() -> None:
    array = np.indices((60, 128, 128)).astype(np.int16)
    for axis in array:
        assert len(np.unique(sample_voxels(axis))) == axis.max() + 1
    assert 100_000 < len(sample_voxels(array[0])) < 400_000


def test_statistics_are_of_the_clipped_values() -> None:
    values = np.append(np.linspace(0, 100, 1001), 1e6)
    measured = measure(values)
    assert measured.mean == pytest.approx(50, abs=0.2) and measured.upper < 101


@pytest.mark.parametrize("bad", [("hu",), ("ct", 5.0, 5.0), ("ct", 0.0, 1.0, 0.0, 0.0)])
def test_an_impossible_rule_is_refused(bad: tuple) -> None:
    with pytest.raises(UserError):
        Normalization(*bad)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("kind", ["ct", "zscore", "percentile"])
def test_integers_are_scaled_as_the_same_numbers_in_float32(kind: str, dtype: type) -> None:
    array = np.random.default_rng(0).integers(*np.iinfo(dtype).min + np.array([0, 255]), (9, 10, 11)).astype(dtype)
    rule = Normalization(kind, -100, 240, 40, 100)
    expected = normalize(array.astype(np.float32), rule, sample_voxels(array.astype(np.float32)))
    found = normalize(array, rule, sample_voxels(array))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
