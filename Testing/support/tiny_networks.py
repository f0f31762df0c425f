"""Two small networks that have learned to find bright boxes, for tests that need more than random weights."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from alhvr.networks.group import NetworkGroup

N_CLASSES = 3
STEPS = 30


def make_boxes(rng: np.random.Generator, size: tuple[int, ...], *, n: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images float32 [N, 1, *S] with a bright box and a brighter one beside it, and their classes [N, *S]."""
    classes = np.zeros((n, *size), np.int64)
    for one in classes:
        corner = [int(rng.integers(2, side // 2)) for side in size]
        rows = tuple(slice(start, start + side // 3) for start, side in zip(corner[:-1], size, strict=False))
        first, width = corner[-1], size[-1] // 5
        one[(*rows, slice(first, first + width))] = 1
        one[(*rows, slice(first + width, first + 2 * width))] = 2
    images = rng.normal(0, 0.3, classes.shape) + 1.5 * classes
    return images[:, None].astype(np.float32), classes


def train_tiny(dimensions: int, size: tuple[int, ...]) -> NetworkGroup:
    """Both U-Nets after a few steps on images of ``size``; takes some seconds."""
    torch.manual_seed(0)
    networks, rng = NetworkGroup("unet", dimensions, N_CLASSES), np.random.default_rng(0)
    optimizer = torch.optim.Adam(networks.parameters(), lr=5e-3)
    for _ in range(STEPS):
        images, classes = (torch.from_numpy(array) for array in make_boxes(rng, size))
        loss = sum(F.cross_entropy(network(images), classes) for network in (networks.a, networks.b))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return networks.eval()
