"""Wheels: how large the package is on each system, and how to fetch it on another computer."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from ALHVRSegmentationLib.setup.needs import PACKAGE, REQUIREMENT

MB = 1_000_000


@dataclass(frozen=True)
class System:
    """A kind of computer, and the wheel for it; sizes in MB, measured for Python 3.12."""

    name: str
    tags: tuple[str, ...]
    """Platforms of wheels that it can have, the best first."""
    version: str
    """The newest on the day it was measured."""
    download_mb: int
    installed_mb: int


INTEL_MAC = System("macOS (Intel)", ("macosx_13_0_x86_64",), "1.23.2", 19, 72)
OLD_MAC = System("macOS (Intel)", ("macosx_12_0_x86_64", "macosx_11_0_universal2"), "1.19.2", 17, 62)
ARM_MAC = System("macOS (Apple silicon)", ("macosx_14_0_arm64",), "1.32.0", 23, 83)
WINDOWS = System("Windows", ("win_amd64",), "1.32.0", 17, 51)
LINUX = System("Linux", ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64"), "1.32.0", 28, 76)
OLD_LINUX = System("Linux", ("manylinux_2_27_x86_64",), "1.28.0", 19, 54)


def this_system() -> System:
    """The computer this runs on; Slicer for macOS counts as Intel's also on Apple silicon, as its Python does."""
    if sys.platform == "win32":
        return WINDOWS
    if sys.platform == "darwin":
        if platform.machine() == "arm64":
            return ARM_MAC
        return INTEL_MAC if _number(platform.mac_ver()[0]) >= (13,) else OLD_MAC
    return OLD_LINUX if (0,) < _number(platform.libc_ver()[1]) < (2, 28) else LINUX


def file_name(system: System) -> str:
    """The file as it was called on the day it was measured."""
    python = "cp{}{}".format(*sys.version_info[:2])
    return f"{PACKAGE}-{system.version}-{python}-{python}-{system.tags[-1 if system is OLD_MAC else 0]}.whl"


def fetch_command(system: System) -> str:
    """What fetches the wheel on any computer with Python and a network."""
    version = "{}.{}".format(*sys.version_info[:2])
    tags = " ".join(f"--platform {tag}" for tag in system.tags)
    return (f"python -m pip download --no-deps --only-binary=:all: --python-version {version} {tags} "
            f'--dest wheels "{REQUIREMENT}"')


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
