"""Free cores: a neighbour takes them, work at low priority this process itself and its children do not."""

from __future__ import annotations

import os

import pytest

from alhvr.core import system as room
from alhvr.core.system import free_cores


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """A function that sets up a machine of 4 cores, 10 s after the first look, with so many busy seconds since."""
    monkeypatch.setattr(room.os, "sched_getaffinity", lambda _: range(4), raising=False)

    def set_up(*, user: float = 0, nice: float = 0, own: float = 0) -> None:
        statistics = tmp_path / "stat"
        ticks = os.sysconf("SC_CLK_TCK")
        statistics.write_text(f"cpu  {int(user * ticks)} {int(nice * ticks)} 0 900 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
        monkeypatch.setattr(room, "_STATISTICS", statistics)
        monkeypatch.setattr(room, "_AT_IMPORT", room._Look(seconds=0.0, busy_seconds=0.0))
        monkeypatch.setattr(room.time, "monotonic", lambda: 10.0)
        monkeypatch.setattr(room.os, "times", lambda: (own / 2, 0.0, own / 2, 0.0, 10.0))
    return set_up


linux = pytest.mark.skipif(not hasattr(os, "sysconf"), reason="this system has no such statistics")


@linux
@pytest.mark.parametrize(("work", "free"), [
    ({}, 4), ({"user": 10}, 3), ({"user": 19}, 2), ({"user": 400}, 1), ({"nice": 40}, 4), ({"user": 10, "own": 10}, 4),
])
def test_cores_busy_with_the_normal_work_of_others_are_not_free(machine, work, free):
    machine(**work)
    assert free_cores() == free


def test_without_statistics_all_cores_count_as_free(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "_STATISTICS", tmp_path / "absent")
    monkeypatch.setattr(room, "_AT_IMPORT", room._look())
    monkeypatch.delattr(room.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(room.os, "cpu_count", lambda: 6)
    assert free_cores() == 6


def test_this_machine_has_at_least_one():
    assert 1 <= free_cores() <= (os.cpu_count() or 1)
