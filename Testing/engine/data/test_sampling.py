"""The order of both streams and the crops: pure functions of seed and iteration."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK
from support import shared_data

from alhvr.data.sampling import (
    FOREGROUND_SHARE,
    MAX_POINTS,
    StreamOrder,
    cut,
    draw_start,
    foreground_points,
    patch_generator,
)

SEVEN_PATIENTS = [9, 9, 10, 10, 10, 10, 8, 8, 11, 11, 10, 10, 10, 10]
"""Slices of 14 volumes; 136 in all, as in the 7 patients of method.md fact 25."""


def order(parts: list[int], *, batch: int, budget: int = 10**9, size: int = 10, seed: int = 0) -> StreamOrder:
    cases = {case: range(count) for case, count in enumerate(parts)}
    return StreamOrder(cases, dict.fromkeys(cases, size), batch=batch, budget_bytes=budget, seed=(seed, 0))


def epoch_items(stream: StreamOrder, epoch: int = 0) -> list[tuple[int, int]]:
    per_epoch = stream.iterations_per_epoch
    return [(i.case, i.part) for t in range(epoch * per_epoch, (epoch + 1) * per_epoch) for i in stream.items(t)]


def test_seven_patients_make_seventeen_iterations_that_show_every_slice_once() -> None:
    stream = order(SEVEN_PATIENTS, batch=8)
    every = {(case, part) for case, parts in enumerate(SEVEN_PATIENTS) for part in range(parts)}
    assert stream.iterations_per_epoch == 17
    assert len(epoch_items(stream)) == 136 and set(epoch_items(stream)) == every


@pytest.mark.parametrize(("items", "batch", "iterations"), [(256, 8, 32), (25, 2, 12), (3, 4, 1)])
def test_what_does_not_fill_a_batch_is_dropped(items: int, batch: int, iterations: int) -> None:
    stream = order([1] * items, batch=batch)
    assert stream.iterations_per_epoch == iterations
    assert len(epoch_items(stream)) == iterations * batch


def test_fewer_items_than_a_batch_are_all_shown_in_every_batch() -> None:
    stream = order([1, 1, 1], batch=8)
    for iteration in range(5):
        counts = np.bincount([item.case for item in stream.items(iteration)])
        assert counts.min() >= 2 and counts.max() <= 3


def test_each_epoch_is_another_permutation_and_each_seed_too() -> None:
    stream, other = order(SEVEN_PATIENTS, batch=8), order(SEVEN_PATIENTS, batch=8, seed=1)
    orders = [epoch_items(stream, 0), epoch_items(stream, 1), epoch_items(other, 0)]
    assert len({tuple(o) for o in orders}) == 3
    assert len({frozenset(o) for o in orders}) == 1


def test_any_iteration_can_be_asked_first_and_gives_the_same_items() -> None:
    walked, asked = order(SEVEN_PATIENTS, batch=8), order(SEVEN_PATIENTS, batch=8)
    known = [walked.items(t) for t in range(60)]
    assert all(asked.items(t) == known[t] for t in (59, 3, 40, 17, 16, 0))


def test_an_archive_beyond_the_budget_is_walked_in_blocks_of_half_of_it() -> None:
    stream = order([5] * 100, batch=5, budget=100, size=10)
    cases = [case for case, _ in epoch_items(stream)]
    blocks = [set(cases[first:first + 25]) for first in range(0, 500, 25)]
    assert all(len(block) == 5 for block in blocks)
    assert set.union(*blocks) == set(range(100))
    assert any(a != b for a, b in zip(cases, sorted(cases), strict=True))


def test_an_archive_within_the_budget_is_one_block() -> None:
    assert len(order([5] * 100, batch=5, budget=1000, size=10).epoch(0).block_ends) == 1


def test_a_scan_larger_than_the_budget_is_a_block_of_its_own() -> None:
    parts = dict.fromkeys(range(3), range(2))
    stream = StreamOrder(parts, {0: 5, 1: 500, 2: 5}, batch=2, budget_bytes=100, seed=(0, 0))
    assert set(epoch_items(stream)) == {(case, part) for case in range(3) for part in range(2)}


def test_upcoming_cases_reach_to_the_end_of_the_next_block_in_order_of_use() -> None:
    stream = order([5] * 20, batch=5, budget=100, size=10)
    walked = [case for case, _ in epoch_items(stream) + epoch_items(stream, 1)]
    for iteration in (0, 2, 5, 19):
        ahead = stream.upcoming_cases(iteration)
        end = (iteration // 5 + 2) * 25
        assert ahead == list(dict.fromkeys(walked[iteration * 5:end]))


def test_successors_follow_the_order_and_reach_every_other_item_once() -> None:
    stream = order([2, 2, 2], batch=2)
    flat = epoch_items(stream)
    found = [(i.case, i.part) for i in stream.successors(1, 1)]
    assert found == flat[4:] + flat[:3]


def test_a_stream_without_items_is_refused() -> None:
    with pytest.raises(ValueError, match="items"):
        order([], batch=2)


def test_generators_differ_between_entries_iterations_and_streams() -> None:
    draws = {patch_generator((5, s), t, n).random() for s in (0, 1) for t in range(10) for n in range(4)}
    assert len(draws) == 80
    assert patch_generator((5, 0), 3, 1).random() == patch_generator((5, 0), 3, 1).random()


def test_crops_stay_inside_the_scan_and_reach_all_of_it() -> None:
    rng = np.random.default_rng(0)
    starts = np.array([draw_start((20, 33), (16, 16), rng) for _ in range(400)])
    assert starts.min(axis=0).tolist() == [0, 0] and starts.max(axis=0).tolist() == [4, 17]


def test_a_scan_smaller_than_the_patch_is_centred_in_it() -> None:
    rng = np.random.default_rng(0)
    assert draw_start((10, 16, 13), (16, 16, 16), rng) == (-3, 0, -1)


def test_two_thirds_of_the_crops_are_centred_on_foreground() -> None:
    rng = np.random.default_rng(0)
    points = (np.array([[50, 70]]), np.array([[10, 12]]))
    starts = [draw_start((100, 100), (16, 16), rng, points) for _ in range(3000)]
    shares = [np.mean([s == wanted for s in starts]) for wanted in ((42, 62), (2, 4))]
    assert shares == pytest.approx([FOREGROUND_SHARE / 2] * 2, abs=0.03)


def test_a_crop_around_a_voxel_at_the_border_is_moved_inside() -> None:
    rng = np.random.default_rng(0)
    points = (np.array([[0, 99]]),)
    assert (0, 84) in {draw_start((100, 100), (16, 16), rng, points) for _ in range(50)}


def test_foreground_points_lie_in_their_class_and_are_few() -> None:
    label = np.zeros((20, 60, 60), dtype=np.uint8)
    label[3:8], label[10, 5, 6], label[12:] = 1, 4, 255
    first, second = foreground_points(label)
    assert 0.4 * MAX_POINTS < len(first) <= MAX_POINTS and np.all(label[tuple(first.T)] == 1)
    assert second.tolist() == [[10, 5, 6]]
    assert foreground_points(np.zeros((4, 4), dtype=np.uint8)) == ()


def test_a_cut_beyond_the_array_is_filled() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    piece = cut(array, (-1, 2), (3, 4), -7)
    assert piece.tolist() == [[-7, -7, -7, -7], [2, 3, -7, -7], [6, 7, -7, -7]]
    assert np.all(cut(array, (50, 50), (2, 2), 1) == 1)


def test_a_cut_is_a_copy() -> None:
    array = np.zeros((4, 4), dtype=np.float32)
    cut(array, (0, 0), (4, 4), 0)[:] = 1
    assert array.sum() == 0


def test_the_real_slices_of_seven_patients_make_seventeen_iterations() -> None:
    """method.md fact 25 on the real scans' own headers."""
    patients = json.loads(shared_data("acdc", "split.json").read_text())["train_patients_in_order"][:7]
    slices = []
    for path in shared_data("acdc", "train", "labels").iterdir():
        if path.name.split("_")[0] in patients:
            reader = SimpleITK.ImageFileReader()
            reader.SetFileName(str(path))
            reader.ReadImageInformation()
            slices.append(reader.GetSize()[2])
    assert len(slices) == 14 and sum(slices) == 136
    assert order(slices, batch=8).iterations_per_epoch == 17
