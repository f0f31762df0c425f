"""Files of tensors: written through to the disk, with the disk's own reason where it refuses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def write_tensors(path: Path, values: dict[str, Any]) -> None:
    """Writes ``values`` (tensors, numbers, texts) for ``torch.load(..., weights_only=True)``.

    Raises OSError when the disk is full or refuses; what is half written is left to the caller.
    """
    import torch

    with open(path, "wb") as file:
        try:
            torch.save(values, file)
        except RuntimeError as error:
            raise _disk_error(error, path) from error
        file.flush()
        os.fsync(file.fileno())


def _disk_error(error: BaseException, path: Path) -> OSError:
    """The refusal that torch's own error hides, or one with torch's words."""
    hidden: BaseException | None = error
    while hidden is not None:
        if isinstance(hidden, OSError):
            return hidden
        hidden = hidden.__cause__ or hidden.__context__
    return OSError(f"{path.name}: {error}")
