"""Store: the user's installed models, a folder each, as they are on the disk at this moment."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import importlib.util
import os
import shutil
import time
from pathlib import Path

from slicer.i18n import tr as _

from alhvr.core.errors import ModelError
from alhvr.formats.model_folder import DESCRIPTION, MANIFEST
from ALHVRLib import paths
from ALHVRLib.models.model_info import InstalledModel, describe
from ALHVRLib.models.untrusted_files import folder_name, one_line, reason

__all__ = ["InstalledModel", "ModelError", "find", "folder", "free_name", "installed", "problem", "remove", "sweep",
           "take_in"]

OLD_S = 3600
"""Hidden folders of an import older than this were left by a program that ended in the middle."""
MAX_MODELS = 500
_known = {}


def installed() -> list[InstalledModel]:
    """All installed models by name, the bad ones too, which say why in `problem`."""
    try:
        with os.scandir(paths.models_folder()) as entries:
            names = sorted(entry.name for entry in entries if _is_model(entry))
    except OSError:
        names = []
    with_torch = importlib.util.find_spec("torch") is not None
    models = [_described(name, with_torch) for name in sorted(names[:MAX_MODELS], key=str.casefold)]
    titles = collections.Counter(model.title for model in models)
    return [_told_apart(model) if titles[model.title] > 1 else model for model in models]


def find(name: str) -> InstalledModel | None:
    """The installed model of this name, None where there is none."""
    return next((model for model in installed() if model.name == name), None) if name else None


def folder() -> Path:
    """Where the models are; made if it can be."""
    with contextlib.suppress(OSError):
        paths.models_folder().mkdir(parents=True, exist_ok=True)
    return paths.models_folder()


def problem() -> str:
    """Why installed models cannot be looked up, in one sentence; "" where they can, or where there are none yet."""
    path = paths.models_folder()
    try:
        os.listdir(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return _("The folder of models {folder} cannot be read: {why}.").format(folder=path, why=reason(error))
    return ""


def free_name(source: Path, wanted: str = "") -> str:
    """The name that a model gets which comes from the path `source`, if not the one that is wanted.

    Raises ModelError where another model has it: nothing is replaced silently.
    """
    stem = source.name if source.is_dir() else source.stem
    if stem.casefold() == "model" and source.is_dir() and source.parent.name:  # RUN/model, as the engine writes it
        stem = source.parent.name
    name = folder_name(wanted or stem)
    taken = {model.name.casefold(): model.name for model in installed()}
    if name.casefold() in taken:
        text = _("A model \"{name}\" is installed already: remove it first, or rename the one to be added.")
        raise ModelError(text.format(name=taken[name.casefold()]))
    return name


def take_in(hidden: Path, name: str) -> None:
    """Makes a verified hidden folder an installed model."""
    target = paths.models_folder() / name
    if os.path.lexists(target):
        raise ModelError(_("A model \"{name}\" was installed meanwhile.").format(name=name))
    try:
        os.rename(hidden, target)
    except OSError as error:
        text = _("The model cannot be put into {folder}: {why}.")
        raise ModelError(text.format(folder=target.parent, why=reason(error))) from error


def remove(name: str) -> None:
    """Removes an installed model; where that cannot be done it raises ModelError, and the model is whole."""
    if name not in (model.name for model in installed()):
        raise ModelError(_("There is no model \"{name}\" any more.").format(name=name))
    path = paths.models_folder() / name
    hidden = path.with_name(f".{name}.{os.getpid()}.removed")
    try:
        if path.is_symlink():
            path.unlink()  # what it leads to is not ours
            return
        os.rename(path, hidden)
    except OSError as error:
        text = _("The model \"{name}\" cannot be removed: {why}.")
        raise ModelError(text.format(name=name, why=reason(error))) from error
    shutil.rmtree(hidden, ignore_errors=True)


def sweep() -> None:
    """Deletes what programs left that ended in the middle of adding or removing a model."""
    for pattern in (".*.arriving", ".*.removed"):
        for path in paths.models_folder().glob(pattern):
            with contextlib.suppress(OSError):
                if time.time() - path.lstat().st_mtime > OLD_S:
                    shutil.rmtree(path, ignore_errors=True)


def _told_apart(model: InstalledModel) -> InstalledModel:
    """Two models may call themselves alike; their folders cannot."""
    return dataclasses.replace(model, title=f"{model.title} ({one_line(model.name)})")


def _is_model(entry: os.DirEntry) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:
        return False


def _described(name: str, with_torch: bool) -> InstalledModel:
    """As describe; a folder whose files have not changed since is not read again."""
    path = paths.models_folder() / name
    state = _state(path, with_torch)
    if state is None or _known.get(path, (None,))[0] != state:
        _known[path] = (state, describe(path))
    return _known[path][1]


def _state(path: Path, with_torch: bool) -> tuple | None:
    """Changes when a file of the model does."""
    looked = [path / name for name in (".", "docs", "models", DESCRIPTION, MANIFEST)]
    try:
        seen = [one.stat() for one in [*looked, *(path / "models").iterdir()]]
        return (with_torch, *((one.st_ino, one.st_mtime_ns, one.st_size) for one in seen))
    except OSError:
        return None
