"""ResultWriter: the files of one scan, gathered out of sight and moved to their place together, never over an edit."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from alhvr.data.scan import Segmentation
from alhvr.errors import UserError
from alhvr.export.dicom_seg import ENDING as DICOM_SEG_ENDING
from alhvr.export.dicom_seg import write_dicom_seg
from alhvr.export.volumes import FAST, write_region_maps, write_segmentation
from alhvr.files import flush_folder, write_refused
from alhvr.inference.pipeline import Hopeless
from alhvr.inference.predictor import Prediction
from alhvr.inference.record import Entry, Mark, Record

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Reasons for which the next result will hardly fare better."""
_PROBE_BYTES = 1 << 14
"""Less than almost any result takes."""

DICOM_AT_WORK = threading.Lock()
"""Held while DICOM files are read and written: pydicom's settings and Python's warnings are one for all threads."""


@dataclass(frozen=True)
class Origin:
    """Of what a result is, and what was asked for."""

    scan: str
    source: Path
    """The scan's file or series folder."""
    target: str
    """Name of the segmentation file."""
    input: Mark
    model: str
    """SHA-256 of the model's manifest."""
    regions: bool
    dicom_seg: bool
    fusion: str | None = None
    temperature: float | None = None
    """Where these were not to be the model's own."""


@dataclass(frozen=True)
class Written:
    """The results of one scan."""

    files: tuple[Path, ...]
    entry: Entry
    kept: str
    """Name of the file that was left as it is, and the others with it; "" when all were written."""
    warnings: tuple[str, ...]


class ResultWriter:
    """Writes the results of scans into one folder and records them."""

    def __init__(self, folder: Path, record: Record, *, compressed: bool = True) -> None:
        self._folder, self._record = folder, record
        self._level = FAST if compressed else 0
        self._refused = 0

    def write(self, origin: Origin, prediction: Prediction) -> Written:
        """Writes all files of a scan, or none of them.

        None are when one would replace a file that was changed since it was written, or was never written, by
        ``alhvr segment`` and is not the same. Raises UserError when the system refuses; Hopeless when it refuses two
        scans running because the disk is full, or even a small file.
        """
        try:
            written = self._write(origin, prediction)
        except UserError as error:
            self._refused += isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_IS_FULL
            if self._refused > 1 or (isinstance(error.__cause__, OSError) and not self._has_room()):
                raise Hopeless(f"{error.message} Nothing more can be written there.", error.hint) from error
            raise
        self._refused = 0
        return written

    def _write(self, origin: Origin, prediction: Prediction) -> Written:
        stage = stage_of(self._folder, origin.target)
        with _told_of(stage, self._folder):
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir()
            try:
                files, warnings = _write_all(stage, origin, prediction, self._level)
                marks = {path.name: Mark.of(path) for path in files}
                entry = Entry(origin.source.name, origin.model, origin.regions, origin.dicom_seg, origin.input, marks,
                              self._before(origin.target, marks), volumes_ml(prediction.segmentation),
                              prediction.segmentation.geometry.nominal, origin.fusion, origin.temperature)
                places = tuple(self._folder / path.name for path in files)
                kept = next((place.name for place in places if self._is_foreign(place, marks[place.name])), "")
                if not kept:
                    self._record.put(origin.target, entry, stage=stage)
                    for path, place in zip(files, places, strict=True):
                        os.replace(path, place)
                    flush_folder(self._folder)
                return Written(places, entry, kept, warnings)
            finally:
                shutil.rmtree(stage, ignore_errors=True)

    def _has_room(self) -> bool:
        """True when a small file can be written."""
        try:
            with TemporaryFile(dir=self._folder) as probe:
                probe.write(os.urandom(_PROBE_BYTES))
        except OSError:
            return False
        return True

    def _is_foreign(self, place: Path, new: Mark) -> bool:
        """True when a file stands at ``place`` that may not be replaced by one with the mark ``new``."""
        return place.exists() and not self._record.wrote(place) and not new.fits(place)

    def _before(self, target: str, marks: dict[str, Mark]) -> dict[str, str]:
        """What was written here before under the names that the new files take, or that no new file takes."""
        last = self._record.entry(target)
        names = {*marks, *(() if last is None else (*last.files, *last.before))}
        places = {name: self._folder / name for name in sorted(names)}
        return {name: Mark.of(place).sha256 for name, place in places.items()
                if place.exists() and self._record.wrote(place)}


def stage_of(folder: Path, target: str) -> Path:
    """The hidden folder in which the results for the segmentation file ``target`` are gathered; a kill may leave it."""
    return folder / f".{target}.part"


def volumes_ml(segmentation: Segmentation) -> dict[str, float]:
    """Millilitres of each structure by its name, 0 where it was not found."""
    counts = np.zeros(max(segmentation.labels.values) + 1, dtype=np.int64)
    for plane in segmentation.array:
        counts += np.bincount(plane.ravel(), minlength=len(counts))
    ml = segmentation.geometry.voxel_volume_ml
    return {label.name: float(counts[label.value] * ml) for label in segmentation.labels.labels}


def _write_all(stage: Path, origin: Origin, prediction: Prediction, level: int) -> tuple[list[Path], tuple[str, ...]]:
    """Every file that was asked for, in the folder ``stage``, and what was odd; ``level`` compresses the maps."""
    files = [write_segmentation(stage / origin.target, prediction.segmentation)]
    if prediction.regions is not None:
        files += write_region_maps(stage, origin.scan, prediction.regions, level=level)
    if not origin.dicom_seg:
        return files, ()
    with DICOM_AT_WORK:
        made = write_dicom_seg(stage / f"{origin.scan}{DICOM_SEG_ENDING}", prediction.segmentation, origin.source)
    return files + ([] if made.path is None else [made.path]), made.warnings


@contextmanager
def _told_of(stage: Path, folder: Path) -> Iterator[None]:
    """Makes every refusal of the system a UserError that names the files as they would be called in ``folder``."""
    try:
        yield
    except UserError as error:
        raise UserError(error.message.replace(str(stage), str(folder)), error.hint) from error.__cause__
    except OSError as error:
        place = str(error.filename or folder).replace(str(stage), str(folder))
        raise write_refused(error, Path(place)) from error
