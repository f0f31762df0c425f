"""Every file of the modules: no name that Slicer does not offer to Python, nothing that PythonQt refuses."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from slicer_stand_in.lint import check_files

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def clean_slate() -> None:
    """Nothing of Slicer is needed here."""


@pytest.fixture
def module_files() -> list[pathlib.Path]:
    """The Python and .ui files of the modules, and of the small ones that tests load."""
    small = [ROOT / "Testing" / folder for folder in ("modules/shared", "slicer_stand_in/tests/modules")]
    folders = [*ROOT.glob("ALHVR*/"), *small]
    return sorted(path for folder in folders for ending in ("*.py", "*.ui") for path in folder.rglob(ending))


def test_the_lint_finds_nothing(module_files: list[pathlib.Path]) -> None:
    assert [str(finding) for finding in check_files([path for path in module_files if path.suffix == ".py"])] == []


def test_slicer_offers_every_name(module_files: list[pathlib.Path]) -> None:
    tool = pathlib.Path(os.environ.get("SLICER_API", ROOT.parent / "shared" / "tools" / "slicer_api.py"))
    tool = tool.with_name("slicer_api.py")
    if not tool.exists():
        pytest.skip(f"the tool that knows Slicer's names is not there: {tool} (set SLICER_API)")
    done = subprocess.run([sys.executable, tool, "--check", *module_files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
