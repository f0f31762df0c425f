"""Which labelled cases are set aside: a fifth, the same for one seed, and never the only one with a structure."""

from __future__ import annotations

import pytest

from alhvr.training.setup import choose_held_out

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


def test_cases_of_one_patient_stay_together() -> None:
    patients = ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e"]
    for seed in range(20):
        aside = {patients[i] for i in choose_held_out([BOTH] * 10, seed, patients)}
        assert choose_held_out([BOTH] * 10, seed, patients) == [i for i, p in enumerate(patients) if p in aside]
        assert len(aside) == 1


def test_a_patient_with_most_of_the_cases_is_learnt_from() -> None:
    for seed in range(10):
        assert choose_held_out([BOTH] * 6, seed, ["a", "a", "a", "a", "b", "c"]) in ([4], [5])
        assert choose_held_out([BOTH] * 3, seed, ["a", "a", "b"]) == [2]


def test_patients_who_are_all_different_change_nothing() -> None:
    for seed in range(10):
        assert choose_held_out([BOTH] * 9, seed, range(9)) == choose_held_out([BOTH] * 9, seed)


def test_scans_that_are_all_of_one_patient_are_split_all_the_same() -> None:
    assert choose_held_out([BOTH] * 5, 3, ["a"] * 5) == choose_held_out([BOTH] * 5, 3)


def test_the_only_patient_with_a_structure_is_learnt_from() -> None:
    values = [BOTH, BOTH, *[frozenset({1})] * 4]
    for seed in range(20):
        assert not {0, 1} & set(choose_held_out(values, seed, ["a", "a", "b", "b", "c", "c"]))
