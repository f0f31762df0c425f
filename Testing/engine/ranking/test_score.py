"""ScanScore: unsure voxels of each structure and next to it, in the scan's own millimetres, for each voxel found."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_cases import LABELS

from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Segmentation
from alhvr.ranking.score import parse_score, score_of

SHAPE = (8, 30, 40)
AXES = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def segmentation(array: np.ndarray, spacing_mm: tuple[float, float, float] = (1.0, 1.0, 8.0)) -> Segmentation:
    return Segmentation("scan", array, Geometry(array.shape[::-1], spacing_mm, (0.0, 0.0, 0.0), AXES), LABELS)


def test_what_is_unsure_is_counted_within_5_mm_of_the_structure_and_not_beyond() -> None:
    labels, region = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)
    labels[4, 10:20, 15:25] = 1
    region[4, :, 30:] = 3
    region[4, :, :10] = 2
    region[3] = 3
    region[4, 10:20, 15] = 2
    assert score_of(segmentation(labels), region).structures["liver"].unsure == round(10 / (10 + 100), 4)
    region[4, :, 10:15] = 3
    assert score_of(segmentation(labels), region).structures["liver"].unsure == round(110 / (110 + 100), 4)


def test_a_structure_found_too_small_beside_unsure_voxels_is_less_sure_than_one_found_whole() -> None:
    whole, region = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)
    whole[4, 10:20, 15:25] = 1
    region[4, 10:20, 15:25] = 2
    part = np.where(np.arange(SHAPE[2]) < 20, whole, 0).astype(np.uint8)
    of_whole, of_part = (score_of(segmentation(found), region).structures["liver"].unsure for found in (whole, part))
    assert (of_whole, of_part) == (0.5, round(100 / 150, 4))


def test_another_structure_beside_it_is_not_nearly_it() -> None:
    labels, region = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)
    labels[:, :, :20], labels[:, :, 20:] = 1, 3
    region[labels == 3] = 3
    found = score_of(segmentation(labels), region).structures
    assert (found["liver"].unsure, found["spleen"].unsure) == (0.0, 0.5)


def test_a_structure_that_was_not_found_has_no_volume_and_no_share() -> None:
    found = score_of(segmentation(np.zeros(SHAPE, np.uint8)), np.full(SHAPE, 3, np.uint8)).structures["spleen"]
    assert (found.unsure, found.voxels, found.volume_ml) == (0.0, 0, 0.0)


def test_a_volume_is_in_ml() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, :10] = 3
    found = score_of(segmentation(labels, (2.0, 5.0, 10.0)), np.ones(SHAPE, np.uint8))
    assert found.structures["spleen"].volume_ml == pytest.approx(1.0)


def test_a_score_is_read_as_it_was_written_and_a_damaged_one_refused() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 3:9, 3:9] = 1
    score = score_of(segmentation(labels), np.full(SHAPE, 2, np.uint8))
    assert parse_score(score.to_dict(), LABELS) == score
    odd = {"unsure": 7, "voxels": 1, "volume_ml": 1}
    damaged = [[], {}, {**score.to_dict(), "format": "2"}, {**score.to_dict(), "structures": {"liver": {}}},
               {**score.to_dict(), "structures": dict.fromkeys(LABELS.names, odd)}]
    for values in damaged:
        with pytest.raises(UserError, match="damaged"):
            parse_score(values, LABELS)
