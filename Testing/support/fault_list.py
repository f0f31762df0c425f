"""Fault: one thing that is wrong with a study, and what a check must say of it; and small tools to make some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from small_bodies import World

FAULT, WARNING, NOTE = "fault", "warning", "note"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a study."""

    make: Callable[[World], None]
    """Puts it into a clean study."""
    kind: str
    """What a check calls it."""
    severity: str
    """fault, warning or note."""
    seen: str
    """Words that say what was seen."""
    remedy: str
    """Words that say what to do."""
    file: str
    """End of the path of the worst file, which must be named first."""
    besides: tuple[str, ...] = ()
    """Other kinds that are found along with it, and truly."""
    options: tuple[str, ...] = ()
    """More arguments of the command."""
    parts: tuple[str, ...] = ("labeled", "validation", "archive")
    """The folders that the command is given."""


FAULTS: dict[str, Fault] = {}
"""Every fault by a sentence."""


def fault(title: str, kind: str, severity: str, **words: Any) -> Callable[[Callable[[World], None]], Callable]:
    """Enters the decorated function into FAULTS."""
    def enter(make: Callable[[World], None]) -> Callable[[World], None]:
        assert title not in FAULTS, title
        FAULTS[title] = Fault(make, kind, severity, **words)
        return make
    return enter


def cut(path: Path) -> None:
    """Leaves half of a file."""
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def without(label: np.ndarray, value: int) -> np.ndarray:
    """The label without one structure."""
    return np.where(label == value, 0, label).astype(np.uint8)


def middle(label: np.ndarray, value: int) -> tuple[int, int, int]:
    """The voxel [K, J, I] in the middle of a structure."""
    k, j, i = (int(round(axis.mean())) for axis in np.nonzero(label == value))
    return k, j, i
