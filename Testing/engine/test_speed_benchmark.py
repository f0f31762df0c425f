"""The frame of benchmarks/speed: turns, medians of the rounds' ratios, verdicts, and results that can be merged."""

from __future__ import annotations

import pytest
from support import ROOT


@pytest.fixture(autouse=True)
def frame(monkeypatch):
    """The measurements' own folder, from which they import each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "speed"))


def test_sides_take_turns_and_every_second_round_goes_backwards(monkeypatch):
    import turns

    monkeypatch.setattr(turns, "SHORTEST_TURN_S", 0.0)
    called = []
    result = turns.take_turns({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, rounds=3, threads=1)
    assert called == ["a", "b", *"ab", *"ba", *"ab"]
    assert {side: len(times) for side, times in result.sides.items()} == {"a": 3, "b": 3}


def test_a_short_side_is_called_until_it_can_be_measured():
    import turns

    calls = []
    turns.take_turns({"short": lambda: calls.append(1)}, rounds=1, threads=1)
    assert len(calls) > 10


@pytest.mark.parametrize(("clock", "expected"), [("cpu", 2.0), ("wall", 3.0)])
def test_the_ratio_is_the_median_of_each_rounds_own(clock, expected):
    import turns

    base = (1.0, 10.0, 5.0)
    plain = tuple(turns.Turn(wall=s, cpu=s) for s in base)
    whole = tuple(turns.Turn(wall=s * w, cpu=s * c) for s, w, c in zip(base, (3, 1, 9), (2, 2, 50), strict=True))
    ratio = turns.Turns({"whole": whole, "plain": plain}, clock).ratio("whole", "plain")
    assert ratio.value == expected and (ratio.wall, ratio.cpu, ratio.rounds) == (3.0, 2.0, 3)
    assert (ratio.lowest, ratio.highest) == ((2.0, 50.0) if clock == "cpu" else (1.0, 9.0))


@pytest.mark.parametrize(("measured", "at_least", "expected"), [
    (1.1, False, "met"), (1.15, False, "within the bound"), (1.3, False, "missed"), (1.1, True, "met"),
    (0.9, True, "missed"),
])
def test_the_verdict_follows_target_and_bound(measured, at_least, expected):
    import records

    bound = None if at_least else 1.2
    assert records.Finding(1, "step", measured, "x", 1.1, bound, at_least=at_least).verdict == expected
    assert records.Finding(1, "step", measured, "x").verdict == ""


def test_a_measurement_replaces_its_own_results_and_leaves_the_others(tmp_path):
    import records
    import report

    file = tmp_path / "results" / "speed.json"
    for name, value in (("steps", 1.5), ("gamma", 40.0), ("steps", 1.05)):
        found = records.Finding(1 if name == "steps" else 3, f"{name} here", value, "x", 1.1, threads=2)
        growth = records.Series("Growth", "line", "scans", "s", (1.0, 10.0), (2.0, 3.0))
        entries = records.store(name, records.Result((found,), (growth,)), {"rounds": 5, "seconds": 3.0}, file)
    assert {name: records.from_json(e).findings[0].measured for name, e in records.read_all(file).items()} == {
        "steps": 1.05, "gamma": 40.0}
    text = report.write_report(entries, [], tmp_path / "speed.md")
    assert "| steps here | 2 | ≤ 1.100x |  | 1.050x | met |  |" in text and text.index("## 1.") < text.index("## 3.")
