"""Folders to write into: made, and shown to be writable before any long work begins."""

from __future__ import annotations

import os
from pathlib import Path

from alhvr.errors import UserError


def make_writable(folder: Path) -> None:
    """Makes ``folder`` where it is missing; raises UserError when it cannot be made or written."""
    probe = folder / f".write-test-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be written ({error.strerror}).",
                        "Choose another --out folder.") from error
