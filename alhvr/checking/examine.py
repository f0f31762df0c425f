"""Examines cases in several processes, each within its memory; what was seen before comes from the cache."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from alhvr.checking import facts as kept_facts
from alhvr.checking.cache import Cache, content, open_cache, sources_of, stamp, total_bytes
from alhvr.checking.context import RunContext
from alhvr.checking.facts import CaseFacts, ImageFacts, Problem
from alhvr.checking.measure import best_slice, histogram, label_facts, outline, read_tags, thumbnail
from alhvr.checking.workers import MemoryBudget, Task, work_through
from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.core.progress import Countdown
from alhvr.core.system import available_bytes, free_cores
from alhvr.data.case_io import read_values, uncropped
from alhvr.data.cases import Case
from alhvr.data.fingerprint import fingerprint
from alhvr.data.reading import LabelVolume, content_hash, is_dicom_slice, is_read_here, probe, read_scan
from alhvr.data.reading_process import time_limit_s
from alhvr.data.scan import Scan

STAGE = "examining"
FREE_SHARE = 0.5
"""Of the free memory, what examining may take."""
_WORKER_BYTES = 150 * 2**20
"""What a worker takes with its libraries before it reads anything, and a little more."""
_STARTING_S = 2.0
"""A worker is worth its start where it saves this many seconds."""
_CASE_S, _BYTES_PER_S = 0.015, 20e6
"""What examining takes for a case, and for its bytes on the disk, on a slow computer."""
_SCAN_COPIES = 3
"""How many times a scan is in memory while it is read."""
_LABEL_BYTES = {1: 6, 2: 9, 4: 33}
"""What reading a label takes for each voxel, by the bytes of a voxel that its header announces."""
_SHAPE_BYTES = 20
"""What looking at the shape of a structure takes for each voxel, where it fills the scan."""
_PER_FILE_BYTE = 8
"""Memory for each byte on the disk, for series: the headers of all slices would have to be read to know better."""

Item = tuple[str, Case]
"""A part and one of its cases."""

BROKEN = (OSError, RuntimeError, ValueError, EOFError, MemoryError, LookupError, TypeError, AttributeError,
          ArithmeticError, struct.error, zlib.error)
"""What the libraries that read files raise where one is damaged in a way that nobody foresaw."""


@dataclass(frozen=True)
class Examiner:
    """Examines one case, in any process, and keeps what it found out."""

    terms: ExamineOptions
    cache: Cache

    def __call__(self, item: Item) -> CaseFacts:
        """The facts; those of a case with the same bytes where it is known, whatever its files are called."""
        part, case = item
        sources = sources_of(case)
        inside = None if sources is None or self.cache.folder is None else content(sources)
        if inside is None:
            return self._examine(item)
        name = self._name("facts", (inside, astuple(case.meaning)))
        text = self.cache.get(name)
        facts = None if text is None else kept_facts.from_text(text, part, case)
        if facts is None:
            facts = self._examine(item)
            text = kept_facts.to_text(facts)
            if text is None:
                return facts
            self.cache.put(name, text)
        seen = stamp(sources)
        if seen is not None:
            self.cache.put(self._name("place", (seen, astuple(case.meaning))), name)
        return facts

    def recall(self, item: Item) -> CaseFacts | None:
        """The facts of a case whose files are those of a check before by place, size and time; None otherwise."""
        sources = None if self.cache.folder is None else sources_of(item[1])
        seen = None if sources is None else stamp(sources)
        name = None if seen is None else self.cache.get(self._name("place", (seen, astuple(item[1].meaning))))
        text = None if name is None else self.cache.get(name)
        return None if text is None else kept_facts.from_text(text, *item)

    def _examine(self, item: Item) -> CaseFacts:
        """Reads the case, unless it is too large for this computer."""
        part, case = item
        needed, free = memory_of(item), available_bytes()
        if free is not None and needed > free:
            reason = Problem(f"Reading {case.image.name} takes about {needed / 1e9:.1f} GB of memory; "
                             f"{free / 1e9:.1f} GB are free.", "Close other programs, or crop the scan.")
            return CaseFacts(part, case, image_problem=reason)
        return examine_case(part, case, self.terms)

    def _name(self, kind: str, about: tuple) -> str:
        return self.cache.name(kind, kept_facts.VERSION, self.terms.not_annotated, about)


def examine(cases: Sequence[Item], *, not_annotated: int, context: RunContext) -> list[CaseFacts]:
    """The facts of ``cases``, each with its part, in their order; raises Cancelled when the watch wants it.

    Several processes share the work within half of the free memory. What is known from a check before is not read
    again (``CaseFacts.known``). A file that cannot be read becomes a problem among the facts.
    """
    cache = open_cache()
    examiner = Examiner(ExamineOptions(not_annotated, cache.key), cache)
    found: dict[int, CaseFacts] = {}
    for index, item in enumerate(cases):
        facts = examiner.recall(item)
        if facts is not None:
            found[index] = facts
            context.step(STAGE, len(found), len(cases))
        else:
            context.raise_if_cancelled()
    _examine_rest(cases, examiner, found, context)
    return [found[index] for index in range(len(cases))]


def _examine_rest(cases: Sequence[Item], examiner: Examiner, found: dict[int, CaseFacts], context: RunContext) -> None:
    """Adds the facts of all cases that are not in ``found`` yet."""
    rest = [index for index in range(len(cases)) if index not in found]
    items = [cases[index] for index in rest]
    work = Task(examiner, memory_of, _lost, _limit_s)
    countdown = Countdown(len(cases), done=len(found))
    for place, facts in work_through(items, work, _room(items), context):
        found[rest[place]] = facts
        context.step(STAGE, len(found), len(cases), countdown.seconds_left(len(found)))
    if items:
        examiner.cache.shrink()


def _room(items: Sequence[Item]) -> MemoryBudget:
    """As many workers as there are free cores, as half of the free memory allows, and as are worth their start.

    What compiled code of others decodes is read in a worker, whatever its start costs: a damaged file may crash it.
    """
    seconds = sum(_seconds(item) for item in items)
    free = available_bytes()
    budget = None if free is None else int(FREE_SHARE * free)
    workers = min(len(items), int(seconds / _STARTING_S))
    if budget is not None:
        workers = min(workers, budget // (2 * _WORKER_BYTES))
    workers = min(workers, free_cores()) if workers > 1 else 0
    if not workers and not all(is_read_here(path) for _, case in items for path in case.images):
        workers = 1
    return MemoryBudget(workers, None if budget is None else max(0, budget - workers * _WORKER_BYTES))


def _seconds(item: Item) -> float:
    try:
        sources = sources_of(item[1])
        return _CASE_S + (0.0 if sources is None else total_bytes(sources) / _BYTES_PER_S)
    except OSError:
        return _CASE_S


def _limit_s(item: Item) -> float:
    try:
        sources = sources_of(item[1])
        return time_limit_s(0 if sources is None else total_bytes(sources))
    except OSError:
        return time_limit_s(0)


def memory_of(item: Item) -> int:
    """Bytes that examining a case takes at its peak, from its headers; 0 where they cannot be read."""
    _, case = item
    try:
        scans = [_scan_bytes(case, path) for path in case.images]
        label = 0
        if case.label is not None:
            header = probe(case.label)
            voxels = header.size_ijk[0] * header.size_ijk[1] * header.size_ijk[2]
            label = voxels * max(_LABEL_BYTES[header.voxel_bytes], _SHAPE_BYTES)
        return max(scans) + label
    except (UserError, *BROKEN):
        return 0


def _scan_bytes(case: Case, path: Path) -> int:
    """What reading one channel takes."""
    if path.is_dir() or is_dicom_slice(path):
        return _PER_FILE_BYTE * total_bytes(sources_of(case))
    header = probe(path)
    return _SCAN_COPIES * header.voxel_bytes * header.size_ijk[0] * header.size_ijk[1] * header.size_ijk[2]


def _lost(item: Item, why: str) -> CaseFacts:
    """For a case whose reading ended the worker each time, or took too long."""
    part, case = item
    reason = Problem(f"{shown(case.image.name)} could not be examined: {why}.",
                     "Close other programs, or look at the file, and check again.")
    return CaseFacts(part, case, image_problem=reason)


@dataclass(frozen=True)
class ExamineOptions:
    """What is asked of every case."""

    not_annotated: int
    """Label value of voxels that are not annotated."""
    key: bytes
    """Makes digests of patient IDs that nobody can guess back; the same for all cases that are compared."""


def examine_case(part: str, case: Case, terms: ExamineOptions) -> CaseFacts:
    """Everything about one case; a file that cannot be read becomes a problem, never an error."""
    facts = CaseFacts(part, case)
    label: LabelVolume | Problem | None = None
    if case.label is not None:
        label = _or_problem(case.label, lambda _: read_values(case, terms.not_annotated))
    if isinstance(label, Problem):
        facts, label = replace(facts, label_problem=label), None
    for path in case.images:
        scan = _or_problem(path, read_scan)
        if isinstance(scan, Problem):
            facts = replace(facts, image_problem=scan)
            break
        if label is not None and not facts.images:
            label = uncropped(case.label, label, lambda geometry=scan.geometry: geometry)
        facts = _with_channel(facts, scan, label, terms)
    if label is not None and facts.label is None:
        facts = replace(facts, label=label_facts(label, None, terms.not_annotated))
    return facts


def _with_channel(facts: CaseFacts, scan: Scan, label: LabelVolume | None, terms: ExamineOptions) -> CaseFacts:
    """``facts`` with one more channel; the first one shows the label, whose voxels are measured where grids agree."""
    on_grid = None if label is None or scan.geometry.difference(label.geometry) else label.array
    marked = None if on_grid is None else (on_grid != 0) & (on_grid != terms.not_annotated)
    index = best_slice(marked, scan.geometry)
    if label is not None and not facts.images:
        shown = None if on_grid is None else outline(on_grid, scan.geometry, index)
        facts = replace(facts, label=replace(label_facts(label, scan.geometry, terms.not_annotated), outline=shown))
    return replace(facts, images=(*facts.images, _image_facts(scan, marked, index, terms.key)))


def _or_problem(path: Path, read: object) -> object:
    """What ``read`` makes of ``path``, or why it cannot."""
    try:
        return read(path)
    except UserError as error:
        return Problem(error.message, error.hint)
    except MemoryError:
        return Problem(f"{path.name} does not fit into the memory.", "Close other programs, or crop it.")
    except BROKEN as error:
        reason = str(error).replace(str(path), path.name).splitlines()
        return Problem(f"{path.name} cannot be read ({reason[0] if reason else type(error).__name__}).",
                       "Copy or export it again.")


def _image_facts(scan: Scan, marked: np.ndarray | None, index: int, key: bytes) -> ImageFacts:
    """``marked``: bool [K, J, I] of the labelled voxels; ``index``: the slice to show."""
    measured = fingerprint(scan, marked)
    tags = read_tags(scan.source, key)
    return ImageFacts(
        content=content_hash(scan),
        print=measured,
        lowest=float(scan.array.min()),
        highest=float(scan.array.max()),
        n_not_finite=scan.n_not_finite,
        histogram=histogram(scan.array, measured.intensity),
        thumbnail=thumbnail(scan.array, scan.geometry, index, measured.intensity),
        patient=tags.patient,
        field_strength_t=tags.field_strength_t,
        warnings=scan.warnings,
    )
