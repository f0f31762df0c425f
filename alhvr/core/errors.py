"""Errors that a person can put right, and the packages and memory that a command asks for before it begins."""

from __future__ import annotations

from importlib.util import find_spec

TRAIN = ("torch", "monai", "scipy", "psutil", "filelock")
"""Libraries of the extra "train" without which no training starts; onnx may be missing, see training.finish."""
DEMO = (*TRAIN, "matplotlib")
"""The same for the demo, which draws pictures."""

GENERATOR = ("scipy",)
"""Library of the extra "train" with which scans are generated; 3D Slicer brings it."""
RAISE_LIMIT = "Raise the limit (ulimit -v, ulimit -d)."
_LIMITS = {"RLIMIT_AS": "address space", "RLIMIT_DATA": "data"}
_LEAST_BYTES = {"RLIMIT_AS": 1_300 * 10**6, "RLIMIT_DATA": 500 * 10**6}
"""Of a command that loads scans or networks: with less, libraries end the process from within, silently."""
_LEAST_TO_TRAIN_BYTES = {"RLIMIT_AS": 2_200 * 10**6, "RLIMIT_DATA": 1_000 * 10**6}
_NEEDS = {"segment": _LEAST_BYTES, "check": _LEAST_BYTES, "sample": _LEAST_BYTES, "evaluate": _LEAST_BYTES,
          "rank": _LEAST_BYTES, "train": _LEAST_TO_TRAIN_BYTES, "compare": _LEAST_TO_TRAIN_BYTES,
          "demo": _LEAST_TO_TRAIN_BYTES}


class UserError(Exception):
    """A mistake or a missing thing that the user can fix.

    ``message`` names the thing, the value seen and the values accepted; ``hint`` says what to do next.
    The command line prints both on one line and exits with code 2.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Message and hint as one line."""
        return " ".join(f"{self.message} {self.hint}".split())


class ModelError(UserError):
    """A model folder that cannot be read, or networks that cannot be run or give no numbers."""


class ChannelError(UserError):
    """The channels of scans are not those that are needed, or one of a case is missing."""


class OutOfMemory(UserError):
    """The memory of a device is used up; smaller batches may still fit."""


class Cancelled(Exception):
    """The user asked to stop; what was done so far is kept. The command line exits with code 130."""


def require(good: bool, name: str, seen: object, accepted: str) -> None:
    """Raises UserError with the thing, the value seen and the values accepted, unless ``good``."""
    if not good:
        raise UserError(f"{name} is {seen!r:.100}.", f"Accepted: {accepted}.")


def require_train(command: str, names: tuple[str, ...] = TRAIN) -> None:
    """Raises UserError unless the libraries ``names`` of the extra "train" are installed; none of them is loaded."""
    _require(command, names, "Install them: pip install 'alhvr[train]'.")


def require_generator(command: str) -> None:
    """Raises UserError unless the library is installed with which scans are generated; it is not loaded."""
    _require(command, GENERATOR, "Install it: pip install scipy.")


def _require(command: str, names: tuple[str, ...], hint: str) -> None:
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        what = "a package that is" if len(names) == 1 else "packages that are"
        raise UserError(f"{command} needs {what} not installed: {', '.join(missing)}.", hint)


def memory_limits() -> str:
    """The memory that this process may use, in words: "1200 MB of address space"; "" where it has no limit."""
    return " and ".join(f"{n_bytes / 1e6:.0f} MB of {_LIMITS[name]}" for name, n_bytes in _limits_bytes().items())


def require_memory(command: str) -> None:
    """Raises UserError where a limit of this process leaves less memory than the libraries of ``command`` take."""
    for name, n_bytes in _limits_bytes().items():
        least = _NEEDS.get(command, {}).get(name, 0)
        if n_bytes < least:
            raise UserError(f"alhvr {command} needs {least / 1e6:.0f} MB of memory ({_LIMITS[name]}) at the least; "
                            f"this process may use {n_bytes / 1e6:.0f} MB.", RAISE_LIMIT)


def _limits_bytes() -> dict[str, int]:
    """Those limits of this process that are set."""
    try:
        import resource  # which Windows has not
    except ImportError:
        return {}
    found = {name: resource.getrlimit(getattr(resource, name))[0] for name in _LIMITS if hasattr(resource, name)}
    return {name: n_bytes for name, n_bytes in found.items() if n_bytes != resource.RLIM_INFINITY}
