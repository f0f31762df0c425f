"""PyTorch, which the graphics card needs: there or not, and installing it through the extension PyTorch."""

from __future__ import annotations

from slicer.i18n import tr as _

from ALHVRSegmentationLib.setup.needs import in_slicer

REQUIREMENT = ">=2.5"


def is_there() -> bool:
    """Whether Slicer has PyTorch; it is not loaded."""
    return in_slicer("torch")


def extension_is_there() -> bool:
    """Whether the extension that installs PyTorch is there."""
    return in_slicer("PyTorchUtils")


def install() -> str:
    """Let the extension ask and install; returns why it did not come to that, "" when it did.

    The extension loads PyTorch into Slicer, and brings dialogs of its own.
    """
    try:
        from PyTorchUtils import PyTorchUtilsLogic

        torch = PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=REQUIREMENT)
    except Exception as error:  # noqa: BLE001  another extension's code, which runs pip and loads libraries
        return _("PyTorch was not installed: {reason}.").format(reason=" ".join(str(error).split()).rstrip("."))
    return "" if torch is not None else _("PyTorch was not installed.")
