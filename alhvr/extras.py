"""Extras: what the light install leaves out, and the one line that says so where it is needed."""

from __future__ import annotations

from importlib.util import find_spec

from alhvr.errors import UserError

TRAIN = ("torch", "monai", "scipy", "matplotlib", "psutil", "filelock")
"""Libraries of the extra "train" without which no training starts; onnx may be missing, see training.finish."""

GENERATOR = ("scipy",)
"""Library of the extra "train" with which scans are generated; 3D Slicer brings it."""


def require_train(command: str) -> None:
    """Raises UserError unless the libraries of the extra "train" are installed; none of them is loaded."""
    _require(command, TRAIN, "Install them: pip install 'alhvr[train]'.")


def require_generator(command: str) -> None:
    """Raises UserError unless the library is installed with which scans are generated; it is not loaded."""
    _require(command, GENERATOR, "Install it: pip install scipy.")


def _require(command: str, names: tuple[str, ...], hint: str) -> None:
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        what = "a package that is" if len(names) == 1 else "packages that are"
        raise UserError(f"{command} needs {what} not installed: {', '.join(missing)}.", hint)
