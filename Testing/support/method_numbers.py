"""What the tests of the method's numbers share: pixels given by their class vectors, and closeness."""

from __future__ import annotations

import torch


def pixels(*vectors: tuple[float, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Class vectors of neighbouring pixels of one image: [1, C, 1, pixels]."""
    return torch.tensor(vectors, dtype=dtype).T.reshape(1, len(vectors[0]), 1, -1)


def close(value: torch.Tensor, expected: float | list[float], tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(value, torch.tensor(expected, dtype=value.dtype), rtol=0, atol=tolerance)
