"""Faulty studies: small generated bodies with one thing wrong.

Run as a script, it writes every one of them: ``python Testing/support/faulty_cases.py FOLDER``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import faulty_files
import faulty_labels
import faulty_studies
from fault_list import FAULTS, Fault
from small_bodies import World, write_world

__all__ = ["FAULTS", "Fault", "write_faulty"]

SOURCES = (faulty_files, faulty_labels, faulty_studies)
"""The files that fill FAULTS."""


def write_faulty(folder: Path, title: str) -> World:
    """A clean study with one fault in it."""
    world = write_world(folder)
    FAULTS[title].make(world)
    return world


if __name__ == "__main__":
    for number, title in enumerate(FAULTS, start=1):
        write_faulty(Path(sys.argv[1]) / f"{number:02d} {title}", title)
