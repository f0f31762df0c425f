"""The forecast adds up, by hand, what a few steps took."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_cases import tiny_plan

from alhvr.checking.findings import KINDS, Severity
from alhvr.config import TrainingConfig
from alhvr.training.forecast import Resources, StepTiming, Workload, forecast, what_lacks

MB = 1_000_000
PACE = StepTiming(step_s=2.0, steps=3, scaled=False, batch_s=0.5, reading_s=0.0, segmenting_s=1e-6, export_s=3.0,
                  program_bytes=500 * MB, step_bytes=700 * MB, segmenting_bytes=100 * MB, weight_bytes=10 * MB,
                  threads=1)
TRAINING = TrainingConfig(iterations=1000, validations=10, memory_gb=2.0)
FLAT, SOLID = tiny_plan(2, (64, 64)), tiny_plan(3, (32, 32, 32))
LOAD = Workload(FLAT, TRAINING, {"labeled": ((10, 64, 64),), "unlabeled": ((10, 64, 64),), "validation": ()},
                (4_000_000,))
PLENTY = Resources(10**12, 10**12)


def seconds(pace: StepTiming = PACE, load: Workload = LOAD) -> float:
    return 60 * forecast(pace, load, PLENTY).minutes


def test_the_time_is_that_of_all_steps_and_validations_and_of_the_end() -> None:
    validation_s = 3 + 4
    assert seconds() == pytest.approx(1000 * (2 + 0.5) + (10 + 2) * validation_s + 5)
    assert seconds(load=replace(LOAD, windows=())) == pytest.approx(1000 * 2.5 + 5)


def test_batches_are_made_beside_the_steps_on_a_card_and_take_from_them_on_the_processor() -> None:
    bare = replace(LOAD, windows=())
    assert seconds(replace(PACE, threads=4), bare) == pytest.approx(1000 * (2 + 0.5 / 4) + 5)
    assert seconds(replace(PACE, threads=0), bare) == pytest.approx(1000 * 2 + 5)
    assert seconds(replace(PACE, threads=0, batch_s=3.0), bare) == pytest.approx(1000 * 3 + 5)


def test_a_run_in_minutes_takes_them_and_the_end() -> None:
    timed = replace(LOAD, training=TrainingConfig(minutes=30, validations=10))
    found = forecast(PACE, timed, PLENTY)
    assert 60 * found.minutes == pytest.approx(1800 + 2 * 7 + 5)
    assert "room for about 690 steps" in found.sentences[0]


def test_an_archive_that_fits_the_memory_is_read_once_and_a_larger_one_again_and_again() -> None:
    pace = replace(PACE, batch_s=0.0, reading_s=1e-6)
    bare = replace(LOAD, windows=(), shapes={"unlabeled": ((10, 1000, 1000),) * 10})
    assert seconds(pace, bare) == pytest.approx(2000 + 100 + 5)
    small = replace(bare, training=replace(TRAINING, memory_gb=0.1))
    assert seconds(pace, small) == pytest.approx(1000 * (2 + 2 * 1.0) + 5)  # two slices of 1 s each time
    solid = replace(small, plan=SOLID)
    assert seconds(pace, solid) == pytest.approx(1000 * (2 + 2 / 4 * 10.0) + 5)  # a quarter of a scan for each crop


def test_the_memory_is_the_program_the_scans_and_the_largest_work() -> None:
    scans = 10 * 64 * 64 * (5 + 4)
    reading = 10 * 64 * 64 * 16
    batches = 4 * 4 * 64 * 64 * 12
    step = 700 * MB + 10 * MB
    found = forecast(PACE, LOAD, PLENTY)
    assert 1e9 * found.memory_gb == pytest.approx(500 * MB + 150 * MB + scans + reading + batches + step)
    large = forecast(replace(PACE, segmenting_bytes=2000 * MB), LOAD, PLENTY)
    assert large.memory_gb - found.memory_gb == pytest.approx((2000 + 50 - 710) / 1000)


def test_scans_take_no_more_memory_than_they_may() -> None:
    huge = replace(LOAD, shapes={"unlabeled": ((100, 500, 500),) * 100}, plan=SOLID)
    found = forecast(PACE, huge, PLENTY)
    one = 100 * 500 * 500 * 16
    assert 1e9 * found.memory_gb == pytest.approx(500 * MB + 150 * MB + 1e9 + one + 4 * 4 * 32**3 * 12 + 710 * MB)


def test_the_disk_holds_two_checkpoints_while_one_is_written_and_the_model() -> None:
    found = forecast(PACE, LOAD, PLENTY)
    assert found.model_gb == pytest.approx(0.02)
    assert found.disk_gb == pytest.approx(0.02 + 0.09 + 0.005)
    sgd = replace(LOAD, training=replace(LOAD.training, optimizer="sgd"))
    assert forecast(PACE, sgd, PLENTY).disk_gb == pytest.approx(0.02 + 0.07 + 0.005)


def test_too_little_disk_is_a_fault_and_too_little_memory_a_warning() -> None:
    found = what_lacks(forecast(PACE, LOAD, Resources(100 * MB, 50 * MB)), Path("run"))
    assert [(f.kind, f.severity) for f in found] == [
        ("too_little_memory", Severity.WARNING), ("too_little_disk", Severity.FAULT)]
    assert all(f.kind in KINDS and f.remedy for f in found)
    assert what_lacks(forecast(PACE, LOAD, PLENTY), Path("run")) == []
    assert what_lacks(forecast(PACE, LOAD, Resources(None, None)), Path("run")) == []


def test_the_sentences_say_what_they_rest_on() -> None:
    time, memory, disk = forecast(replace(PACE, scaled=True), LOAD, Resources(2_000 * MB, 90_000 * MB)).sentences
    assert time == ("Training will take about 43 min on this computer: 1000 steps of 2.5 s, 11 validations of 7 s or "
                    "more, going by 3 steps on less, scaled up.")
    assert memory.startswith("It will hold about 1.4 GB of memory at most; 2.5 GB can be had now")
    assert disk.endswith("20 MB of which are the model; 90.0 GB are free there.")
    bare = forecast(PACE, LOAD, Resources(None, None))
    assert "can be had" not in bare.sentences[1] and "free" not in bare.sentences[2]
