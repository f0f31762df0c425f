"""ScanStore: prepared scans within a memory budget; what does not fit is read again when its turn comes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alhvr.core.errors import Cancelled, UserError
from alhvr.core.progress import Reporter
from alhvr.data.case_io import LabelDecoder, read_case
from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.data.plan import Plan
from alhvr.data.preprocess import axis_transform, prepare, prepare_label
from alhvr.data.reading import probe, read_scan
from alhvr.data.reading_process import ReadingProcess
from alhvr.data.sampling import MAX_POINTS, annotated_background, foreground_points
from alhvr.data.scan import Scan
from alhvr.formats.labels import NOT_ANNOTATED


@dataclass(frozen=True)
class PreparedCase:
    """One scan as patches are cut from it."""

    image: np.ndarray
    """float32 [M, K, J, I] on the prepared grid, one array for each channel, normalised."""
    label: np.ndarray | None
    """uint8 [K, J, I] of class indices, or NOT_ANNOTATED; None without label."""
    background: tuple[float, ...]
    """Smallest intensity of each channel: what lies beyond the scan is filled with it."""
    points: tuple[np.ndarray, ...] = ()
    """3-D, labelled: voxel indices int32 [n, 3] of each foreground class, possible centres of a crop."""
    background_points: np.ndarray | None = None
    """3-D, annotated in part: voxel indices int32 [n, 3] of annotated background, possible centres too."""
    fully_annotated: bool = True
    """No voxel of the label is NOT_ANNOTATED."""
    missing: tuple[int, ...] = ()
    """Class indices of structures that are not annotated in this case."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = [self.image, *self.points, self.label, self.background_points]
        return sum(array.nbytes for array in arrays if array is not None)


