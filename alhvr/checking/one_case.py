"""One case: its channels and its label are read, looked at and let go again; what cannot be read is a fact too."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alhvr.checking.dicom_tags import read_tags
from alhvr.checking.facts import CaseFacts, ImageFacts, Problem
from alhvr.checking.measure import label_facts
from alhvr.checking.picture import best_slice, histogram, outline, thumbnail
from alhvr.core.errors import UserError
from alhvr.data.annotation import read_values
from alhvr.data.cases import Case
from alhvr.data.fingerprint import fingerprint
from alhvr.data.reading import LabelVolume, content_hash, read_scan
from alhvr.data.scan import Scan

BROKEN = (OSError, RuntimeError, ValueError, EOFError, MemoryError, LookupError, TypeError, AttributeError,
          ArithmeticError, struct.error, zlib.error)
"""What the libraries that read files raise where one is damaged in a way that nobody foresaw."""


@dataclass(frozen=True)
class Terms:
    """What is asked of every case."""

    not_annotated: int
    """Label value of voxels that nobody annotated."""
    key: bytes
    """Makes digests of patient IDs that nobody can guess back; the same for all cases that are compared."""


def examine_case(part: str, case: Case, terms: Terms) -> CaseFacts:
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
        facts = _with_channel(facts, scan, label, terms)
    if label is not None and facts.label is None:
        facts = replace(facts, label=label_facts(label, None, terms.not_annotated))
    return facts


def _with_channel(facts: CaseFacts, scan: Scan, label: LabelVolume | None, terms: Terms) -> CaseFacts:
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
