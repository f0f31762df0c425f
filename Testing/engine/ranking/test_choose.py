"""Choosing what to label next: turns, noise that becomes less, every fifth by chance, and each patient once."""

from __future__ import annotations

from collections import Counter

import numpy as np

from alhvr.ranking.choose import AT_RANDOM, Candidate, Choice, Wish, choose

STRUCTURES = ("liver", "spleen")


def candidate(name: str, liver: float = 0.1, spleen: float = 0.1, patient: str | None = None, *,
              missing: bool = False) -> Candidate:
    wishes = {"liver": Wish(liver, "liver uncertain"), "spleen": Wish(spleen, "spleen uncertain", missing)}
    return Candidate(name, wishes, patient)


def pool(count: int = 40) -> list[Candidate]:
    rng = np.random.default_rng(0)
    return [candidate(f"scan{n:02}", *rng.uniform(0.01, 0.9, 2)) for n in range(count)]


def chosen(candidates: list[Candidate], count: int = 10, **how: int) -> tuple[Choice, ...]:
    return choose(candidates, STRUCTURES, count=count, **how)


def test_structures_take_turns_and_every_fifth_is_drawn_at_random() -> None:
    reasons = [choice.reason for choice in chosen(pool())]
    turns = ["liver uncertain", "spleen uncertain"] * 2
    assert reasons == [*turns, AT_RANDOM] * 2


def test_turns_go_on_in_the_next_round() -> None:
    reasons = [[choice.reason for choice in chosen(pool(), 3, round_number=n)] for n in (1, 2)]
    assert reasons == [["liver uncertain", "spleen uncertain", "liver uncertain"],
                       ["spleen uncertain", AT_RANDOM, "liver uncertain"]]


def test_late_rounds_draw_by_the_score_alone() -> None:
    first, second = chosen(pool(), 2, round_number=31)
    assert first.score == max(c.wishes["liver"].score for c in pool())
    assert second.score == max(c.wishes["spleen"].score for c in pool() if c.case != first.case)


def test_the_first_round_draws_the_unsure_more_often_and_not_always() -> None:
    candidates = [candidate("sure", 0.1), candidate("unsure", 0.3)]
    drawn = Counter(chosen(candidates, 1, seed=seed)[0].case for seed in range(400))
    assert 260 < drawn["unsure"] < 340  # three in four: with noise of full strength by the scores themselves


def test_the_same_seed_chooses_the_same_and_another_another() -> None:
    assert chosen(pool(), seed=1) == chosen(pool()[::-1], seed=1) != chosen(pool(), seed=2)


def test_a_scan_that_is_gone_changes_no_draw_of_the_others() -> None:
    before = chosen(pool(), 4)
    after = chosen([c for c in pool() if c.case != before[0].case], 4)
    assert [c.case for c in before if c.reason == "spleen uncertain"][0] in {c.case for c in after}


def test_no_two_scans_of_one_patient_are_in_a_list() -> None:
    candidates = [candidate(f"{who}{n}", 0.5, 0.5, who) for who in "AB" for n in range(5)]
    assert sorted(choice.case[0] for choice in chosen(candidates)) == ["A", "B"]
    assert len(chosen([candidate(f"nobody{n}") for n in range(4)])) == 4


def test_scans_without_a_structure_do_not_fill_the_list() -> None:
    candidates = [candidate(f"head{n}", 0.9, 1.0, missing=True) for n in range(30)] + pool(30)
    names = [choice.case for choice in chosen(candidates, round_number=21) if choice.reason.startswith("spleen")]
    assert 0 < sum(name.startswith("head") for name in names) <= 3


def test_every_place_is_drawn_at_random_with_the_same_chance_whatever_the_score() -> None:
    candidates = [candidate("a", 0.9, 0.9), candidate("b", 0.0, 0.0)]
    lots = Counter(choose(candidates, (), count=1, seed=seed)[0].case for seed in range(400))
    assert 150 < lots["a"] < 250


def test_fewer_candidates_than_places_are_all_chosen_once() -> None:
    assert sorted(choice.case for choice in chosen(pool(7), 100)) == [f"scan{n:02}" for n in range(7)]
    assert chosen([]) == ()
