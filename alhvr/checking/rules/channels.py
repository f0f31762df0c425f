"""Rules on the channels of one case: those on other grids are brought to the first one, where they are of one place."""

from __future__ import annotations

from collections.abc import Iterator

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Finding
from alhvr.checking.rules.study import Study, count, fault, warning
from alhvr.data.case_io import reach
from alhvr.data.geometry import Geometry

_TOGETHER = "Check that both are of one patient and one examination, and register them, or take the case away."
_FEW = 0.5
"""A channel that reaches less of the scan than this is told first."""


def apart(facts: CaseFacts) -> tuple[int, ...]:
    """Channels, from 1, that share no place with the first one, so that the case cannot be read as one scan."""
    first, *others = _grids(facts)
    return tuple(n for n, grid in enumerate(others, 1) if first.difference(grid) and reach(first, grid) == 0)


def places(study: Study) -> Iterator[Finding]:
    """One fault for each case whose channels lie in two places; a warning in the archive, which is learnt without."""
    for facts in study.facts:
        for channel in apart(facts) if facts.images else ():
            images = facts.case.images
            seen = (f"{images[channel].name}, channel {channel + 1} of {facts.case.name}, shares no place with "
                    f"{images[0].name}: {_difference(facts, channel)}.")
            yield (warning if facts.part == "unlabeled" else fault)("channels_apart", [facts], seen, _TOGETHER)


def grids(study: Study) -> Iterator[Finding]:
    """One warning for each channel that lies on another grid than the first one somewhere; the worst case first."""
    for channel in range(1, study.n_channels):
        there = [f for f in study.facts if channel < len(f.images)]
        odd = [f for f in there if _difference(f, channel) and channel not in apart(f)]
        if not odd:
            continue
        share = {f.case: _reach(f, channel) for f in odd}
        odd.sort(key=lambda f: share[f.case])
        worst = share[odd[0].case]
        less = f", which it reaches to {100 * worst:.0f}%" if worst < 1 else ""
        seen = (f"In {count(len(odd), 'case')} of {len(there)}, {_name(study, channel)} lies on another grid than the "
                f"first channel and is resampled to it; in {odd[0].case.name}: "
                f"{_difference(odd[0], channel)}{less}.")
        remedy = _TOGETHER if worst < _FEW else "Nothing to do where they show one place; else register them first."
        yield warning("channel_on_another_grid", odd, seen, remedy)


def _grids(facts: CaseFacts) -> tuple[Geometry, ...]:
    return tuple(image.geometry for image in facts.images)


def _difference(facts: CaseFacts, channel: int) -> str:
    """How the grid of a channel differs from the first one's; empty where it does not."""
    return facts.images[0].geometry.difference(facts.images[channel].geometry)


def _reach(facts: CaseFacts, channel: int) -> float:
    return reach(facts.images[0].geometry, facts.images[channel].geometry)


def _name(study: Study, channel: int) -> str:
    """What the folders call a channel."""
    named = [cases.channels[channel].name for cases in study.sets.values() if channel < len(cases.channels)]
    return named[0] if named else f"channel {channel + 1}"