class ScanStore:
    """The scans of one stream, prepared on demand and kept, least recently used out first, within ``budget_bytes``.

    ``get`` may be called from several threads. What it returns never depends on what is kept.
    """

    def __init__(self, cases: Sequence[Case], plan: Plan, annotation: LabelDecoder | None, *,
                 budget_bytes: int, reporter: Reporter) -> None:
        """``annotation`` None: labels are not read, the cases are an archive whose damaged scans may be left out."""
        self.cases, self.budget_bytes, self.reporter = tuple(cases), budget_bytes, reporter
        self.folders: tuple[Path, ...] = ()
        """Where the cases lie, as far as that is known."""
        self.should_stop: Callable[[], bool] = bool
        """Asked case by case while headers and labels are looked through, before anything is trained."""
        self._plan, self._annotation = plan, annotation
        self._held: OrderedDict[int, PreparedCase] = OrderedDict()
        self._loading: dict[int, int] = {}
        self._failed: dict[int, UserError] = {}
        self._shapes: dict[int, tuple[int, int, int]] = {}
        self._wishes: tuple[int, ...] = ()
        self._reader: threading.Thread | None = None
        self._reading = ReadingProcess()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.cases)

    @property
    def labeled(self) -> bool:
        """Whether labels are read, and a damaged case is an error rather than left out."""
        return self._annotation is not None

    def folder_gone(self) -> Path | None:
        """A folder of the cases that is not there any more, or is left empty, as that of a disk without the disk."""
        return next((folder for folder in self.folders if _is_empty(folder)), None)

    @property
    def n_classes(self) -> int:
        """Classes C of the labels, background included; 0 without labels."""
        return 0 if self._annotation is None else self._annotation.labels.n_classes

    @property
    def held_bytes(self) -> int:
        """Bytes of the prepared scans kept now."""
        with self._changed:
            return sum(case.nbytes for case in self._held.values())

    def raise_if_stopped(self) -> None:
        """Raises Cancelled once somebody asked to stop."""
        if self.should_stop():
            raise Cancelled("Stopped while the scans were looked through.")

    def shape(self, index: int) -> tuple[int, int, int]:
        """Prepared shape [K, J, I] of a case, from its header alone; raises UserError when that cannot be read."""
        if index not in self._shapes:
            self._shapes[index] = axis_transform(probe(self.cases[index].image).geometry, self._plan).shape
        return self._shapes[index]

    def expected_bytes(self, index: int) -> int:
        """Bytes that a prepared case takes at most, from its header alone; raises UserError as ``shape`` does."""
        voxels = int(np.prod(self.shape(index)))
        if self._annotation is None:
            return 4 * self._plan.n_channels * voxels
        points = 12 * MAX_POINTS * self.n_classes if self._plan.dimensions == 3 else 0
        return (4 * self._plan.n_channels + 1) * voxels + points

    def classes_by_slice(self, index: int) -> list[frozenset[int]]:
        """Class indices annotated in each slice of a label, background included; raises UserError.

        2-D: of the slices [K] of the prepared scan. 3-D: of slices along the prepared K, before they are resampled.
        """
        self.raise_if_stopped()
        case = self.cases[index]
        geometry = probe(case.image).geometry
        label = axis_transform(geometry, self._plan).arrange(self._annotation.read(case, geometry))
        return [frozenset(int(v) for v in np.flatnonzero(np.bincount(plane.ravel(), minlength=256)[:NOT_ANNOTATED]))
                for plane in label]

    def get(self, index: int) -> PreparedCase:
        """The prepared case; raises UserError, each time alike, when it cannot be read."""
        with self._changed:
            while index in self._loading:
                self._changed.wait()
            if index in self._failed:
                raise UserError(self._failed[index].message, self._failed[index].hint)
            if index in self._held:
                self._held.move_to_end(index)
                return self._held[index]
            self._loading[index] = 0
        return self._load(index)

    def prefetch(self, indices: Sequence[int]) -> None:
        """Reads these cases in the background, in their order, as far as the budget goes; replaces the last wishes."""
        with self._changed:
            self._wishes = tuple(indices)
            if self._wishes and (self._reader is None or not self._reader.is_alive()):
                self._reader = threading.Thread(target=self._read_wishes, name="alhvr-prefetch", daemon=True)
                self._reader.start()

    def _read_wishes(self) -> None:
        """Loads one wish after the other; ends when nothing is left that can be loaded."""
        while True:
            with self._changed:
                index = self._next_wish()
                if index is None:
                    self._reader = None
                    return
            try:
                self._load(index)
            except UserError:
                continue  # remembered as failed; whoever asks for this case is told

    def _next_wish(self) -> int | None:
        """The first wish that is not there yet and fits beside the wishes before it; marks it as being read."""
        planned = 0
        for index in (i for i in self._wishes if i not in self._failed):
            try:
                expected = self.expected_bytes(index)
            except UserError as error:
                self._failed[index] = error
                continue
            planned += expected
            if planned > self.budget_bytes:
                return None
            if index not in self._held and index not in self._loading:
                if not self._make_room(expected, drop_wishes=False):
                    return None
                self._loading[index] = expected
                return index
        return None

    def _load(self, index: int) -> PreparedCase:
        """Reads a case that is marked as being read, keeps it where it fits, and wakes those who wait for it."""
        case = failure = None
        try:
            case = self._read(index)
            return case
        except UserError as error:
            failure = error
            raise
        finally:
            with self._changed:
                del self._loading[index]
                if failure is not None:
                    self._failed[index] = failure
                if case is not None and self._make_room(case.nbytes, drop_wishes=True):
                    self._held[index] = case
                self._changed.notify_all()

    def _read(self, index: int) -> PreparedCase:
        name = self.cases[index].image.name
        try:
            case = load_case(self.cases[index], self._plan, self._annotation, read=self._reading.read_scan)
        except (OSError, RuntimeError, ValueError, EOFError) as error:
            raise UserError(f"{name} cannot be read: {error}", "Check or remove this file.") from error
        if case.image.shape[1:] != self.shape(index):
            raise UserError(f"{name}: its header announces {self.shape(index)} prepared voxels (K, J, I), its content "
                            f"has {case.image.shape[1:]}.", "Export the scan again.")
        return case

    def _make_room(self, nbytes: int, *, drop_wishes: bool) -> bool:
        """Drops kept cases until ``nbytes`` more fit beside those being read; drops none when that cannot be reached.

        Least recently used first; those that are wished for last, or not at all.
        """
        wished = [i for i in self._held if i in self._wishes] if drop_wishes else []
        spare = [i for i in self._held if i not in self._wishes] + wished
        excess = nbytes + sum(self._loading.values()) + self.held_bytes - self.budget_bytes
        if excess > sum(self._held[i].nbytes for i in spare):
            return False
        for index in spare:
            if excess <= 0:
                break
            excess -= self._held.pop(index).nbytes
        return True


def _is_empty(folder: Path) -> bool:
    """Whether nothing can be found in a folder, or not even the folder."""
    try:
        return not any(folder.iterdir())
    except OSError:
        return True


def load_case(case: Case, plan: Plan, annotation: LabelDecoder | None, *,
              read: Callable[[Path], Scan] = read_scan) -> PreparedCase:
    """Reads and prepares one case, with its label where ``annotation`` is given; raises UserError.

    ``read``: how each image is read.
    """
    scan = read_case(case, read=read)
    image = _owned(prepare(scan, plan).array)
    background = tuple(float(channel.min()) for channel in image)
    if annotation is None:
        return PreparedCase(image, None, background)
    label = _owned(_prepared_label(case, scan.geometry, plan, annotation))
    return PreparedCase(
        image, label, background,
        points=foreground_points(label) if plan.dimensions == 3 else (),
        background_points=annotated_background(label) if plan.dimensions == 3 else None,
        fully_annotated=not (label == NOT_ANNOTATED).any(), missing=annotation.missing_classes(case))


def _prepared_label(case: Case, geometry: Geometry, plan: Plan, annotation: LabelDecoder) -> np.ndarray:
    """uint8 [K, J, I] on the prepared grid of the scan on ``geometry``; raises UserError where they do not fit."""
    return prepare_label(annotation.read(case, geometry), geometry, plan)


def _owned(array: np.ndarray) -> np.ndarray:
    """The array in C order with memory of its own, so that its bytes are all that is kept."""
    return array if array.base is None and array.flags.c_contiguous else np.array(array, order="C")
