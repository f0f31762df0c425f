"""All DICOM objects of one scan that were asked for; what cannot be made costs no other file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alhvr.core.errors import UserError
from alhvr.export.dicom_report import ENDING as REPORT_ENDING
from alhvr.export.dicom_report import write_report
from alhvr.export.dicom_rtstruct import ENDING as RTSTRUCT_ENDING
from alhvr.export.dicom_rtstruct import write_rtstruct
from alhvr.export.dicom_seg import ENDING, REGIONS_ENDING, DicomOptions, SegContent, write_dicom_seg, write_regions_seg
from alhvr.export.dicom_source import DicomSource, read_source

ENDINGS = (ENDING, RTSTRUCT_ENDING, REPORT_ENDING)
"""By which a DICOM object among results is known; that of the regions ends as a segmentation does."""


@dataclass(frozen=True)
class DicomObjects:
    """What was written of one scan."""

    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    """What was left out or made up, one sentence each."""
    fault: str = ""
    """Why an object that was asked for is not among the files."""


def write_dicom_objects(stem: Path, content: SegContent, source: Path, options: DicomOptions,
                        region: np.ndarray | None = None) -> DicomObjects:
    """Writes ``stem`` with the ending of each object. ``region``: uint8 [K, J, I] of 1 to 3, for their segmentation.

    Whatever is wrong with the headers, the memory or the disk becomes ``fault``: nothing is raised for it.
    """
    work = _Work(stem, content, source, options, region)
    steps = [work.read, work.write_seg, *([work.write_report] if options.report else ()),
             *([work.write_contours] if options.rtstruct else ()), *([work.write_regions] if options.regions else ())]
    fault = ""
    for step in steps:
        problem = _attempt(step, stem.name)
        fault = fault or problem
        if work.images is None:
            break
    return DicomObjects(tuple(work.files), work.warnings, fault)


class _Work:
    """The steps for one scan, each of which may fail for itself."""

    def __init__(self, stem: Path, content: SegContent, source: Path, options: DicomOptions,
                 region: np.ndarray | None) -> None:
        self._stem, self._content, self._source, self._options, self._region = stem, content, source, options, region
        self.images: DicomSource | None = None
        self._seg = None
        self.files: list[Path] = []
        self.warnings: tuple[str, ...] = ()

    def read(self) -> None:
        """The headers that all objects refer to."""
        self.images = read_source(self._source)

    def write_seg(self) -> None:
        """The segmentation."""
        seg = write_dicom_seg(self._place(ENDING), self._content, self.images, self._options)
        self._seg, self.warnings = seg.dataset, seg.warnings
        self._add(seg.path)

    def write_report(self) -> None:
        """The volumes, where there is a segmentation to refer to."""
        if self._seg is not None:
            self._add(write_report(self._place(REPORT_ENDING), self._content.segmentation, self._seg, self.images,
                                   self._options))

    def write_contours(self) -> None:
        """The contours."""
        self._add(write_rtstruct(self._place(RTSTRUCT_ENDING), self._content.segmentation, self.images, self._options))

    def write_regions(self) -> None:
        """The high-value regions."""
        if self._region is None:
            raise UserError(f"{self._content.segmentation.name}: there are no regions.",
                            "Segment the scan with --regions.")
        self._add(write_regions_seg(self._place(REGIONS_ENDING), self._region, self.images, self._content,
                                    self._options).path)

    def _add(self, path: Path | None) -> None:
        self.files += [] if path is None else [path]

    def _place(self, ending: str) -> Path:
        return self._stem.with_name(self._stem.name + ending)


def _attempt(step: Callable[[], None], name: str) -> str:
    """Why a step could not be done, or ""."""
    try:
        step()
    except UserError as error:
        return str(error)
    except MemoryError:
        return "The memory is used up. Close other programs, and run the command again."
    except OSError as error:
        return f"{error.filename or name}: {error.strerror or error}."
    return ""
