"""Small generated trunks with a liver, two kidneys and a spleen: a clean study to put faults into."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from dicom_files import write_series
from tiny_runs import write_scan

from alhvr.data.geometry import Geometry

NAMES = {1: "liver", 2: "left kidney", 3: "right kidney", 4: "spleen"}
"""Label values of a body."""

COUNTS = {"labeled": 5, "validation": 2, "archive": 5}
"""Cases of each folder of a clean study."""

_CASE_NAMES = {"labeled": "case", "validation": "check", "archive": "scan"}
_STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((48, 40, 12), (2.5, 2.5, 5.5), (-58.75, -48.75, -30.25), _STRAIGHT)
"""Axes to left, posterior and superior, centred on the body; slices thick enough to tell how they are cut."""

_ORGANS = {
    #   centre (L, P, S) mm, half axes mm, brightness
    1: ((-26.0, -6.0, 14.0), (19.0, 22.0, 14.0), 300.0),
    2: ((20.0, 18.0, -13.0), (9.0, 9.0, 13.0), 420.0),
    3: ((-20.0, 18.0, -13.0), (9.0, 9.0, 13.0), 420.0),
    4: ((33.0, 4.0, 14.0), (11.0, 14.0, 12.0), 360.0),
}


@dataclass(frozen=True)
class Body:
    """A scan and its label on one grid."""

    image: np.ndarray
    """float32 [K, J, I] of whole numbers, 0 in the air."""
    label: np.ndarray
    """uint8 [K, J, I] of NAMES' values."""


def make_body(seed: int, grid: Geometry = GRID) -> Body:
    """Body number ``seed`` on ``grid``: organs moved by a few mm, another brightness, noise; to be changed at will."""
    body = _draw(seed, grid)
    return Body(body.image.copy(), body.label.copy())


@cache
def _draw(seed: int, grid: Geometry) -> Body:
    rng = np.random.default_rng([77, seed])
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size_ijk), indexing="ij"), axis=-1)
    points = grid.index_to_lps(index.reshape(-1, 3)).reshape(*grid.size_ijk, 3).transpose(2, 1, 0, 3)
    trunk = ((points[..., :2] / (56.0, 46.0)) ** 2).sum(-1) < 1
    image = np.where(trunk, 200.0, 10.0)
    label = np.zeros(image.shape, np.uint8)
    for value, (centre, half_axes, brightness) in _ORGANS.items():
        middle = np.array(centre) + rng.uniform(-2, 2, 3)
        inside = (((points - middle) / (np.array(half_axes) * rng.uniform(0.92, 1.08))) ** 2).sum(-1) < 1
        image[inside], label[inside] = brightness, value
    image = rng.uniform(0.85, 1.15) * (image + rng.normal(0, 12, image.shape))
    return Body(np.rint(np.maximum(image, 0)).astype(np.float32), label)


@dataclass(frozen=True)
class World:
    """A study on disk; its cases are called case0, check0, scan0 and so on."""

    folder: Path

    def image(self, part: str, index: int) -> Path:
        """Where a scan lies."""
        return self.folder / part / "images" / f"{case_name(part, index)}.nii.gz"

    def label(self, part: str, index: int) -> Path:
        """Where a label lies."""
        return self.folder / part / "labels" / f"{case_name(part, index)}.nii.gz"

    def body(self, part: str, index: int) -> Body:
        """What lies there in a clean study; any other ``index`` is one more body of its own."""
        return make_body(100 * list(COUNTS).index(part) + index)

    def put(self, part: str, index: int, body: Body, grid: Geometry = GRID) -> None:
        """Writes a case over what lies there; the archive has no labels."""
        write_scan(self.image(part, index), body.image, grid)
        if part != "archive":
            write_scan(self.label(part, index), body.label, grid)

    def put_label(self, part: str, index: int, label: np.ndarray, grid: Geometry = GRID) -> None:
        """Writes a label over what lies there."""
        write_scan(self.label(part, index), label, grid)

    def put_series(self, part: str, index: int, **tags: Any) -> Path:
        """The scan as a DICOM series in place of its file; returns the series' folder."""
        self.image(part, index).unlink()
        folder = self.folder / part / "images" / case_name(part, index)
        write_series(folder, self.body(part, index).image.astype(np.int16), GRID, **tags)
        return folder

    def put_json(self, part: str, name: str, record: Any) -> None:
        """Writes labels.json or cases.json."""
        (self.folder / part / name).write_text(json.dumps(record), encoding="utf-8")


def case_name(part: str, index: int) -> str:
    """The name of a case."""
    return f"{_CASE_NAMES[part]}{index}"


def write_world(folder: Path) -> World:
    """Writes a clean study: labeled/, validation/ and archive/."""
    world = World(folder)
    for part, count in COUNTS.items():
        for index in range(count):
            world.put(part, index, world.body(part, index))
        if part != "archive":
            world.put_json(part, "labels.json", NAMES)
    return world
