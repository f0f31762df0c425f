"""Reading ahead, computing and writing behind at the same time, and what errors and stops do to it."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alhvr.core.errors import Cancelled, UserError
from alhvr.inference.pipeline import BatchAborted, Pipeline, Steps

PATIENCE_S = 20.0


class Log:
    """Steps that note what happens; single steps may be replaced."""

    def __init__(self, **steps: Callable[..., Any]) -> None:
        self.wrote: list[tuple[int, Any]] = []
        self.failed: list[tuple[int, str]] = []
        self.asked_to_stop = False
        plain = Steps(lambda item, beside: item, lambda item, read: read, lambda item, made: made,
                      lambda item, kept: self.wrote.append((item, kept)),
                      lambda item, error: self.failed.append((item, error.message)))
        self.pipeline: Pipeline = Pipeline(replace(plain, **steps), lambda: self.asked_to_stop)

    def run(self, n_items: int) -> Log:
        self.pipeline.run(range(n_items))
        return self


def fails(at: int, error: type[UserError] = UserError) -> Callable[[int, Any], Any]:
    """A step that fails for one item."""
    def step(item: int, given: Any) -> Any:
        if item == at:
            raise error(f"bad {item}")
        return given if given is not None else item
    return step


def test_every_item_goes_through_all_steps_in_order() -> None:
    log = Log(read=lambda item, beside: 10 * item, compute=lambda item, read: read + 1,
              write=lambda item, made: f"<{made}>").run(3)
    assert log.wrote == [(0, "<1>"), (1, "<11>"), (2, "<21>")] and log.failed == []


def test_nothing_to_do_is_done_at_once() -> None:
    assert Log().run(0).wrote == []


def test_the_next_item_is_read_and_the_last_one_written_while_one_is_computed() -> None:
    reading = [threading.Event() for _ in range(3)]
    writing = [threading.Event() for _ in range(3)]
    computing = [threading.Event() for _ in range(3)]

    def compute(item: int, read: int) -> int:
        computing[item].set()
        assert item == 2 or reading[item + 1].wait(PATIENCE_S)
        assert item == 0 or writing[item - 1].wait(PATIENCE_S)
        return read

    def read(item: int, beside: int | None) -> int:
        assert item == 0 or computing[item - 1].wait(PATIENCE_S)
        reading[item].set()
        return item

    def write(item: int, made: int) -> int:
        assert item == 2 or computing[item + 1].wait(PATIENCE_S)
        writing[item].set()
        return made

    assert len(Log(read=read, compute=compute, write=write).run(3).wrote) == 3


def test_no_more_than_one_item_is_read_ahead() -> None:
    begun: list[int] = []

    def compute(item: int, read: int) -> int:
        threading.Event().wait(0.05)
        assert max(begun) <= item + 1
        return read

    Log(read=lambda item, beside: begun.append(item) or item, compute=compute).run(5)
    assert begun == [0, 1, 2, 3, 4]


def test_no_more_than_one_result_waits_behind() -> None:
    computed: list[int] = []

    def write(item: int, made: int) -> int:
        threading.Event().wait(0.05)
        assert max(computed) <= item + 1
        return made

    Log(compute=lambda item, read: computed.append(item) or item, write=write).run(5)
    assert computed == [0, 1, 2, 3, 4]


class Large:
    """Stands for an array that must not pile up."""


def test_what_was_written_is_not_held_in_memory() -> None:
    alive: list[weakref.ref] = []

    def large() -> Large:
        gc.collect()
        assert sum(reference() is not None for reference in alive) <= 4
        made = Large()
        alive.append(weakref.ref(made))
        return made

    Log(read=lambda item, beside: large(), compute=lambda item, read: large(), write=lambda item, made: item).run(8)
    assert len(alive) == 16
    gc.collect()
    assert not any(reference() for reference in alive)


@pytest.mark.parametrize("step", ["read", "compute", "write"])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_bad_item_is_told_and_the_others_go_on(step: str, at: int) -> None:
    log = Log(**{step: fails(at)}).run(4)
    assert log.failed == [(at, f"bad {at}")]
    assert [item for item, _ in log.wrote] == [item for item in range(4) if item != at]


def test_what_does_not_fit_beside_another_is_read_when_nothing_is_under_way() -> None:
    asked: list[tuple[int, int | None]] = []
    written: list[int] = []

    def read(item: int, beside: int | None) -> int | None:
        asked.append((item, beside))
        if beside is not None:
            return None
        assert written == list(range(item))
        return item

    def write(item: int, made: int) -> int:
        threading.Event().wait(0.02)
        written.append(item)
        return made

    Log(read=read, write=write).run(3)
    assert asked == [(0, None), (1, 0), (1, None), (2, 1), (2, None)]


def test_a_stop_while_computing_ends_it_and_the_result_behind_is_written() -> None:
    def compute(item: int, read: int) -> int:
        log.asked_to_stop = item == 2
        if log.pipeline.pulse():
            raise Cancelled("within an item")
        return read

    log = Log(compute=compute)
    with pytest.raises(Cancelled):
        log.run(5)
    assert log.wrote == [(0, 0), (1, 1)] and log.failed == []


def test_a_stop_while_waiting_for_a_read_ends_it() -> None:
    stopped = threading.Event()

    def read(item: int, beside: int | None) -> int:
        if item == 1:
            log.asked_to_stop = True
            stopped.wait(0.5)
        return item

    log = Log(read=read)
    with pytest.raises(Cancelled):
        log.run(3)
    assert log.wrote == [(0, 0)]


def test_results_are_told_while_the_next_item_is_computed() -> None:
    told: list[int] = []

    def compute(item: int, read: int) -> int:
        end = threading.Event()
        while item == 1 and not log.wrote:
            log.pipeline.pulse()
            assert not end.wait(0.001)
        told.append(len(log.wrote))
        return read

    log = Log(compute=compute)
    log.run(2)
    assert told == [0, 1]


def test_nothing_goes_on_after_a_hopeless_error() -> None:
    log = Log(write=fails(1, BatchAborted))
    with pytest.raises(BatchAborted, match="bad 1"):
        log.run(6)
    assert log.failed == [(1, "bad 1")] and log.wrote == [(0, 0)]


def test_an_error_that_is_no_users_mistake_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        Log(write=lambda item, made: 1 // (item - 1)).run(4)


def test_a_read_that_hangs_is_ended_when_the_run_is_stopped() -> None:
    closed = threading.Event()

    def read(item: int, beside: int | None) -> int:
        log.asked_to_stop = True
        assert closed.wait(PATIENCE_S)
        raise UserError("Reading was stopped.")

    log = Log(read=read, close=closed.set)
    with pytest.raises(Cancelled):
        log.run(2)
    assert log.failed == []
