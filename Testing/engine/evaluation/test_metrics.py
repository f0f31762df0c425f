"""Tests of alhvr.evaluation.metrics: fact 24, MedPy and MONAI as judges, and the rules for empty masks."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch
from medpy.metric import binary as medpy
from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance, compute_iou
from scipy import ndimage

from alhvr.core.errors import UserError
from alhvr.evaluation.metrics import dice_by_class, present_values, score
from alhvr.formats.labels import LabelSet

SPACING_MM = (3.0, 0.8, 0.7)
LABELS = LabelSet.from_names({1: "liver", 2: "spleen"})


def square(*corner: int) -> np.ndarray:
    """A 5x5 square of value 1 in one slice of 20x20."""
    array = np.zeros((1, 20, 20), np.uint8)
    array[0, corner[0] : corner[0] + 5, corner[1] : corner[1] + 5] = 1
    return array


def blobs(seed: int, threshold: float = 0.0) -> np.ndarray:
    """Smooth random structures of values 1 and 2 that touch the borders of a [12, 30, 26] array."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(12, 30, 26)), 2)
    return np.where(noise > threshold, np.where(noise > threshold + 0.05, 2, 1), 0).astype(np.uint8)


def both(array: np.ndarray, value: int) -> torch.Tensor:
    """One structure as MONAI's one-hot batch [1, 1, K, J, I]."""
    return torch.from_numpy(array == value)[None, None].float()


def test_the_shifted_square_has_the_four_numbers_of_fact_24():
    found = score(square(5, 5)[0], square(5, 7)[0], LABELS, SPACING_MM, paper_metrics=True)["liver"]
    numbers = (found.dice, found.jaccard, found.hd95_mm, found.asd_mm)
    assert numbers == pytest.approx((0.6, 0.428571, 2.0, 1.0), abs=1e-6)


def test_a_stray_pixel_moves_the_papers_asd_in_one_direction_only_as_fact_24_says():
    plain, stray = square(5, 5)[0], square(5, 5)[0]
    stray[0, 0] = 1
    there = score(stray, plain, LABELS, SPACING_MM, paper_metrics=True)["liver"]
    back = score(plain, stray, LABELS, SPACING_MM, paper_metrics=True)["liver"]
    assert (there.dice, there.hd95_mm, there.asd_mm) == pytest.approx((0.980392, 0, 0.415945), abs=1e-6)
    assert (back.hd95_mm, back.asd_mm) == (0, 0)


def test_one_slice_is_measured_in_its_plane_as_fact_24_says():
    found = score(square(5, 5), square(5, 7), LABELS, (1.0, 1.0, 1.0))["liver"]
    assert (found.dice, found.hd95_mm, found.asd_mm) == pytest.approx((0.6, 2.0, 1.0), abs=1e-6)


@pytest.mark.parametrize("seeds", [(0, 1), (2, 3), (4, 5)])
@pytest.mark.parametrize("value", [1, 2])
def test_paper_metrics_equal_medpy(seeds, value):
    prediction, reference = blobs(seeds[0]), blobs(seeds[1], 0.02)
    found = score(prediction, reference, LABELS, SPACING_MM, paper_metrics=True)[LABELS.names[value - 1]]
    one, other = prediction == value, reference == value
    judged = [measure(one, other) for measure in (medpy.dc, medpy.jc, medpy.hd95, medpy.asd)]
    assert [found.dice, found.jaccard, found.hd95_mm, found.asd_mm] == pytest.approx(judged, abs=1e-9)


def test_a_surface_thicker_than_a_voxel_is_at_no_distance_from_itself():
    porous = np.random.default_rng(0).random((2, 9, 10, 11)) < 0.8
    found = score(*porous.astype(np.uint8), LABELS, SPACING_MM, paper_metrics=True)["liver"]
    assert [found.hd95_mm, found.asd_mm] == pytest.approx([medpy.hd95(*porous), medpy.asd(*porous)], abs=1e-9)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_labels_of_every_integer_type_are_counted(dtype):
    array = np.zeros((3, 4, 5), dtype)
    array[1, 2, 3] = 200
    assert present_values(array) == {200}
    assert score(array, array, LabelSet.from_names({200: "liver"}), SPACING_MM)["liver"].reference_voxels == 1


