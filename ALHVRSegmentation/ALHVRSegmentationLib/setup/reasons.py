"""Reasons: why pip did not install the package, read from its log, in one sentence and what to do."""

from __future__ import annotations

from pathlib import Path
from urllib.request import getproxies

from slicer.i18n import tr as _

from ALHVRSegmentationLib.setup.needs import PACKAGE
from ALHVRSegmentationLib.setup.wheels import this_system

FULL = ("No space left", "Errno 28", "WinError 112", "not enough space", "Disk quota", "Errno 122")
PROXY = ("ProxyError", "Cannot connect to proxy", "Unable to connect to proxy", "Tunnel connection failed")
CERTIFICATE = ("CERTIFICATE_VERIFY_FAILED", "SSLError", "SSLCertVerificationError")
NO_NETWORK = ("NewConnectionError", "ConnectTimeout", "Read timed out", "Max retries", "name resolution",
              "getaddrinfo failed", "Connection refused", "Connection broken", "Network is unreachable",
              "Connection aborted", "NameResolutionError", "connection timed out", "Failed to connect")
NO_WHEEL = ("No matching distribution found", "Could not find a version", "is not a supported wheel")
DAMAGED = ("BadZipFile", "is invalid", "not a zip file", "invalid metadata", "do not match the hash",
           "DO NOT MATCH THE HASHES", "Bad CRC", "zlib.error", "bad magic number", "has an invalid", "Bad magic",
           "is missing in", "InvalidWheel", "UnsupportedWheel", "inconsistent", "_check_metadata_consistency")
FORBIDDEN = ("Permission denied", "Errno 13", "WinError 5", "Read-only file system", "Access is denied")


def no_room(folder: Path) -> str:
    """The disk is full."""
    return _("the disk with {folder} is full; {mb} MB are needed.").format(
        folder=folder, mb=this_system().installed_mb + this_system().download_mb)


def not_writable(folder: Path, why: str) -> str:
    """Nothing can be written there."""
    return _("{folder} cannot be written ({why}).").format(folder=folder, why=why)


def no_wheel_in(folder: Path) -> str:
    """No file in the folder will do."""
    found = sorted(path.name for path in folder.glob(f"{PACKAGE}-*.whl"))
    if not found:
        return _("{folder} has no wheel of it. \"What to fetch?\" tells which.").format(folder=folder)
    return _("{files} does not fit this Python and system. \"What to fetch?\" tells which does.").format(
        files=", ".join(found[:3]))


def why_pip_failed(log: list[str], target: Path, wheels: Path | None) -> str:
    """What stands behind "onnxruntime was not installed: "."""
    text = "\n".join(log)
    if _has(text, FULL):
        return no_room(target)
    if wheels is None and (_has(text, PROXY) or (_has(text, NO_NETWORK) and getproxies())):
        return _("the package server was not reached through the proxy. Check HTTPS_PROXY, or install from a folder "
                 "of wheels.")
    if wheels is None and _has(text, CERTIFICATE):
        return _("the package server's certificate was refused. Ask your network's administrator, or install from a "
                 "folder of wheels.")
    if wheels is None and _has(text, NO_NETWORK):
        return _("the package server was not reached. Check the network, or install from a folder of wheels.")
    if _has(text, DAMAGED):
        return _("the wheel is damaged. Fetch it again.")
    if _has(text, NO_WHEEL):
        return no_wheel_in(wheels) if wheels is not None else _(
            "the package server has none for this Python and system. Install from a folder of wheels.")
    if _has(text, FORBIDDEN):
        return not_writable(target, _("permission denied"))
    return _("{reason} The log has the details.").format(reason=_last_error(log))


def _has(text: str, signs: tuple[str, ...]) -> bool:
    return any(sign in text for sign in signs)


def _last_error(log: list[str]) -> str:
    """pip's own last complaint; where it has failed itself, that is the end of the story."""
    errors = [line.partition(":")[2].strip() for line in log if line.lower().startswith("error:")]
    if errors[-1:] == ["Exception:"]:
        return log[-1].strip()
    return errors[-1] if errors else _("pip ended with an error.")
