"""What segmenting needs besides Slicer."""

from __future__ import annotations

from ALHVRLib.requirements import Requirement, Wheel

ONNXRUNTIME = Requirement(
    "onnxruntime",
    ">=1.19",
    alternatives=("openvino",),
    wheels={
        "windows": Wheel(("win_amd64",), "1.32.0", 17, 51),
        "mac-arm": Wheel(("macosx_14_0_arm64",), "1.32.0", 23, 83),
        "mac-intel": Wheel(("macosx_13_0_x86_64",), "1.23.2", 19, 72),
        "mac-intel-old": Wheel(("macosx_12_0_x86_64", "macosx_11_0_universal2"), "1.19.2", 17, 62),
        "linux": Wheel(("manylinux_2_28_x86_64", "manylinux_2_27_x86_64"), "1.32.0", 28, 76),
        "linux-old": Wheel(("manylinux_2_27_x86_64",), "1.28.0", 19, 54),
    },
)
"""Runs the networks on the processor. As low as the engine goes: the newest that macOS 12 can have is 1.19.2."""
