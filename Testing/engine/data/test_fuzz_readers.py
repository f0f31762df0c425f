"""Damaged images of every format: a short run of benchmarks/fuzz_readers.py."""

from __future__ import annotations

from collections import Counter

import pytest
from support import ROOT

from alhvr.checking.workers import MemoryBudget


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_no_damaged_image_crashes_or_hangs_a_reader_or_is_read_wrongly() -> None:
    import fuzz_readers

    verdicts = fuzz_readers.fuzz(list(fuzz_readers.KINDS), 500, 7_000_000, MemoryBudget(1, None))
    faults = [verdict for verdict in verdicts if verdict.outcome in fuzz_readers.FAULTS]
    assert not faults
    counts = Counter(verdict.outcome for verdict in verdicts)
    assert counts["refused"] > 100 and counts["same"] > 100
