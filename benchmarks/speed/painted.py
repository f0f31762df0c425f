"""Large generated scans, and a backend that paints their structures: masks look like masks whatever networks say."""

from __future__ import annotations

import gzip
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.data.intensity import Normalization
from alhvr.formats.labels import LabelSet
from alhvr.inference.backends import Backend
from alhvr.networks.perturbation import Perturbation

LABELS = LabelSet.from_names({1: "liver", 2: "spleen", 3: "pancreas", 4: "kidney"})
"""Four structures, five classes."""
CT = Normalization("ct", -150, 250, 0, 100)
HU_STEP = 50
"""Class c is painted where the intensity is near (c - 1) * HU_STEP, the background where it is near AIR_HU."""
AIR_HU, NOISE_HU, SHARPNESS = -100, 20, np.float32(40)
SPACING_MM = (0.75, 0.75, 1.5)
"""Of the scans, along I, J, K."""


class PaintedBackend:
    """Runs the networks on some batches and paints classes by intensity in place of what they say of any."""

    def __init__(self, backend: Backend, every: int) -> None:
        """``every``: the networks run on the first batch and then on one in so many."""
        self.name, self.networks, self._backend, self._every = backend.name, backend.networks, backend, every
        self.memory = backend.memory
        if hasattr(backend, "decode_twice"):
            self.decode_twice = self._decode_twice
        self._runs = dict.fromkeys(backend.networks, 0)
        self._images = np.zeros(0)
        self._shapes: list[tuple[int, ...]] = []
        self.networks_s = self.painting_s = 0.0
        """Processor time."""

    def encode(self, network: str, batch: np.ndarray) -> Any:
        """Levels, or none of them where the networks do not run any more."""
        self._images = batch
        self._runs[network] += 1
        runs = self._runs[network] == 1 or self._runs[network] % self._every == 0
        return self._timed(self._backend.encode, network, batch) if runs else []

    def decode(self, network: str, levels: Any) -> np.ndarray:
        """Logits of the painted classes."""
        return self._painted(self._timed(self._backend.decode, network, levels) if levels else self._logits())

    def _decode_twice(self, network: str, levels: Any, perturbation: Perturbation) -> list[np.ndarray]:
        """The same twice."""
        found = self._timed(self._backend.decode_twice, network, levels, perturbation) if levels else None
        return [self._painted(logits) for logits in found or (self._logits(), self._logits())]

    def _logits(self) -> np.ndarray:
        return np.empty((len(self._images), LABELS.n_classes, *self._images.shape[2:]), np.float32)

    def _painted(self, logits: np.ndarray) -> np.ndarray:
        """``logits`` [N, C, *S], overwritten with those of the painted classes."""
        started = time.process_time()
        for c in range(LABELS.n_classes):
            centre = (c - 1) * HU_STEP / CT.std if c else AIR_HU / CT.std
            np.square(self._images[:, 0] - np.float32(centre), out=logits[:, c])
        logits *= -SHARPNESS
        self.painting_s += time.process_time() - started
        return logits

    def level_shapes(self, levels: Any) -> list[tuple[int, ...]]:
        """See Backend; the same for batches on which the networks do not run."""
        if levels:
            self._shapes = self._backend.level_shapes(levels)
        return self._shapes

    def perturb(self, levels: Any, perturbation: Perturbation) -> Any:
        """See Backend."""
        return self._timed(self._backend.perturb, levels, perturbation) if levels else levels

    def _timed(self, call: Callable[..., Any], *arguments: Any) -> Any:
        started = time.process_time()
        result = call(*arguments)
        self.networks_s += time.process_time() - started
        return result


def write_scan(path: Path, size_ijk: tuple[int, int, int]) -> Path:
    """An int16 NIfTI file with four bright balls in dark noise, made and written plane by plane."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *size_ijk, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1, *SPACING_MM, 1, 1, 1, 1)
    struct.pack_into("<2f", header, 108, 352, 1)
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, *np.diag([*SPACING_MM, 0])[:3].ravel())
    header[344:348] = b"n+1\0"
    rng = np.random.default_rng(0)
    along = [np.linspace(-1, 1, n, dtype=np.float32) for n in size_ijk]
    with (gzip.open(path, "wb", 1) if path.suffix == ".gz" else path.open("wb")) as file:
        file.write(header)
        for z in along[2]:
            plane = np.full(size_ijk[1::-1], AIR_HU, np.int16)
            for c in range(1, LABELS.n_classes):
                x, y = (-0.45, 0.45)[c % 2], (-0.45, 0.45)[c // 2 % 2]
                plane[((along[0] - x) ** 2 + (along[1][:, None] - y) ** 2 + z * z) < 0.16] = (c - 1) * HU_STEP
            file.write(plane + rng.integers(-NOISE_HU, NOISE_HU + 1, plane.shape, dtype=np.int16))
    return path
