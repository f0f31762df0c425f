"""Paths: where our files are, and where the user's models and packages are kept."""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile

import slicer

SHARED_FOLDER = pathlib.Path(__file__).resolve().parent.parent
"""Holds this library and, in its folder Resources, the files that belong to it."""


def user_folder() -> pathlib.Path:
    """Folder of the user's Slicer settings that is ours; it outlives updates of Slicer and of the extension."""
    return pathlib.Path(slicer.app.slicerUserSettingsFilePath).parent / "ALHVR"


def models_folder() -> pathlib.Path:
    """Installed models, a folder each."""
    return user_folder() / "models"


def packages_folder() -> pathlib.Path:
    """Python packages of the engine's own, for this Python only; Slicer's own are never changed."""
    return user_folder() / "packages-{}{}".format(*sys.version_info[:2])


def samples_folder() -> pathlib.Path:
    """Generated sample scans."""
    return user_folder() / "samples"


def engine_root() -> pathlib.Path:
    """The folder that holds the package alhvr: beside the installed modules, or the source tree's root."""
    folders = (SHARED_FOLDER, SHARED_FOLDER.parent)
    return next((folder for folder in folders if (folder / "alhvr" / "cli.py").is_file()), SHARED_FOLDER)


def child_script() -> pathlib.Path:
    """What the child process runs."""
    return shared_resource("Scripts/ALHVRChild.py")


def shared_resource(name: str) -> pathlib.Path:
    """Path of a file that belongs to this library, whichever module uses it."""
    return SHARED_FOLDER / "Resources" / name


def work_folder(purpose: str) -> pathlib.Path:
    """A new folder for the files of one job; may hold patient data, so whoever made it removes it.

    Raises OSError where Slicer's temporary folder cannot be written.
    """
    parent = pathlib.Path(slicer.app.temporaryPath)
    parent.mkdir(parents=True, exist_ok=True)
    return pathlib.Path(tempfile.mkdtemp(prefix=f"ALHVR-{purpose}-", dir=parent))


def remove_folder(folder: pathlib.Path) -> None:
    """Remove the folder of a job, or what can be removed of it."""
    shutil.rmtree(folder, ignore_errors=True)
