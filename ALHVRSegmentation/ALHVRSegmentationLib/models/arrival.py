"""Arrival: copies a new model into a hidden folder beside the installed ones; no Qt, so that a thread can do it."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from ALHVRSegmentationLib import places
from ALHVRSegmentationLib.models import store
from ALHVRSegmentationLib.models.described import read_description
from ALHVRSegmentationLib.models.manifest import MANIFEST, parse_manifest
from ALHVRSegmentationLib.models.safe_files import ModelError, one_line, reading, reason
from ALHVRSegmentationLib.models.sources import open_source, read_manifest_data

CHUNK = 1 << 20
SPARE_BYTES = 16 << 20
"""Left free on the disk."""


class Stopped(Exception):
    """The user pressed Cancel."""


@dataclass(frozen=True)
class Arrived:
    """A model that has been copied, or was there before."""

    name: str
    """Name of the folder that it has or will have."""
    folder: Path | None
    """The hidden folder; None where the same model is installed already."""


class Arrival:
    """One model on its way; `run` is called in a thread, the rest from anywhere.

    Without a name, the model gets that of its folder or zip file.
    """

    def __init__(self, path, name=""):
        self.path = Path(path)
        self._name = name
        self.done = 0
        self.total = 0
        """Bytes that were copied, and of all files; 0 before they are known."""
        self.stopped = False

    def run(self):
        """Copy the model; raises ModelError, or Stopped, and leaves nothing behind then."""
        source = open_source(self.path)
        try:
            return self._copy(source)
        except OSError as error:
            text = _("The model cannot be copied to {folder}: {why}.")
            raise ModelError(text.format(folder=places.models_folder(), why=reason(error))) from error
        finally:
            source.close()

    def _copy(self, source):
        data = read_manifest_data(source)
        manifest = parse_manifest(data)
        there = _installed_as(data)
        if there is not None:
            return Arrived(there, None)
        name = store.free_name(self.path, self._name)
        hidden = self._new_folder(manifest.total)
        try:
            for file, size in manifest.sizes.items():
                self._copy_file(source, hidden / file, file, size, manifest.digests[file])
            (hidden / MANIFEST).write_bytes(data)
            read_description(hidden)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        return Arrived(name, hidden)

    def _new_folder(self, n_bytes):
        """A hidden folder on a disk that has room for the model."""
        parent = places.models_folder()
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
        if free < n_bytes + SPARE_BYTES:
            text = _("The disk of {folder} is too full: the model needs {needed} MB and {free} MB are free.")
            numbers = {"needed": (n_bytes + SPARE_BYTES) // 1000000 + 1, "free": free // 1000000}
            raise ModelError(text.format(folder=parent, **numbers))
        self.total = n_bytes
        return Path(tempfile.mkdtemp(prefix=".", suffix=".arriving", dir=parent))

    def _copy_file(self, source, target, name, size, digest):
        target.parent.mkdir(parents=True, exist_ok=True)
        seen, hashed = 0, hashlib.sha256()
        with source.open(name, size) as stream, target.open("wb") as copy:
            while True:
                if self.stopped:
                    raise Stopped
                with reading(name):
                    chunk = stream.read(CHUNK)
                if not chunk:
                    break
                seen += len(chunk)
                if seen > size:
                    raise ModelError(_("{file} is larger than the model says.").format(file=one_line(name)))
                hashed.update(chunk)
                copy.write(chunk)
                self.done += len(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        if seen < size:
            text = _("{file} is cut short: it has {seen} bytes instead of {size}.")
            raise ModelError(text.format(file=one_line(name), seen=seen, size=size))
        if hashed.hexdigest() != digest:
            raise ModelError(_("{file} was changed after the model was written.").format(file=one_line(name)))


def _installed_as(manifest_data):
    """The name of the whole installed model with this manifest, None where there is none."""
    for model in store.installed():
        try:
            if not model.problem and (model.folder / MANIFEST).read_bytes() == manifest_data:
                return model.name
        except OSError:
            continue
    return None
