"""Examining: the facts of all cases of all parts, whatever state their files are in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from alhvr.checking.facts import CaseFacts
from alhvr.checking.one_case import Terms, examine_case
from alhvr.checking.watch import Watch
from alhvr.data.cases import Case
from alhvr.progress import Countdown

STAGE = "examining"


def examine(cases: Sequence[tuple[str, Case]], *, not_annotated: int, watch: Watch) -> list[CaseFacts]:
    """The facts of ``cases``, each with its part, in their order; raises Cancelled when the watch wants it."""
    terms = Terms(not_annotated, secrets.token_bytes(32))
    countdown, found = Countdown(len(cases)), []
    for part, case in cases:
        found.append(examine_case(part, case, terms))
        watch.step(STAGE, len(found), len(cases), countdown.seconds_left(len(found)))
    return found
