"""The phantom's patient as drawn numbers: size and bearing, contrast phase and tissues, and what lies in the belly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alhvr.phantom.structures import Draw, Structure, draw_bowel, draw_organs, draw_vessels

LABEL_NAMES = {1: "liver", 2: "kidneys", 3: "spleen", 4: "pancreas"}
"""Label values of the phantom; 0 is everything else."""

_PHASES_HU = {
    #                native, arterial, portal, late
    "liver": (58, 68, 106, 88),
    "spleen": (48, 98, 116, 92),
    "kidneys": (36, 150, 185, 165),
    "medulla": (30, 70, 150, 185),
    "pancreas": (42, 88, 82, 66),
    "artery": (42, 270, 150, 105),
    "vein": (40, 75, 155, 108),
    "wall": (42, 62, 72, 66),
    "muscle": (50, 54, 60, 58),
}
"""Mean HU of each tissue in the four phases after contrast is given."""

_SPREAD_HU = {"liver": 9, "spleen": 7, "kidneys": 10, "pancreas": 9, "artery": 15, "vein": 12, "wall": 6, "muscle": 4}
"""Standard deviation of a tissue's mean HU between patients."""


@dataclass(frozen=True)
class Build:
    """Size, bearing and fat of a patient."""

    scale: tuple[float, float, float]
    """Size along L, P, S against the middle patient."""
    turn_degrees: tuple[float, float, float]
    """Turn about L, P, S on the table."""
    shift_mm: tuple[float, float, float]
    """Place on the table."""
    half_width_mm: tuple[float, float]
    """Half axes of the trunk along L and P, skin included."""
    skin_fat_mm: float
    """Fat between skin and muscle."""
    rim_mm: float
    """Fat around the organs."""
    bend_mm: float
    """Standard deviation of the smooth bending of the whole body."""


@dataclass(frozen=True)
class Patient:
    """Everything about a patient that is drawn once."""

    build: Build
    tissue_hu: dict[str, float]
    """Mean HU of each tissue in this scan."""
    structures: tuple[Structure, ...]
    """In the order of painting: a later one covers an earlier one."""


def draw_patient(rng: np.random.Generator, *, phase: float, bulk: float, difficulty: float = 1.0) -> Patient:
    """A patient. ``phase`` 0..1 goes from native to late contrast, ``bulk`` 0..1 from slim to stout.

    ``difficulty`` multiplies every spread between patients (0: always the middle patient, 1: as in a mixed archive).
    """
    draw = Draw(rng, difficulty)
    bulk = 0.5 + (bulk - 0.5) * min(difficulty, 1.0)
    build = _draw_build(draw, bulk)
    tissue_hu = _draw_tissues(draw, phase)
    structures = (
        *draw_bowel(draw, tissue_hu),
        *draw_organs(draw, tissue_hu, build.rim_mm),
        *draw_vessels(draw, tissue_hu),
    )
    return Patient(build, tissue_hu, structures)


def _draw_build(draw: Draw, bulk: float) -> Build:
    stretch = tuple(draw.near(1.0, 0.05) * (0.92 + 0.16 * bulk) for _ in range(3))
    return Build(
        scale=stretch,
        turn_degrees=(draw.near(0, 3), draw.near(0, 4), draw.near(0, 9)),
        shift_mm=(draw.near(0, 9), draw.near(0, 8), draw.near(0, 14)),
        half_width_mm=(draw.near(142, 5) + 26 * bulk, draw.near(98, 4) + 24 * bulk),
        skin_fat_mm=6 + 26 * bulk**1.5,
        rim_mm=max(0.0, draw.near(-2 + 8 * bulk, 1.0)),
        bend_mm=3.2 * draw.difficulty,
    )


def _draw_tissues(draw: Draw, phase: float) -> dict[str, float]:
    values = {name: float(np.interp(3 * phase, range(4), hu)) for name, hu in _PHASES_HU.items()}
    for name, spread in _SPREAD_HU.items():
        values[name] = draw.near(values[name], spread)
    if draw.rng.random() < 0.2 * min(draw.difficulty, 1.0):
        values["liver"] -= draw.rng.uniform(12, 30)
    values["fat"] = draw.near(-102, 5)
    values["bone"] = draw.near(210, 35)
    return values
