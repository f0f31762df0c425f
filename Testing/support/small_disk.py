"""Small disks for tests, where the user may mount them; skips aloud elsewhere."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mount(folder: Path, megabytes: int, *options: str) -> bool:
    """Mounts a disk in memory on ``folder``, or with "remount" changes it; False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={megabytes}m", *options]), "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def mounted_disk(folder: Path, megabytes: int, *options: str) -> Iterator[None]:
    """A disk of this size on ``folder`` while the block runs; skips the test, saying so, where it cannot be mounted."""
    if not mount(folder, megabytes, *options):
        pytest.skip("no right to mount a small disk here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