@pytest.mark.parametrize("value", [1, 2])
def test_the_default_metrics_equal_monai(value):
    prediction, reference = blobs(6), blobs(7, 0.02)
    found = score(prediction, reference, LABELS, SPACING_MM)[LABELS.names[value - 1]]
    one, other = both(prediction, value), both(reference, value)
    options = {"include_background": True, "spacing": list(SPACING_MM)}
    assert found.dice == pytest.approx(compute_dice(one, other).item(), abs=1e-6)
    assert found.jaccard == pytest.approx(compute_iou(one, other).item(), abs=1e-6)
    hd95 = compute_hausdorff_distance(one, other, percentile=95, **options).item()
    assert found.hd95_mm == pytest.approx(hd95, abs=1e-4)
    asd = compute_average_surface_distance(one, other, symmetric=True, **options).item()
    assert found.asd_mm == pytest.approx(asd, abs=1e-5)


def test_distances_follow_the_spacing():
    prediction, reference = np.zeros((2, 6, 8, 8), np.uint8)
    prediction[1:3, 2:5, 2:5], reference[3:5, 2:5, 2:5] = 1, 1
    near = score(prediction, reference, LABELS, (1.0, 1.0, 1.0))["liver"]
    far = score(prediction, reference, LABELS, (5.0, 1.0, 1.0))["liver"]
    assert near.hd95_mm == pytest.approx(2.0) and far.hd95_mm > near.hd95_mm


def test_a_structure_in_neither_scores_one_without_distances():
    found = score(square(5, 5), square(5, 5), LABELS, SPACING_MM)["spleen"]
    assert (found.dice, found.jaccard, found.missing) == (1.0, 1.0, False)
    assert math.isnan(found.hd95_mm) and math.isnan(found.asd_mm)


@pytest.mark.parametrize("swap", [False, True])
def test_a_structure_in_one_only_scores_zero_at_infinite_distance(swap):
    pair = [square(5, 5), square(5, 5) * 0]
    found = score(*(pair[::-1] if swap else pair), LABELS, SPACING_MM)["liver"]
    assert (found.dice, found.jaccard, found.hd95_mm, found.asd_mm) == (0.0, 0.0, math.inf, math.inf)
    assert found.missing


def test_an_empty_prediction_scores_zero_throughout_by_the_papers_rule():
    found = score(square(5, 5) * 0, square(5, 5), LABELS, SPACING_MM, paper_metrics=True)
    assert [found["liver"].hd95_mm, found["liver"].asd_mm, found["spleen"].dice] == [0.0, 0.0, 0.0]
    assert found["liver"].missing and not found["spleen"].missing


def test_dice_alone_leaves_the_distances_out():
    found = score(square(5, 5), square(5, 7), LABELS, SPACING_MM, distances=False)["liver"]
    assert found.dice == pytest.approx(0.6) and math.isnan(found.hd95_mm)


def test_dice_by_class_is_the_dice_of_the_full_score():
    prediction, reference = blobs(8), blobs(9, 0.02)
    found = score(prediction, reference, LABELS, SPACING_MM, distances=False)
    assert dice_by_class(prediction, reference, 4) == [found["liver"].dice, found["spleen"].dice, 1.0]


def test_arrays_of_different_shape_are_refused_with_both_shapes():
    with pytest.raises(UserError, match=r"\(1, 20, 20\).*\(1, 20, 19\)"):
        score(square(5, 5), square(5, 5)[:, :, :-1], LABELS, SPACING_MM)


def test_a_small_structure_in_a_large_scan_needs_no_memory_of_the_size_of_the_scan():
    prediction, reference = np.zeros((2, 120, 400, 400), np.uint8)
    prediction[50:70, 100:130, 200:240], reference[51:70, 100:131, 201:240] = 1, 1
    score(square(5, 5), square(5, 7), LABELS, SPACING_MM)  # imports are not what is measured
    tracemalloc.start()
    score(prediction, reference, LABELS, SPACING_MM)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * prediction.nbytes
