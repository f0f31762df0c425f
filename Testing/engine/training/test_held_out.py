"""Which labelled cases are set aside: a fifth, the same for one seed, and never the only one with a structure."""

from __future__ import annotations

import pytest

from alhvr.training.held_out import choose_held_out

BOTH = frozenset({1, 2})


@pytest.mark.parametrize(("cases", "aside"), [(2, 1), (3, 1), (7, 1), (8, 2), (10, 2), (20, 4)])
def test_a_fifth_is_set_aside_at_least_one(cases: int, aside: int) -> None:
    chosen = choose_held_out([BOTH] * cases, seed=0)
    assert len(chosen) == len(set(chosen)) == aside and set(chosen) <= set(range(cases))


def test_the_choice_follows_the_seed() -> None:
    drawn = [choose_held_out([BOTH] * 20, seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_only_case_with_a_structure_is_learnt_from() -> None:
    for seed in range(20):
        assert choose_held_out([BOTH, frozenset({1}), frozenset({1})], seed) != [0]


def test_an_empty_label_may_be_set_aside_but_never_all_the_filled_ones() -> None:
    for seed in range(10):
        assert choose_held_out([frozenset(), BOTH], seed) == [0]


def test_where_every_case_is_the_only_one_of_its_kind_one_is_set_aside_all_the_same() -> None:
    assert len(choose_held_out([frozenset({1}), frozenset({2}), frozenset({3})], seed=0)) == 1
