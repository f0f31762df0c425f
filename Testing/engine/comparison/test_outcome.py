"""What a comparison showed: means over patients, an honest interval, and sentences that say so plainly."""

from __future__ import annotations

import json

import numpy as np
import pytest

from alhvr.comparison.outcome import (
    CaseOutcome,
    Outcome,
    StructureScore,
    Training,
    interval,
    outcome_record,
    points,
    sentences,
)

BOTH = {"labels-only": Training(15.0, 400, 380, "labels-only/model", True),
        "archive": Training(15.0, 250, 240, "archive/model", True)}


def case(name: str, patient: str | None = None, **scores: float | None | tuple[float, ...]) -> CaseOutcome:
    """A case of the structure "liver" (and "spleen", where an arm has two Dice)."""
    found = {}
    for arm, dice in scores.items():
        values = dice if isinstance(dice, tuple) else (dice,)
        found[arm.replace("_", "-")] = {structure: StructureScore(value, None if value is None else 3.0)
                                        for structure, value in zip(("liver", "spleen"), values, strict=False)}
    return CaseOutcome(name, patient or name, found, {})


def outcome(*gains: float, structures: tuple[str, ...] = ("liver",), base: float = 0.7, **arms: Training) -> Outcome:
    """One patient for each gain of the archive over labels only."""
    cases = tuple(case(f"p{n}", labels_only=base, archive=base + gain) for n, gain in enumerate(gains))
    return Outcome(structures, cases, arms or BOTH, "mm")


def test_where_every_patient_gains_the_archive_is_offered_and_it_is_said_with_its_interval() -> None:
    found = outcome(0.02, 0.04, 0.05, 0.03, 0.06)
    assert (found.verdict, found.offered) == ("archive", "archive")
    assert 0.015 <= found.change.overall.low < found.change.overall.dice < found.change.overall.high <= 0.065
    first, *rest = sentences(found)
    assert first.startswith("The archive helped: +4.0 (95 %: +") and first.endswith("on 5 held-out patients.")
    assert rest == []


def test_where_the_interval_holds_zero_no_gain_is_shown_and_labels_only_is_offered() -> None:
    found = outcome(0.05, -0.04, 0.03, -0.02, 0.01)
    assert (found.verdict, found.offered) == ("no gain shown", "labels-only")
    assert sentences(found)[0].startswith("No gain from the archive was shown: +0.6")
    assert "The model from labels only is offered." in sentences(found)


@pytest.mark.parametrize(("labels_steps", "archive_steps", "gain", "slowed"), [
    (400, 99, -0.05, "with the archive"), (250, 400, 0.05, "labels only"),
])
def test_a_training_that_other_work_slowed_down_loses_nothing_by_it(labels_steps, archive_steps, gain, slowed) -> None:
    arms = {"labels-only": Training(15.0, labels_steps, 1, "a", True),
            "archive": Training(14.5, archive_steps, 1, "b", True)}
    found = outcome(*(gain + 0.001 * n for n in range(6)), **arms)
    assert (found.verdict, found.offered) == ("no gain shown", "labels-only")
    assert f"during the training {slowed} ({labels_steps} steps" in " ".join(sentences(found))


def test_harm_is_said_plainly() -> None:
    found = outcome(-0.02, -0.04, -0.05, -0.03, -0.06)
    assert (found.verdict, found.offered) == ("labels-only", "labels-only")
    assert sentences(found)[0].startswith("The archive did harm: \u22124.0 (95 %: \u2212")


def test_a_structure_that_is_worse_is_named_also_where_the_mean_is_better() -> None:
    cases = tuple(case(f"p{n}", labels_only=(0.6, 0.8), archive=(0.8 + n / 100, 0.75 + n / 1000)) for n in range(6))
    found = Outcome(("liver", "spleen"), cases, BOTH, "mm")
    assert found.verdict == "archive" and "Worse with it: spleen (\u22124.8)." in sentences(found)


def test_below_five_patients_it_is_said_that_they_are_too_few() -> None:
    found = outcome(0.02, 0.04, 0.05, 0.03)
    assert found.too_few and sentences(found)[-1] == "These are too few patients to trust it."
    assert not outcome(0.02, 0.04, 0.05, 0.03, 0.06).too_few


def test_one_patient_shows_nothing_and_has_no_interval() -> None:
    found = outcome(0.3)
    assert (found.change.overall.low, found.verdict, found.offered) == (None, "no gain shown", "labels-only")
    assert "of one patient there is no interval" in sentences(found)[0]


def test_cases_of_one_patient_count_once() -> None:
    cases = (*(case(f"a{n}", "A", labels_only=0.5, archive=0.9) for n in range(8)),
             case("b", labels_only=0.5, archive=0.5))
    found = Outcome(("liver",), cases, BOTH, "mm")
    assert found.n_patients == 2 and found.change.overall.dice == pytest.approx(0.2)
    assert found.mean_dice("archive") == pytest.approx(0.7)


