"""Requirements: which packages are missing here, how large they are, and how to fetch them; none is loaded."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from slicer.i18n import tr as _

from ALHVRLib import paths

MB = 1_000_000
TORCH_REQUIREMENT = ">=2.5"
ANY = "any"
"""In place of a computer: a file without compiled parts."""


@dataclass(frozen=True)
class Wheel:
    """What pip fetches for one kind of computer; sizes in MB, measured for Python 3.12."""

    tags: tuple[str, ...]
    """Platforms of wheels that fit, the best first."""
    version: str
    """The newest on the day it was measured."""
    download_mb: int
    installed_mb: int
    python: str = ""
    """What its file is called after instead of this Python, such as "py3-none" or "cp310-abi3"."""


@dataclass(frozen=True)
class Requirement:
    """A package that has to be installed once."""

    package: str
    """Its name for pip."""
    specifier: str
    """Versions that will do, such as ">=1.19"."""
    alternatives: tuple[str, ...] = ()
    """Packages that will do in its place."""
    wheels: Mapping[str, Wheel] = field(default_factory=dict)
    """By `this_computer`; or ANY alone, where one file is for all of them."""
    imported: str = ""
    """Its name when it is imported, such as "google.protobuf", where that is another one."""

    @property
    def module(self) -> str:
        """Its name when it is imported."""
        return self.imported or self.package

    @property
    def folder(self) -> str:
        """The folder that it is in among others."""
        return self.module.partition(".")[0]

    @property
    def text(self) -> str:
        """As pip takes it."""
        return f"{self.package}{self.specifier}"

    def is_met(self) -> bool:
        """Whether the package, or another that will do, is there."""
        return any(is_installed(name) for name in (self.module, *self.alternatives))

    def wheel(self) -> Wheel:
        """What pip fetches for this computer."""
        return self.wheels[ANY if ANY in self.wheels else this_computer()]

    def file_name(self, wheel: Wheel) -> str:
        """The file as it was called on the day it was measured: for the oldest system that its tags are of."""
        python = "cp{}{}".format(*sys.version_info[:2])
        tag = next((tag for tag in wheel.tags if tag.endswith("universal2")), wheel.tags[0])
        return f"{self.package}-{wheel.version}-{wheel.python or f'{python}-{python}'}-{tag}.whl"

    def fetch_command(self, wheel: Wheel) -> str:
        """What fetches the wheel on any computer with Python and a network."""
        version = "{}.{}".format(*sys.version_info[:2])
        tags = " ".join(f"--platform {tag}" for tag in wheel.tags)
        return (f"python -m pip download --no-deps --only-binary=:all: --python-version {version} {tags} "
                f'--dest wheels "{self.text}"')


def this_computer() -> str:
    """windows, mac-arm, mac-intel, mac-intel-old, linux or linux-old.

    Slicer for macOS counts as Intel's also on Apple silicon, as its Python does.
    """
    if sys.platform == "win32":
        return "windows"
    if sys.platform == "darwin":
        if platform.machine() == "arm64":
            return "mac-arm"
        return "mac-intel" if _number(platform.mac_ver()[0]) >= (13,) else "mac-intel-old"
    return "linux-old" if (0,) < _number(platform.libc_ver()[1]) < (2, 28) else "linux"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def is_installed(name: str) -> bool:
    """Whether a package is there, in Slicer's Python or among ours."""
    return paths.packages_folder().joinpath(*name.split("."), "__init__.py").is_file() or in_slicer(name)


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
    """Let the extension ask and install; returns why PyTorch was not installed, "" when it was.

    The extension loads PyTorch into Slicer, and brings dialogs of its own.
    """
    try:
        from PyTorchUtils import PyTorchUtilsLogic

        torch = PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT)
    except Exception as error:  # noqa: BLE001  another extension's code, which runs pip and loads libraries
        return _("PyTorch was not installed: {reason}.").format(reason=" ".join(str(error).split()).rstrip("."))
    return "" if torch is not None else _("PyTorch was not installed.")


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
