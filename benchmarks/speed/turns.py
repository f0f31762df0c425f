"""Taking turns: what is compared runs alternately in one process, so that both meet the same machine."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SHORTEST_TURN_S = 0.02
"""A side that takes less is called several times a turn."""


@dataclass(frozen=True)
class Turn:
    """Seconds of one call of one side."""

    wall: float
    """On the clock; other programs on the machine lengthen it."""
    cpu: float
    """Processor time of all threads of the process, background ones and busy waiting included."""


@dataclass(frozen=True)
class Ratio:
    """How many times longer one side took than another: medians over the rounds of each round's own ratio."""

    wall: float
    cpu: float
    lowest: float
    """Smallest ratio of a round, of the clock that ``of`` names."""
    highest: float
    """Largest one."""
    rounds: int
    of: str
    """"cpu" with one thread: background work counts, neighbours do not. "wall" with more: waiting counts too."""

    @property
    def value(self) -> float:
        """The median that is judged."""
        return self.cpu if self.of == "cpu" else self.wall


@dataclass(frozen=True)
class Turns:
    """The times of every side, round by round."""

    sides: Mapping[str, tuple[Turn, ...]]
    clock: str
    """"cpu" or "wall", see Ratio."""

    def ratio(self, side: str, to: str) -> Ratio:
        """``side`` against ``to``."""
        pairs = list(zip(self.sides[side], self.sides[to], strict=True))
        walls, cpus = ([getattr(x, clock) / getattr(y, clock) for x, y in pairs] for clock in ("wall", "cpu"))
        judged = cpus if self.clock == "cpu" else walls
        return Ratio(wall=statistics.median(walls), cpu=statistics.median(cpus), lowest=min(judged),
                     highest=max(judged), rounds=len(pairs), of=self.clock)

    def seconds(self, side: str) -> float:
        """Median seconds of one call, of the clock that is judged."""
        return statistics.median(getattr(turn, self.clock) for turn in self.sides[side])


def take_turns(sides: Mapping[str, Callable[[], object]], *, rounds: int, threads: int, warm_up: int = 1) -> Turns:
    """Calls every side once a round, ``warm_up`` rounds uncounted first; every second round goes backwards."""
    for _ in range(max(1, warm_up)):
        calls = {name: _calls_for(side) for name, side in sides.items()}
    times: dict[str, list[Turn]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            times[name].append(_timed(sides[name], calls[name]))
    clock = "cpu" if threads == 1 else "wall"
    return Turns({name: tuple(turns) for name, turns in times.items()}, clock)


def _calls_for(side: Callable[[], object]) -> int:
    """Calls that a turn needs to be measurable; the first call, which sets things up, does not count."""
    first = _timed(side, 1)
    again = first if first.cpu > 50 * SHORTEST_TURN_S else _timed(side, 1)
    return max(1, math.ceil(SHORTEST_TURN_S / max(again.cpu, 1e-6)))


def _timed(side: Callable[[], object], calls: int) -> Turn:
    """Mean time of ``calls`` calls, Python's garbage collection kept out."""
    gc.collect()
    gc.disable()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(calls):
            side()
        return Turn((time.perf_counter() - wall) / calls, (time.process_time() - cpu) / calls)
    finally:
        gc.enable()


def spread(ratio: Ratio) -> str:
    """The rounds' range and the other clock's median, for the details of a finding."""
    other = f"on the clock {ratio.wall:.3f}x" if ratio.of == "cpu" else f"processor time {ratio.cpu:.3f}x"
    return f"rounds {ratio.lowest:.3f} to {ratio.highest:.3f}; {other}"
