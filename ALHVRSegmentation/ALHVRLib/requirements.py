"""Requirements: which packages the engine lacks here, how large they are, and how to fetch them; none is loaded."""

from __future__ import annotations

import importlib.util
import platform
import sys
from dataclasses import dataclass

from slicer.i18n import tr as _

from ALHVRLib import paths

PACKAGE = "onnxruntime"
REQUIREMENT = "onnxruntime>=1.19"
"""As low as the engine goes: the newest that macOS 12 can have is 1.19.2, and on Intel's Macs 1.23.2."""
RUNNERS = (PACKAGE, "openvino")
"""Either runs the networks on the processor."""
TORCH_REQUIREMENT = ">=2.5"
MB = 1_000_000


def can_segment() -> bool:
    """Whether something is there that runs the networks on the processor."""
    return any(is_installed(name) for name in RUNNERS)


def is_installed(name: str) -> bool:
    """Whether a package is there, in Slicer's Python or among ours."""
    return (paths.packages_folder() / name / "__init__.py").is_file() or in_slicer(name)


def in_slicer(name: str) -> bool:
    """Whether Slicer's own Python has a package; an empty folder of its name does not count."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.has_location


def has_torch() -> bool:
    """Whether Slicer has PyTorch; it is not loaded."""
    return in_slicer("torch")


def has_torch_extension() -> bool:
    """Whether the extension that installs PyTorch is there."""
    return in_slicer("PyTorchUtils")


def install_torch() -> str:
    """Let the extension ask and install; returns why it did not come to that, "" when it did.

    The extension loads PyTorch into Slicer, and brings dialogs of its own.
    """
    try:
        from PyTorchUtils import PyTorchUtilsLogic

        torch = PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT)
    except Exception as error:  # noqa: BLE001  another extension's code, which runs pip and loads libraries
        return _("PyTorch was not installed: {reason}.").format(reason=" ".join(str(error).split()).rstrip("."))
    return "" if torch is not None else _("PyTorch was not installed.")


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