def test_what_nobody_annotated_counts_nowhere() -> None:
    cases = (case("a", labels_only=(0.5, None), archive=(0.6, None)), case("b", labels_only=0.7, archive=0.8),
             case("c", labels_only=(None, None), archive=(None, None)))
    found = Outcome(("liver", "spleen"), cases, BOTH, "mm")
    assert found.change.overall.dice == pytest.approx(0.1) and set(found.change.by_structure) == {"liver"}
    assert found.mean_dice("archive", "spleen") is None and found.mean_dice("archive") == pytest.approx(0.7)


def test_a_missed_structure_is_counted_and_leaves_no_distance() -> None:
    missed = {"archive": {"liver": StructureScore(0.0, None, missed=True)}}
    cases = (CaseOutcome("a", "a", missed, {}), case("b", archive=0.9))
    record = outcome_record(Outcome(("liver",), cases, {"archive": BOTH["archive"]}, "mm"))
    assert record["arms"]["archive"]["hd95_missed"] == {"liver": 1}
    assert record["arms"]["archive"]["hd95_mm"] == {"liver": 3.0}
    assert record["cases"][0]["scores"]["archive"]["liver"] == {"dice": 0.0, "hd95_mm": None, "missed": True}


def test_one_arm_is_offered_with_its_figure_and_nothing_is_compared() -> None:
    cases = tuple(case(f"p{n}", archive=0.8) for n in range(5))
    found = Outcome(("liver",), cases, {"archive": BOTH["archive"]}, "mm")
    assert (found.verdict, found.offered, found.change) == ("one arm", "archive", None)
    assert sentences(found)[0] == "One model was trained, with the archive: Dice 0.800 on 5 held-out patients."


def test_without_held_out_cases_it_is_said_that_nobody_can_tell() -> None:
    found = Outcome(("liver",), (), BOTH, "mm")
    assert sentences(found) == ("No case was held out, so nobody can tell how good the model is.",)
    assert found.offered == "labels-only" and found.worst is None and outcome_record(found)["change"] is None


def test_of_models_that_learnt_nothing_it_is_not_said_that_the_archive_helped() -> None:
    found = outcome(0.10, 0.11, 0.10, 0.12, 0.11, base=0.02)
    assert found.change.overall.low > 0 and found.verdict == "no gain shown"
    assert sentences(found) == ("Neither model learnt to segment (Dice 0.020 and 0.128 on 5 held-out patients): train "
                                "longer, or label more cases.", "So nobody can tell yet whether the archive helps.")


def test_the_change_from_the_start_is_that_of_the_offered_model() -> None:
    cases = tuple(case(f"p{n}", before=0.4, labels_only=0.5, archive=0.6 + n / 100) for n in range(5))
    change = outcome_record(Outcome(("liver",), cases, BOTH, "mm"))["change_from_start"]
    assert (change["of"], change["from"]) == ("archive", "before") and change["dice"] == pytest.approx(0.22)


def test_the_worst_case_is_that_of_the_offered_model() -> None:
    found = outcome(0.02, -0.3, 0.05, 0.03, 0.06)
    assert (found.worst.case, found.worst.arm) == ("p0", "labels-only")


def test_two_patients_who_both_gained_show_nothing_yet() -> None:
    assert outcome(0.01, 0.05).verdict == "no gain shown"


def test_the_interval_is_the_same_each_time_and_never_narrower_than_the_bootstrap() -> None:
    gains = [0.02, 0.04, 0.05, 0.03, 0.06]
    found = interval(gains)
    assert found == interval(gains)
    drawn = np.random.default_rng(0).integers(5, size=(10_000, 5))
    low, high = np.quantile(np.array(gains)[drawn].mean(axis=1), (0.025, 0.975))
    assert found.low <= low and found.high >= high


def test_the_interval_of_few_patients_covers_what_it_promises() -> None:
    rng = np.random.default_rng(1)
    found = [interval(rng.normal(0.02, 0.05, 6)) for _ in range(150)]
    assert sum(one.low <= 0.02 <= one.high for one in found) >= 0.9 * len(found)


def test_the_record_is_plain_json_with_what_the_format_promises() -> None:
    record = json.loads(json.dumps(outcome_record(outcome(0.02, 0.04)), allow_nan=False))
    assert record["format"] == "alhvr outcome 1" and record["change"].keys() >= {
        "of", "from", "dice", "low", "high", "by_structure"}
    assert record.keys() >= {"structures", "cases", "arms", "n_patients", "too_few", "verdict", "sentence", "worst",
                             "distance_unit", "offered", "change_from_start"}
    assert record["arms"]["archive"].keys() >= {"dice", "hd95_mm", "mean_dice", "minutes", "iterations", "model"}


def test_changes_are_told_in_hundredths_with_a_sign() -> None:
    assert (points(0.041), points(-0.05), points(0.0)) == ("+4.1", "\u22125.0", "+0.0")
