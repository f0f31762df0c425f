"""Regions, counts and the table are the engine's own, for every beta."""

from __future__ import annotations

import json

import numpy as np
import pytest
from region_worlds import confidences, table_of

from alhvr.formats.region_tables import region_map


def test_the_regions_of_every_beta_are_those_of_the_engine() -> None:
    from ALHVRSegmentationLib.regions.result import parse_table, region_of, step_of

    con_a, con_b = confidences()
    table = parse_table(json.dumps(table_of(con_a, con_b)))
    for beta in np.arange(101) / 100:
        gamma, level = table.gamma[step_of(beta)], table.level[step_of(beta)]
        assert np.array_equal(region_of(con_a, con_b, level), region_map(con_a, con_b, gamma))


def test_regions_are_written_in_place_into_labels_of_any_type() -> None:
    from ALHVRSegmentationLib.regions.result import region_of, write_regions

    con_a, con_b = confidences()
    for kind in (np.uint8, np.int16, np.int32):
        target = np.zeros(con_a.shape, kind)
        write_regions(target, con_a, con_b, 60000)
        assert np.array_equal(target, region_of(con_a, con_b, 60000))


@pytest.mark.parametrize("level", [0, 1, 40000, 60000, 65535, 65536])
def test_voxels_are_counted_for_any_threshold(level: int) -> None:
    from ALHVRSegmentationLib.regions.result import RegionCounts, region_of

    con_a, con_b = confidences()
    expected = np.bincount(region_of(con_a, con_b, level).ravel(), minlength=4)[1:]
    assert RegionCounts(con_a, con_b).at(level) == tuple(expected)


@pytest.mark.parametrize("beta, step", [(0.0, 0), (0.29, 29), (0.57, 57), (0.8000001, 80), (1.0, 100), (7, 100)])
def test_a_beta_finds_its_hundredth(beta: float, step: int) -> None:
    from ALHVRSegmentationLib.regions.result import step_of

    assert step_of(beta) == step


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"beta": 0.8}', '{"beta": NaN, "gamma_by_beta": 3}'])
def test_a_damaged_table_is_refused_with_a_sentence(text: str) -> None:
    from ALHVRSegmentationLib.regions.result import parse_table

    with pytest.raises(ValueError, match="table of the regions is damaged"):
        parse_table(text)


def test_fusion_temperature_and_counts_of_newer_results_are_read() -> None:
    from ALHVRSegmentationLib.regions.result import parse_table

    con_a, con_b = confidences()
    counts = {f"{step / 100:.2f}": [step, 2, 3] for step in range(101)}
    more = {"fusion": "mean", "temperature": 0.2, "voxels_by_beta": counts}
    table = parse_table(json.dumps(table_of(con_a, con_b, **more)))
    assert (table.fusion, table.temperature, table.voxels[80]) == ("mean", 0.2, (80, 2, 3))
    assert parse_table(json.dumps(table_of(con_a, con_b))).voxels is None
