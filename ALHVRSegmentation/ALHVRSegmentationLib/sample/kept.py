"""Kept: the generated sample on the disk, so that a second click makes no second one."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ALHVRSegmentationLib import places
from ALHVRSegmentationLib.models.safe_files import ModelError, is_safe_name, read_inside, read_json

INDEX = "sample.json"
FOLDER = "generated"


@dataclass(frozen=True)
class KeptSample:
    """What the engine's command "sample" made."""

    scans: tuple
    """Paths of the scans, of which the first is loaded."""
    model: Path
    """Folder of the small model."""


def kept_sample():
    """The sample that was made before; None where there is none, or not all of it any more."""
    folder = places.samples_folder() / FOLDER
    try:
        index = read_json(read_inside(folder, INDEX), INDEX)
        sizes = {name: int(size) for name, size in index["scans"].items()}
        whole = all(is_safe_name(name) and (folder / name).stat().st_size == size for name, size in sizes.items())
        model = index["model"]
        if not whole or not sizes or not is_safe_name(model) or not (folder / model).is_dir():
            return None
    except (ModelError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return KeptSample(tuple(folder / name for name in sizes), folder / model)


def new_folder():
    """An empty hidden folder to make a sample in, as its folder FOLDER; raises OSError."""
    making = places.samples_folder() / f".{FOLDER}.{os.getpid()}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    return making


def keep(making, scans, model):
    """Makes what is complete in a hidden folder the sample; raises OSError, or ValueError for paths outside it."""
    made, folder = making / FOLDER, places.samples_folder() / FOLDER
    index = {
        "scans": {_name_in(made, scan): Path(scan).stat().st_size for scan in scans},
        "model": _name_in(made, model),
    }
    (made / INDEX).write_text(json.dumps(index, indent=1), encoding="ascii")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(made, folder)
    return kept_sample()


def _name_in(folder, path):
    return Path(path).resolve().relative_to(folder.resolve()).as_posix()
