"""slicer.packaging: nothing is ever installed by a test that has not said so."""

from __future__ import annotations

import importlib.metadata
import pathlib
from typing import Any

from packaging.requirements import Requirement


def load_requirements(path: str | pathlib.Path) -> list[Requirement]:
    """The requirements of a text file; comments and options are left out."""
    lines = [line.partition("#")[0].strip() for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def pip_check(req: str | Requirement | list[str | Requirement]) -> bool:
    """Whether what is installed satisfies all."""
    wanted = req if isinstance(req, list) else [req]
    return all(_is_satisfied(Requirement(str(requirement))) for requirement in wanted)


def _is_satisfied(requirement: Requirement) -> bool:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def isPipInstallInProgress() -> bool:
    """Whether an installation runs."""
    return False


def pip_ensure(requirements: Any, **options: Any) -> list[str]:
    """Install what is missing; here an error, unless nothing is."""
    wanted = requirements if isinstance(requirements, list) else [requirements]
    missing = [str(requirement) for requirement in wanted if not pip_check(requirement)]
    if missing:
        pip_install(missing)
    return []


def pip_install(requirements: Any, **options: Any) -> None:
    """Refuse: a test that means to install replaces this function."""
    raise RuntimeError(f"slicer.packaging.pip_install({requirements!r}) in a test that has not replaced it")


def pip_uninstall(requirements: Any, **options: Any) -> None:
    """Refuse, as above."""
    raise RuntimeError(f"slicer.packaging.pip_uninstall({requirements!r}) in a test that has not replaced it")
