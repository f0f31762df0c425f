"""What is not annotated is not shown as labelled, and what is rare is shown more often."""

from __future__ import annotations

import pytest

from alhvr.data.rarity import MOST_OFTEN, SHARE, shown_parts

NOTHING, BACKGROUND, LIVER = frozenset(), frozenset({0}), frozenset({0, 1})


def test_every_slice_is_shown_once_where_no_structure_is_rare() -> None:
    assert shown_parts({0: [BACKGROUND, LIVER], 4: [LIVER]}) == {0: [0, 1], 4: [0]}


def test_slices_and_cases_without_any_annotation_are_left_out() -> None:
    assert shown_parts({0: [NOTHING, LIVER, NOTHING], 1: [NOTHING]}) == {0: [1]}


def test_a_slice_of_background_alone_is_worth_showing() -> None:
    assert shown_parts({0: [BACKGROUND, LIVER]})[0] == [0, 1]


@pytest.mark.parametrize(("others", "times"), [(7, 1), (15, 2), (39, 5), (400, MOST_OFTEN)])
def test_the_only_slice_of_a_structure_is_repeated_to_its_share_but_not_without_end(others: int, times: int) -> None:
    shown = shown_parts({0: [BACKGROUND] * others, 1: [LIVER]})
    assert shown[1] == [0] * times
    assert times == MOST_OFTEN or times / (others + 1) == pytest.approx(SHARE, rel=0.25)


def test_a_slice_of_several_structures_follows_the_rarest() -> None:
    rare = frozenset({0, 1, 2})
    assert shown_parts({0: [LIVER] * 31 + [rare]})[0].count(31) == 4


def test_nothing_annotated_anywhere_shows_nothing() -> None:
    assert shown_parts({0: [NOTHING], 1: []}) == {}
