"""What several tests share: where the real scans are, and skipping aloud when they are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared_data(*parts: str) -> Path:
    """A file or folder of real data; skips the test, saying so, where it is absent."""
    root = Path(os.environ.get("ALHVR_TEST_DATA", ROOT.parent / "shared" / "data"))
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data not found: {path} (set ALHVR_TEST_DATA)")
    return path
