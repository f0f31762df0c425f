"""ResultWriter: the files of one scan, gathered out of sight and moved to their place together, never over an edit."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import flush_folder, write_refused
from alhvr.data.case_paths import require_result_name
from alhvr.data.reading import read_label
from alhvr.data.scan import Segmentation
from alhvr.export.dicom_objects import write_dicom_objects
from alhvr.export.dicom_seg import DicomOptions, SegContent
from alhvr.export.volumes import FAST, write_region_maps, write_segmentation
from alhvr.formats.labels import LabelSet
from alhvr.inference.pipeline import BatchAborted
from alhvr.inference.predictor import Prediction
from alhvr.inference.results_index import FileFingerprint, ResultEntry, ResultsIndex

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
    input: FileFingerprint
    model: str
    """SHA-256 of the model's manifest."""
    regions: bool
    dicom: DicomOptions | None
    """Which DICOM files to write beside it; None for none."""
    fusion: str | None = None
    temperature: float | None = None
    """Where these were not to be the model's own."""
    ran_with: str = ""
    """What ran the networks."""


@dataclass(frozen=True)
class Written:
    """The results of one scan."""

    files: tuple[Path, ...]
    entry: ResultEntry
    kept: str
    """Name of the file that was left as it is, and the others with it; "" when all were written."""
    warnings: tuple[str, ...]
    dicom_seg_fault: str = ""
    """Why the DICOM segmentation that was asked for is not among the files."""


@dataclass(frozen=True)
class _Staged:
    """Files that are written, but not in their place yet."""

    files: list[Path]
    warnings: tuple[str, ...] = ()
    dicom_seg_fault: str = ""


