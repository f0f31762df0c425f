"""ALHVR: segmentation models from a few labelled scans and a large unlabelled archive (Lei et al., ICCV 2025).

Importing the package changes nothing in the process and loads no library: 3D Slicer's modules import alhvr.formats.
"""

from importlib import import_module

__version__ = "0.1.0"

_API = {
    "Predictor": "alhvr.inference.predictor",
    "RunConfig": "alhvr.config",
    "Scan": "alhvr.data.scan",
    "UserError": "alhvr.core.errors",
    "check": "alhvr.api",
    "evaluate": "alhvr.api",
    "find_cases": "alhvr.data.cases",
    "read_model": "alhvr.bundle.model",
    "read_scan": "alhvr.data.reading",
    "segment": "alhvr.api",
    "train": "alhvr.api",
    "write_segmentation": "alhvr.export.volumes",
}
"""The public API: each name, and the file that is loaded when it is first used."""
__all__ = list(_API)


def __getattr__(name: str) -> object:
    """A name of the public API."""
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_API[name]), name)


def __dir__() -> list[str]:
    """The public API, for completion."""
    return sorted([*globals(), *_API])
