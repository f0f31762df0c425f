"""What lies in the phantom's belly: organs, bowel and vessels as shapes in body coordinates, varied at random.

Body coordinates are millimetres to the left, to the back and upwards from the middle of the body at the height of
the renal hila, before the patient's own scale, turn and bending are applied.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alhvr.phantom.shapes import Ellipsoid, Shape, Tube


@dataclass(frozen=True)
class Structure:
    """One thing in the belly: shapes joined, holes taken out, filled with one tissue."""

    parts: tuple[Shape, ...]
    """Joined with a rounded seam."""
    hu: float
    """Mean value of its tissue in HU."""
    label: int | None = 0
    """Value in the label volume; 0 for what is not labelled; None leaves the label of what it lies in."""
    holes: tuple[Shape, ...] = ()
    """Taken out of the parts."""
    blend_mm: float = 0.0
    """Rounding of the seams."""
    rough_mm: float = 1.5
    """Standard deviation of the surface's bumps."""
    rim_mm: float = 0.0
    """Fat painted around it first."""
    texture_hu: float = 6.0
    """Standard deviation of slow changes within the tissue."""


class Draw:
    """Random numbers whose spread follows one difficulty."""

    def __init__(self, rng: np.random.Generator, difficulty: float) -> None:
        self.rng, self.difficulty = rng, difficulty

    def near(self, mean: float, spread: float) -> float:
        """Normal around ``mean``, cut at two spreads; the spread grows with the difficulty."""
        return float(mean + self.difficulty * spread * np.clip(self.rng.normal(), -2, 2))

    def point(self, mean: tuple[float, float, float], spread: float) -> tuple[float, float, float]:
        """A point around ``mean``."""
        x, y, z = (self.near(value, spread) for value in mean)
        return x, y, z

    def ellipsoid(self, center: tuple, radii: tuple, turn: tuple = (0.0, 0.0, 0.0), *, move: float = 6.0) -> Ellipsoid:
        """An ellipsoid whose place, size and turn vary."""
        size = self.near(1.0, 0.09)
        varied = tuple(radius * size * self.near(1.0, 0.09) for radius in radii)
        return Ellipsoid(self.point(center, move), varied, self.point(turn, 9.0))

    def tube(self, path: tuple, radii: tuple, *, move: float = 6.0) -> Tube:
        """A tube whose course and width vary; neighbouring points move together."""
        drift = np.array(self.point((0, 0, 0), move))
        points = tuple(tuple(np.array(self.point(point, 0.6 * move)) + drift) for point in path)
        size = self.near(1.0, 0.12)
        return Tube(points, tuple(radius * size * self.near(1.0, 0.08) for radius in radii))


def draw_organs(draw: Draw, hu: dict[str, float], rim_mm: float) -> tuple[Structure, ...]:
    thin_rim = 0.5 * rim_mm
    spleen = Structure(
        (draw.ellipsoid((98, 30, 62), (30, 48, 46), (20, -15, 15)),), hu["spleen"], 3,
        holes=(draw.ellipsoid((52, 8, 55), (40, 48, 62)),), rim_mm=thin_rim,
    )
    liver = Structure(
        (
            draw.ellipsoid((-72, 2, 58), (70, 74, 82), (0, -10, 0), move=8),
            draw.ellipsoid((-12, -46, 76), (66, 34, 42), (0, 12, 12), move=8),
            draw.ellipsoid((-92, 12, 0), (34, 48, 56), move=10),
        ),
        hu["liver"], 1, blend_mm=22, rim_mm=0.3 * rim_mm, texture_hu=5.0,
        holes=(draw.ellipsoid((-28, 12, 8), (44, 46, 34), move=7),),
    )
    pancreas = Structure(
        (
            draw.tube(((-26, 2, -12), (-16, -8, 6), (6, -22, 18), (34, -8, 26), (62, 14, 36), (78, 24, 46)),
                      (17, 17, 12, 13, 14, 11), move=7),
        ),
        hu["pancreas"], 4, rough_mm=2.4, rim_mm=rim_mm, texture_hu=9.0,
    )
    gallbladder = Structure((draw.ellipsoid((-58, -42, 4), (14, 14, 26), (25, 0, 0), move=9),), draw.near(10, 5))
    return (spleen, liver, *_draw_lesions(draw, hu), gallbladder, pancreas, *_draw_kidneys(draw, hu, rim_mm))


def _draw_kidneys(draw: Draw, hu: dict[str, float], rim_mm: float) -> tuple[Structure, ...]:
    structures = []
    for side, height in ((1, 4), (-1, -14)):
        kidney = draw.ellipsoid((side * 64, 46, height), (29, 26, 54), (-8, 12 * side, -32 * side), move=8)
        center, radii = np.array(kidney.center), np.array(kidney.radii)
        inner = replace(kidney, radii=tuple(0.6 * radii))
        sinus = Ellipsoid(tuple(center + (-side * 15, -10, 0)), tuple(radii * (0.5, 0.4, 0.38)), kidney.turn_degrees)
        structures += [
            Structure((kidney,), hu["kidneys"], 2, holes=(sinus,), rim_mm=rim_mm + 1.0, blend_mm=3),
            Structure((inner,), hu["medulla"], 2, holes=(sinus,), rough_mm=3.0),
        ]
    return tuple(structures)