class ResultWriter:
    """Writes the results of scans into one folder and records them."""

    def __init__(self, folder: Path, record: ResultsIndex, *, compressed: bool = True) -> None:
        self._folder, self._record = folder, record
        self._level = FAST if compressed else 0
        self._refused = 0

    def write(self, origin: Origin, prediction: Prediction) -> Written:
        """Writes all files of a scan, or none of them; only a DICOM segmentation that cannot be made is left out.

        None are when one would replace a file that was changed since it was written, or was never written, by
        ``alhvr segment`` and is not the same. Raises UserError if the system refuses; BatchAborted if it refuses two
        scans running because the disk is full, or even a small file. A result never lies outside the folder.
        """
        return self._counted(lambda: self._write(origin, prediction.segmentation,
                                                 lambda stage: _write_all(stage, origin, prediction, self._level)))

    def write_files(self, origin: Origin, segmentation: Segmentation,
                    make: Callable[[Path], Sequence[Path]]) -> Written:
        """As ``write``, with the files that ``make`` writes into the folder that it is given."""
        return self._counted(lambda: self._write(origin, segmentation, lambda stage: _Staged(list(make(stage)))))

    def add_dicom(self, scan: str, target: str, source: Path, labels: LabelSet, options: DicomOptions) -> Written:
        """Writes the DICOM files alone, from the segmentation file ``target`` that is done; see ``write``."""
        done = self._record.entry(target)
        found = read_label(self._folder / target)
        segmentation = Segmentation(scan, found.array, found.geometry, labels)
        origin = Origin(scan, source, target, done.input, done.model, done.regions, options, done.fusion,
                        done.temperature, done.ran_with)
        return self._counted(lambda: self._write(origin, segmentation,
                                                 lambda stage: _write_dicom(stage, origin, Prediction(
                                                     segmentation, None)), done))

    def _counted(self, write: Callable[[], Written]) -> Written:
        """What ``write`` gives; refusals of the system become BatchAborted as ``write`` of the class says."""
        try:
            written = write()
        except UserError as error:
            self._refused += isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_IS_FULL
            if self._refused > 1 or (isinstance(error.__cause__, OSError) and not self._has_room()):
                raise BatchAborted(f"{error.message} Nothing more can be written there.", error.hint) from error
            raise
        self._refused = 0
        return written

    def _write(self, origin: Origin, segmentation: Segmentation, make: Callable[[Path], _Staged],
               done: ResultEntry | None = None) -> Written:
        """Moves what ``make`` writes in a folder to its place and records it beside the files of ``done``."""
        require_result_name(origin.target)
        require_result_name(origin.scan)
        stage = stage_of(self._folder, origin.target)
        with _errors_naming(stage, self._folder):
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir()
            try:
                staged = make(stage)
                new = {path.name: FileFingerprint.of(path) for path in staged.files}
                marks = {**({} if done is None else done.files), **new}
                entry = ResultEntry(origin.source.name, origin.model, origin.regions,
                                    origin.dicom is not None and not staged.dicom_seg_fault, origin.input, marks,
                                    self._before(origin.target, marks), volumes_ml(segmentation),
                                    segmentation.geometry.nominal, origin.fusion, origin.temperature,
                                    "" if origin.dicom is None else origin.dicom.key, origin.ran_with)
                places = tuple(self._folder / name for name in marks)
                kept = next((name for name, mark in new.items() if self._is_foreign(self._folder / name, mark)), "")
                if not kept:
                    self._record.put(origin.target, entry, stage=stage)
                    for path in staged.files:
                        os.replace(path, self._folder / path.name)
                    flush_folder(self._folder)
                fault = staged.dicom_seg_fault.replace(str(stage), str(self._folder))
                return Written(places, entry, kept, staged.warnings, fault)
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

    def _is_foreign(self, place: Path, new: FileFingerprint) -> bool:
        """True when a file stands at ``place`` that may not be replaced by one with the mark ``new``."""
        return place.exists() and not self._record.wrote(place) and not new.fits(place)

    def _before(self, target: str, marks: dict[str, FileFingerprint]) -> dict[str, str]:
        """What was written here before under the names that the new files take, or that no new file takes."""
        last = self._record.entry(target)
        names = {*marks, *(() if last is None else (*last.files, *last.before))}
        places = {name: self._folder / name for name in sorted(names)}
        return {name: FileFingerprint.of(place).sha256 for name, place in places.items()
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


def _write_all(stage: Path, origin: Origin, prediction: Prediction, level: int) -> _Staged:
    """Every file that was asked for, in the folder ``stage``; ``level`` compresses the maps."""
    files = [write_segmentation(stage / origin.target, prediction.segmentation)]
    if prediction.regions is not None:
        files += write_region_maps(stage, origin.scan, prediction.regions, level=level)
    if origin.dicom is None:
        return _Staged(files)
    made = _write_dicom(stage, origin, prediction)
    return replace(made, files=files + made.files)


def _write_dicom(stage: Path, origin: Origin, prediction: Prediction) -> _Staged:
    """The DICOM files in the folder ``stage``, or why one is not among them: it costs no other result."""
    parameters = {"model": origin.model, "fusion": origin.fusion or "", "run with": origin.ran_with,
                  "temperature": "" if origin.temperature is None else f"{origin.temperature:g}"}
    content = SegContent(prediction.segmentation, prediction.probability, parameters)
    region = prediction.regions.region if prediction.regions is not None and origin.dicom.regions else None
    with DICOM_AT_WORK:
        made = write_dicom_objects(stage / origin.scan, content, origin.source, origin.dicom, region)
    return _Staged(list(made.files), made.warnings, made.fault)


@contextmanager
def _errors_naming(stage: Path, folder: Path) -> Iterator[None]:
    """Makes every refusal of the system a UserError that names the files as they would be called in ``folder``."""
    try:
        yield
    except UserError as error:
        raise UserError(error.message.replace(str(stage), str(folder)), error.hint) from error.__cause__
    except OSError as error:
        place = str(error.filename or folder).replace(str(stage), str(folder))
        raise write_refused(error, Path(place)) from error
