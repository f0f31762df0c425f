"""What is not annotated is not shown as labelled, and what is rare is shown more often."""

from __future__ import annotations

import pytest

from alhvr.data.sampling import EMPTY_SHARE, MOST_OFTEN, SHARE, oversample_rare

NOTHING, BACKGROUND, LIVER, KIDNEY = frozenset(), frozenset({0}), frozenset({0, 1}), frozenset({0, 7})


def test_every_slice_is_shown_once_where_no_structure_is_rare() -> None:
    assert oversample_rare({0: [BACKGROUND, LIVER], 4: [LIVER]}) == {0: [0, 1], 4: [0]}


def test_slices_and_cases_without_any_annotation_are_left_out() -> None:
    assert oversample_rare({0: [NOTHING, LIVER, NOTHING], 1: [NOTHING]}) == {0: [1]}


def test_a_slice_of_background_alone_is_worth_showing() -> None:
    assert oversample_rare({0: [BACKGROUND, LIVER, LIVER]})[0] == [0, 1, 2]


@pytest.mark.parametrize(("others", "times"), [(7, 1), (15, 2), (39, 5), (400, MOST_OFTEN)])
def test_the_only_slice_of_a_structure_is_repeated_to_its_share_but_not_without_end(others: int, times: int) -> None:
    shown = oversample_rare({0: [KIDNEY] * others, 1: [LIVER]})
    assert shown[1] == [0] * times
    assert times == MOST_OFTEN or times / (others + 1) == pytest.approx(SHARE, rel=0.25)


@pytest.mark.parametrize(("empty", "full"), [(64, 36), (1, 1), (50, 50), (300, 100)])
def test_slices_without_any_structure_make_up_a_third_at_most_and_are_all_shown(empty: int, full: int) -> None:
    shown = oversample_rare({0: [BACKGROUND] * empty + [LIVER] * full})[0]
    n_empty = sum(n < empty for n in shown)
    assert n_empty == empty and n_empty / len(shown) <= EMPTY_SHARE
    assert set(shown) == set(range(empty + full))


def test_a_third_of_slices_without_structure_changes_nothing() -> None:
    assert oversample_rare({0: [BACKGROUND] * 10 + [LIVER] * 20}) == {0: list(range(30))}


def test_a_stack_that_is_nearly_all_empty_repeats_its_few_slices_but_not_without_end() -> None:
    assert oversample_rare({0: [BACKGROUND] * 1000 + [LIVER]})[0].count(1000) == MOST_OFTEN


def test_where_nothing_is_balanced_each_slice_comes_once() -> None:
    assert oversample_rare({0: [BACKGROUND] * 9 + [LIVER, NOTHING]}, balanced=False) == {0: list(range(10))}


def test_a_slice_of_several_structures_follows_the_rarest() -> None:
    rare = frozenset({0, 1, 2})
    assert oversample_rare({0: [LIVER] * 31 + [rare]})[0].count(31) == 4


def test_nothing_annotated_anywhere_shows_nothing() -> None:
    assert oversample_rare({0: [NOTHING], 1: []}) == {}
