"""A Python that has the light install only: a virtual environment of links to what pyproject.toml asks for.

Everything else cannot be imported there, and nothing is downloaded.
"""

from __future__ import annotations

import subprocess
import tomllib
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from command import PATIENCE_S, Finished
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def light_distributions() -> dict[str, Distribution]:
    """What ``pip install alhvr`` brings, as installed here, by its normal name: the requirements and theirs in turn."""
    found: dict[str, Distribution] = {}
    waiting = list(PROJECT["dependencies"])
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = distribution(name)
        waiting += found[name].requires or []
    return found


def make_light_python(folder: Path) -> Path:
    """Makes the environment in ``folder`` and returns its interpreter."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for entry in light_distributions().values():
        for name in {file.parts[0] for file in entry.files} - {"..", "__pycache__"}:
            (site / name).symlink_to(entry.locate_file(name))
    (site / "alhvr").symlink_to(ROOT / "alhvr")
    return folder / "bin" / "python"


def run_light(python: Path, *arguments: Any, **options: Any) -> Finished:
    """Runs ``python`` in a bare environment; ``options`` are those of subprocess.run."""
    done = subprocess.run([python, "-P", *map(str, arguments)], capture_output=True, text=True, check=False,
                          timeout=PATIENCE_S, env={"OMP_NUM_THREADS": "1"}, **options)
    return Finished(done.returncode, done.stdout, done.stderr)
