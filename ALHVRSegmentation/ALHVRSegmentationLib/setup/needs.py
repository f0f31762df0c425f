"""Needs: which packages the engine lacks here, found by looking for their files and never by loading them."""

from __future__ import annotations

import importlib.util

from ALHVRSegmentationLib import places

PACKAGE = "onnxruntime"
REQUIREMENT = "onnxruntime>=1.19"
"""As low as the engine goes: the newest that macOS 12 can have is 1.19.2, and on Intel's Macs 1.23.2."""
RUNNERS = (PACKAGE, "openvino")
"""Either runs the networks on the processor."""


def can_segment() -> bool:
    """Whether something is there that runs the networks on the processor."""
    return any(is_installed(name) for name in RUNNERS)


def is_installed(name: str) -> bool:
    """Whether a package is there, in Slicer's Python or among ours."""
    return (places.packages_folder() / name / "__init__.py").is_file() or in_slicer(name)


def in_slicer(name: str) -> bool:
    """Whether Slicer's own Python has a package; an empty folder of its name does not count."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.has_location
