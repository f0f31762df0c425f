"""Extras: what the light install leaves out, and the one line that says so where it is needed."""

from __future__ import annotations

from importlib.util import find_spec

from alhvr.errors import UserError

TRAIN = ("torch", "monai", "scipy", "matplotlib", "psutil", "filelock")
"""Libraries of the extra "train" without which no training starts; onnx may be missing, see training.finish."""


def require_train(command: str) -> None:
    """Raises UserError unless the libraries of the extra "train" are installed; none of them is loaded."""
    missing = [name for name in TRAIN if find_spec(name) is None]
    if missing:
        raise UserError(f"{command} needs packages that are not installed: {', '.join(missing)}.",
                        "Install them: pip install 'alhvr[train]'.")