def _draw_lesions(draw: Draw, hu: dict[str, float]) -> list[Structure]:
    """Now and then a cyst or a spot in the liver; it belongs to the liver."""
    count = draw.rng.poisson(0.6 * min(draw.difficulty, 1.0))
    lesions = []
    for _ in range(count):
        radius = draw.rng.uniform(7, 16)
        shape = draw.ellipsoid((-75, 0, 50), (radius, radius, radius), move=22)
        lesions.append(Structure((shape,), float(draw.rng.choice([8.0, hu["liver"] - 35])), None))
    return lesions


def draw_bowel(draw: Draw, hu: dict[str, float]) -> tuple[Structure, ...]:
    rng = draw.rng
    oral_hu = rng.uniform(150, 330) if rng.random() < 0.3 else rng.uniform(5, 40)
    loops = []
    for number in range(rng.integers(14, 22)):
        start = rng.normal((46, -38, 0), (26, 14, 18)) if number < 4 else rng.normal((4, -34, -66), (50, 18, 34))
        path = start + np.cumsum(rng.normal(0, (20, 9, 13), size=(5, 3)), axis=0)
        radius = rng.uniform(9, 15)
        content_hu = float(rng.choice([oral_hu, hu["wall"] - 8]))
        loops += _hollow(Tube(tuple(map(tuple, path)), (radius,) * 5), hu["wall"], content_hu)
    stool_hu = rng.uniform(-60, 60)
    right = draw.tube(((-104, 14, -130), (-104, 12, -70), (-98, 4, -28)), (24, 26, 21))
    across = draw.tube(((-98, -30, -26), (-40, -68, -42), (30, -74, -34), (92, -38, 24)), (20, 18, 18, 17), move=9)
    left = draw.tube(((106, 20, 24), (112, 34, -50), (104, 24, -130)), (17, 15, 15))
    colon = [s for tube in (right, across, left) for s in _hollow(tube, hu["wall"], stool_hu, rough_mm=3.5)]
    duodenum = draw.tube(((-26, -36, 14), (-50, -16, 6), (-50, 2, -30), (-8, 8, -44)), (14, 13, 13, 12))
    stomach = draw.tube(((66, 2, 104), (74, -36, 66), (48, -58, 28), (-2, -46, 14)), (30, 34, 26, 17), move=9)
    full = rng.uniform(0.75, 1.25)
    stomach = replace(stomach, radii=tuple(radius * full for radius in stomach.radii))
    return (*loops, *colon, *_hollow(duodenum, hu["wall"], oral_hu), *_hollow(stomach, hu["wall"], oral_hu, gas=True))


def _hollow(
    tube: Tube, wall_hu: float, content_hu: float, *, rough_mm: float = 1.5, gas: bool = False
) -> list[Structure]:
    """A wall, what it holds, and a bubble of air in front when ``gas``."""
    inside = replace(tube, radii=tuple(max(radius - 3.5, 2.0) for radius in tube.radii))
    made = [
        Structure((tube,), wall_hu, rim_mm=1.0),
        Structure((inside,), content_hu, rough_mm=rough_mm, texture_hu=14.0),
    ]
    if gas:
        x, y, z = np.mean(tube.path[:2], axis=0)
        radius = 0.62 * max(tube.radii)
        made.append(Structure((Ellipsoid((x, y - 0.35 * radius, z), (radius, 0.55 * radius, radius)),), -950.0))
    return made


def draw_vessels(draw: Draw, hu: dict[str, float]) -> tuple[Structure, ...]:
    aorta = draw.tube(((4, 34, 150), (6, 30, 40), (6, 26, -60), (4, 28, -130)), (12, 11, 10, 9), move=3)
    cava = draw.tube(((-18, 18, 116), (-22, 27, 40), (-20, 25, -50), (-14, 28, -130)), (13, 12, 11, 10), move=3)
    portal = draw.tube(((-2, -4, -60), (-4, -2, 6), (-34, -4, 40)), (7, 7, 7.5), move=4)
    splenic = draw.tube(((-6, 0, 14), (30, 12, 30), (74, 30, 52)), (5, 4.5, 4), move=4)
    hepatic = [
        draw.tube((start, middle, end), (6, 4.5, 2.5), move=5)
        for start, middle, end in (
            ((-20, 12, 110), (-60, 14, 84), (-104, 22, 62)),
            ((-20, 12, 110), (-44, -14, 86), (-72, -46, 62)),
            ((-18, 8, 110), (-14, -22, 92), (14, -50, 76)),
            ((-36, -4, 42), (-62, -4, 54), (-92, -10, 40)),
        )
    ]
    veins = [Structure((tube,), hu["vein"], rough_mm=0.5) for tube in (cava, portal, splenic)]
    inner = [Structure((tube,), 0.75 * hu["vein"] + 0.25 * hu["liver"], None, rough_mm=0.5) for tube in hepatic]
    return (Structure((aorta,), hu["artery"], rough_mm=0.5), *veins, *inner)
