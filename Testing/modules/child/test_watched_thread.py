"""Tests of watched_thread.py: the thread gets its turns, its end is noticed on the main thread, and nothing nests."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from child_watch import let_qt_work


def watched(onTick: Callable[[], None], tick_ms: int = 1) -> Any:
    from ALHVRLib.watched_thread import WatchedThread

    return WatchedThread(onTick, tick_ms, 0.02)


def test_the_end_is_noticed_on_the_main_thread(slicer_app: object) -> None:
    ran, noticed = [], []
    work = watched(lambda: noticed.append(threading.current_thread()) if work.isOver else None)
    work.start(lambda text: ran.append((text, threading.current_thread())), "given")
    let_qt_work(lambda: bool(noticed))
    work.unwatch()
    assert ran[0][0] == "given" and ran[0][1] is not threading.main_thread()
    assert noticed[0] is threading.main_thread()


def test_the_thread_works_though_the_event_loop_never_lets_go_of_python(slicer_app: object) -> None:
    work = watched(lambda: None)
    usual, until = sys.getswitchinterval(), time.monotonic() + 10
    sys.setswitchinterval(1000)
    try:
        work.start(lambda: sum(range(1_000_000)))
        while not work.isOver and time.monotonic() < until:
            work.tick()
        assert work.isOver
    finally:
        sys.setswitchinterval(usual)
        work.unwatch()


def test_no_tick_comes_inside_another(slicer_app: Any) -> None:
    depths, inside = [], []

    def onTick() -> None:
        inside.append(None)
        depths.append(len(inside))
        time.sleep(0.01)
        slicer_app.processEvents()
        inside.pop()

    work = watched(onTick)
    work.watch()
    let_qt_work(lambda: len(depths) >= 3)
    work.unwatch()
    assert set(depths) == {1}


def test_a_tick_that_fails_does_not_end_the_ticks(slicer_app: object) -> None:
    ticks: list[None] = []

    def onTick() -> None:
        ticks.append(None)
        if len(ticks) == 1:
            raise ValueError

    work = watched(onTick)
    for _ in range(2):
        with contextlib.suppress(ValueError):
            work.tick()
    assert len(ticks) == 2


def test_unwatched_no_tick_comes_and_the_function_goes_on(slicer_app: Any) -> None:
    ticks: list[None] = []
    go_on = threading.Event()
    work = watched(lambda: ticks.append(None))
    work.start(go_on.wait)
    work.unwatch()
    time.sleep(0.02)
    slicer_app.processEvents()
    assert ticks == [] and not work.isOver and not work.isWatched
    go_on.set()
    work.join()
    assert work.isOver
