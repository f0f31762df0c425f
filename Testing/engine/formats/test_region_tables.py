"""Gamma and the high-value regions, against the worked facts and against sorting."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pytest

from alhvr.bundle.model import InferenceSettings
from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.formats import region_tables
from alhvr.formats.region_tables import (
    BETAS,
    LEVELS,
    GammaCurve,
    RegionMaps,
    are_regions,
    certainty_levels,
    make_region_maps,
    parse_table,
    quantize,
    region_map,
    regions_at,
    step_of,
    table_record,
    threshold_level,
    write_regions,
)

STEP = 1 / LEVELS
PLACE = Geometry((8, 6, 5), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))


def _confidences(seed: int) -> np.ndarray:
    """float32 [5, 6, 8] in 0.25..1, most of them close to 1 as in a trained network."""
    return (1 - 0.75 * np.random.default_rng(seed).random((5, 6, 8)) ** 4).astype(np.float32)


def test_gamma_is_the_mean_of_the_least_confident_share():
    mean = np.array([0.9, 0.5, 0.7, 0.99, 0.6])
    assert GammaCurve(mean, mean).gamma(0.8) == pytest.approx(0.675, abs=STEP)


def test_gamma_is_pooled_over_the_whole_scan():
    mean = np.array([[0.99, 0.98, 0.97, 0.96], [0.6, 0.55, 0.8, 0.7]])
    assert GammaCurve(mean, mean).gamma(0.75) == pytest.approx(0.763333, abs=STEP)


@pytest.mark.parametrize("beta", [0.01, 0.29, 0.5, 0.8, 1.0])
def test_gamma_from_counts_equals_gamma_from_sorting_the_stored_maps(beta):
    con_a, con_b = quantize(_confidences(0)), quantize(_confidences(1))
    ordered = np.sort((con_a.astype(float) + con_b).ravel()) / (2 * LEVELS)
    expected = ordered[:math.floor(beta * ordered.size + 1e-6)].mean()
    assert GammaCurve(con_a, con_b).gamma(beta) == pytest.approx(expected, abs=1e-13)


def test_gamma_of_float_confidences_is_exact_to_a_step_of_uint16():
    con_a, con_b = _confidences(0), _confidences(1)
    exact = np.sort((con_a.astype(float) + con_b).ravel() / 2)[:int(0.8 * con_a.size)].mean()
    assert GammaCurve(con_a, con_b).gamma(0.8) == pytest.approx(exact, abs=STEP)


def test_the_table_has_every_hundredth_of_beta_and_never_falls():
    table = GammaCurve(_confidences(0), _confidences(1)).table()
    assert list(table) == list(BETAS) == [round(step / 100, 2) for step in range(101)]
    assert all(low <= high for low, high in zip(table.values(), list(table.values())[1:], strict=False))


def test_gamma_at_the_ends_is_the_smallest_and_the_mean_confidence():
    con_a, con_b = _confidences(0), _confidences(1)
    mean = (quantize(con_a).astype(float) + quantize(con_b)) / (2 * LEVELS)
    table = GammaCurve(con_a, con_b).table()
    assert table[0.0] == pytest.approx(mean.min())
    assert table[1.0] == pytest.approx(mean.mean())


def test_regions_are_the_partition_of_the_worked_example():
    con_a = np.array([0.9, 0.6, 0.8, 0.5, 0.7, 0.7, 0.7])
    con_b = np.array([0.8, 0.5, 0.6, 0.9, 0.7, 0.6, 0.9])
    np.testing.assert_array_equal(region_map(con_a, con_b, 0.7), [1, 3, 2, 2, 1, 2, 1])


def test_swapping_the_networks_changes_neither_gamma_nor_regions():
    con_a, con_b = _confidences(0), _confidences(1)
    gamma = GammaCurve(con_a, con_b).gamma(0.8)
    assert GammaCurve(con_b, con_a).gamma(0.8) == gamma
    np.testing.assert_array_equal(region_map(con_a, con_b, gamma), region_map(con_b, con_a, gamma))


def test_every_level_is_its_own_threshold():
    levels = np.arange(LEVELS + 1)
    assert [threshold_level(level / LEVELS) for level in levels] == list(levels)


def maps_of(con_a: np.ndarray, con_b: np.ndarray) -> RegionMaps:
    """Maps with a teacher that is sure of everything."""
    return make_region_maps(con_a, con_b, np.full(con_a.shape, 255, np.uint8), InferenceSettings(), PLACE)


def test_a_scan_without_any_doubt_is_reliable_and_stable_everywhere():
    sure = np.ones((5, 6, 8), np.float32)
    maps = maps_of(sure, sure)
    assert maps.gamma == 1.0
    assert (maps.region == 1).all()


def test_a_viewer_finds_the_written_regions_from_the_written_maps_and_the_table():
    maps = maps_of(_confidences(0), _confidences(1))
    level = threshold_level(maps.gamma_table[0.8])
    low = (maps.confidence_a < level).astype(int) + (maps.confidence_b < level)
    np.testing.assert_array_equal(maps.region, 1 + low)
    assert maps.gamma == maps.gamma_table[0.8]
    assert set(np.unique(maps.region)) == {1, 2, 3}


def test_the_voxels_of_each_region_are_those_of_the_map_at_every_beta():
    con_a, con_b = _confidences(0), _confidences(1)
    con_a[0], con_b[0] = 1.0, 0.25
    maps = maps_of(con_a, con_b)
    assert list(maps.voxels_table) == list(BETAS)
    for beta, gamma in maps.gamma_table.items():
        counted = np.bincount(region_map(con_a, con_b, gamma).ravel(), minlength=4)[1:]
        assert maps.voxels_table[beta] == tuple(counted) and sum(maps.voxels_table[beta]) == con_a.size


def test_gamma_and_its_tables_take_no_further_map_beside_the_confidences(monkeypatch):
    monkeypatch.setattr(region_tables, "_CHUNK", 1 << 14)
    con = np.random.default_rng(0).integers(LEVELS + 1, size=1 << 23, dtype=np.uint16)
    teacher = np.zeros(con.shape, np.uint8)
    tracemalloc.start()
    try:
        make_region_maps(con, con, teacher, InferenceSettings(), PLACE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.8 * con.size


def test_where_nothing_is_above_the_threshold_or_all_is_the_other_regions_have_no_voxels():
    assert GammaCurve(np.ones(7), np.ones(7)).voxels(LEVELS) == (7, 0, 0)
    assert GammaCurve(np.full(7, 0.5), np.full(7, 0.5)).voxels(LEVELS) == (0, 0, 7)


def test_the_certainty_of_the_teacher_is_its_sharpened_confidence_in_255_steps():
    levels = certainty_levels(0.1)
    assert levels.dtype == np.uint8 and levels.shape == (LEVELS + 1,)
    confidences = np.array([0.0, 0.2, 0.4, 0.5, 0.6, 1.0])
    np.testing.assert_array_equal(levels[quantize(confidences)], [0, 0, 4, 128, 251, 255])
    np.testing.assert_array_equal(certainty_levels(1.0)[quantize(confidences)], np.rint(255 * confidences))


def test_confidence_one_is_65535_and_the_map_is_rounded():
    values = np.array([0.0, 0.25, 1.0, 1.0000001], np.float32)
    np.testing.assert_array_equal(quantize(values), [0, 16384, 65535, 65535])


@pytest.mark.parametrize("level", [-1, 0, 1, 40000, 60000, 65535, 65536])
def test_voxels_are_counted_for_any_threshold(level):
    con_a, con_b = quantize(_confidences(0)), quantize(_confidences(1))
    expected = np.bincount(regions_at(con_a, con_b, level).ravel(), minlength=4)[1:]
    assert GammaCurve(con_a, con_b).voxels(level) == tuple(expected)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32])
def test_regions_are_written_in_place_into_labels_of_any_type(kind, monkeypatch):
    monkeypatch.setattr(region_tables, "_CHUNK", 7)
    con_a, con_b = quantize(_confidences(0)), quantize(_confidences(1))
    target = np.zeros(con_a.shape, kind)
    assert not are_regions(target, con_a, con_b, 60000)
    write_regions(target, con_a, con_b, 60000)
    assert np.array_equal(target, regions_at(con_a, con_b, 60000)) and are_regions(target, con_a, con_b, 60000)


@pytest.mark.parametrize("beta, step", [(0.0, 0), (0.29, 29), (0.57, 57), (0.8000001, 80), (1.0, 100), (7, 100)])
def test_a_beta_finds_its_hundredth(beta, step):
    assert step_of(beta) == step


def test_a_table_survives_json():
    maps = maps_of(_confidences(0), _confidences(1))
    table = parse_table(json.dumps(table_record(maps)))
    assert (table.beta, table.fusion, table.temperature, table.nominal) == (0.8, "mean", 0.1, False)
    assert (dict(zip(BETAS, table.gamma, strict=True)), dict(zip(BETAS, table.voxels, strict=True))) == (
        maps.gamma_table, maps.voxels_table)
    for beta in BETAS:
        found = regions_at(maps.confidence_a, maps.confidence_b, table.level[step_of(beta)])
        assert np.array_equal(found, region_map(maps.confidence_a, maps.confidence_b, table.gamma[step_of(beta)]))


def test_a_table_of_an_older_version_tells_no_counts_no_fusion_and_no_temperature():
    record = table_record(maps_of(_confidences(0), _confidences(1)))
    older = {name: record[name] for name in ("beta", "gamma", "gamma_by_beta", "threshold_by_beta")}
    table = parse_table(json.dumps(older))
    assert (table.voxels, table.fusion, table.temperature) == (None, "", None)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"beta": 0.8}', '{"beta": NaN, "gamma_by_beta": 3}'])
def test_a_damaged_table_is_refused_with_a_sentence(text):
    with pytest.raises(UserError, match="table of the regions is damaged"):
        parse_table(text)
