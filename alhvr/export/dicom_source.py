"""The DICOM images that a segmentation was made from, ready to be referred to by objects that lie beside them.

highdicom and pydicom are imported where they are used: they take longer to load than a small scan to be segmented.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.dicom_file import file_of
from alhvr.data.dicom_stack import Stack
from alhvr.data.geometry import Geometry
from alhvr.data.reading import dicom_stack

if TYPE_CHECKING:
    from pydicom import Dataset

UNICODE = "ISO_IR 192"
"""Character set of the files: names of labels and of the patient in any script."""
AGAIN = "Export the series again from the system it comes from."
WITHOUT = "Use the segmentation without --dicom-seg, or export the images as one series."

_IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
"""Without these no other object can refer to an image."""
_MAY_BE_EMPTY = {
    "PatientID": ".*", "PatientName": ".*", "PatientBirthDate": r"(\d{8})?", "PatientSex": "[MFO]?", "StudyID": ".*",
    "StudyDate": r"(\d{8})?", "StudyTime": r"(\d{2,6}(\.\d{1,6})?)?", "AccessionNumber": ".*",
}
"""Tags that every object of a study repeats and that may be empty, with what they may hold."""


@dataclass(frozen=True)
class DicomSource:
    """The images of one series, whose headers are complete enough to be referred to."""

    name: str
    """Of the scan, for messages."""
    headers: list[Dataset] = field(repr=False)
    """One for each slice of the grid, from slice 0 upwards; or the header of the one file with all frames."""
    geometry: Geometry
    """The grid of the slices."""
    positions_lps_mm: np.ndarray
    """[K, 3] centre of the first voxel of each slice as its header tells; off the grid where gaps are unequal."""
    frames: tuple[int, ...] = ()
    """Of a file with many frames: the frame, from 0, of each slice of the grid. Empty for a file for each slice."""
    warnings: tuple[str, ...] = ()
    """What the headers lacked and what was put in its place, one sentence each."""

    @property
    def is_multi_frame(self) -> bool:
        """True where one file holds all slices."""
        return bool(self.frames)

    def by_frame(self, array: np.ndarray) -> np.ndarray:
        """``array`` [K, ...] on the grid in the order of the file's frames; frames that are no slice are zero."""
        if not self.is_multi_frame:
            return array
        found = np.zeros((int(self.headers[0].NumberOfFrames), *array.shape[1:]), array.dtype)
        found[list(self.frames)] = array
        return found

    def references(self) -> list[tuple[str, str, int | None]]:
        """SOP class and instance UID of the image of each slice, and its frame from 1 on where the file has many."""
        if self.is_multi_frame:
            head = self.headers[0]
            return [(head.SOPClassUID, head.SOPInstanceUID, frame + 1) for frame in self.frames]
        return [(head.SOPClassUID, head.SOPInstanceUID, None) for head in self.headers]

    def require_grid(self, name: str, geometry: Geometry) -> None:
        """Raises UserError with the difference where a segmentation lies on another grid."""
        difference = geometry.difference(self.geometry)
        if difference:
            message = f"{name}: the segmentation is not on the grid of the series {self.name}: {difference}."
            raise UserError(message, "Give the series that was segmented.")


def require_dicom(source: Path) -> Stack:
    """The ordered slices of a series folder, or of the series of a .dcm file; raises UserError for anything else."""
    stack = dicom_stack(source)
    if stack is None:
        message = f"{source.name} is no DICOM series; a DICOM segmentation refers to the DICOM images it was made from."
        raise UserError(message, "Segment the folder with the DICOM series, or leave out --dicom-seg.")
    return stack


def read_source(source: Path) -> DicomSource:
    """The headers of the series folder, or of the file, ``source``.

    Raises UserError when it is no DICOM series, its headers do not identify it, or they are damaged.
    """
    import pydicom

    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        return _of_stack(source)


@contextmanager
def in_words(name: str, what: str) -> Iterator[None]:
    """Makes whatever a damaged header leads to a UserError without its content, which may tell of the patient."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        message = f"{name}: no DICOM segmentation can be made from {what} ({type(error).__name__})."
        raise UserError(message, "Use the segmentation without --dicom-seg, or export the series again.") from error


def _of_stack(source: Path) -> DicomSource:
    """The source of a series: a file for each slice, or one file with many frames."""
    import pydicom

    stack, name, headers = require_dicom(source), source.name, []
    files = list(dict.fromkeys(file_of(path) for path in stack.files))
    if stack.shared_instance:
        raise UserError(f"{name}: {stack.shared_instance}; a DICOM segmentation refers to each image by it.", AGAIN)
    frames = tuple(frame for frame in stack.frames if frame is not None)
    if len(files) != (1 if frames else len(stack.files)):
        raise UserError(f"{name}: its slices are frames of {len(files)} files; a DICOM segmentation refers to one file "
                        "with many frames, or to files of one image each.", WITHOUT)
    for path in files:
        with in_words(name, f"the header of {shown(path.name)}"):
            headers.append(pydicom.dcmread(path, stop_before_pixels=True, force=True))
    with in_words(name, "the headers of its images"):
        told = _mend(name, headers, [shown(path.name) for path in files])
        _require_one(name, headers)
        _share_groups(headers, frames)
        _mend_distances(headers, stack.geometry)
        return DicomSource(name, headers, stack.geometry, _positions(headers, frames), frames, told)


def _positions(headers: Sequence[Dataset], frames: Sequence[int]) -> np.ndarray:
    """[K, 3] in LPS mm: the centre of the first voxel of each slice."""
    if not frames:
        return np.array([header.ImagePositionPatient for header in headers], dtype=float)
    (header,) = headers
    shared = header.SharedFunctionalGroupsSequence[0]
    groups = [header.PerFrameFunctionalGroupsSequence[frame] for frame in frames]
    places = [(group if "PlanePositionSequence" in group else shared).PlanePositionSequence[0] for group in groups]
    return np.array([place.ImagePositionPatient for place in places], dtype=float)


def _share_groups(headers: Sequence[Dataset], frames: Sequence[int]) -> None:
    """Tells orientation and distances of pixels, alike in the slices of one grid, once for all frames of a file.

    Some scanners tell them for each frame, and highdicom looks for them in one place.
    """
    for frame in frames[:1]:
        shared, own = (headers[0][sequence].value[index] for sequence, index in
                       (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", frame)))
        for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
            if keyword in own:
                shared[keyword] = own[keyword]


def _mend(name: str, headers: Sequence[Dataset], files: Sequence[str]) -> tuple[str, ...]:
    """Makes the headers complete; tells which tag of which file is empty or made up. Raises UserError."""
    missing: dict[str, list[str]] = {}
    for header, file in zip(headers, files, strict=True):
        for keyword in _mend_one(name, header, file):
            missing.setdefault(keyword, []).append(file)
    alike: dict[str, list[str]] = {}
    for keyword, found in missing.items():
        alike.setdefault(_files(found), []).append(keyword)
    told = [f"{name}: no valid {', '.join(keywords)} in {found}; left empty in the DICOM objects."
            for found, keywords in alike.items()]
    told += _mend_frame_of_reference(name, headers, files)
    for header in headers[:1]:
        header.decode()
        header.SpecificCharacterSet = UNICODE
    return tuple(told)


def _mend_one(name: str, header: Dataset, file: str) -> list[str]:
    """Empties odd values of tags that may be empty, and tells which; raises UserError where nothing can refer to it."""
    from pydicom.datadict import dictionary_VR
    from pydicom.dataelem import DataElement

    missing = [keyword for keyword in _IDENTITY if not header.get(keyword)]
    if missing:
        message = f"{name}: the DICOM image {file} has no {', '.join(missing)}, so nothing can refer to it."
        raise UserError(message, AGAIN)
    emptied = []
    for keyword, accepted in _MAY_BE_EMPTY.items():
        if keyword not in header or not re.fullmatch(accepted, _value(header, keyword)):
            emptied.append(keyword)
            header[keyword] = DataElement(keyword, dictionary_VR(keyword), "")
    return emptied


def _files(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _require_one(name: str, headers: Sequence[Dataset]) -> None:
    """Raises UserError where the images are not of one study and series, as those that one object refers to must be."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        count = len({str(header[keyword].value) for header in headers})
        if count > 1:
            raise UserError(f"{name}: the images have {count} different {keyword}s; one is needed to refer to.",
                            WITHOUT)


def _value(header: Dataset, keyword: str) -> str:
    """The value as text; one that cannot be read is as odd as can be."""
    try:
        return str(header.get(keyword) or "")
    except Exception:  # noqa: BLE001 - one byte in a header makes pydicom raise anything
        return "\n"


def _mend_frame_of_reference(name: str, headers: Sequence[Dataset], files: Sequence[str]) -> list[str]:
    """Gives all headers one frame of reference where one lacks it."""
    lacking = [file for header, file in zip(headers, files, strict=True) if not header.get("FrameOfReferenceUID")]
    if not lacking:
        return []
    from pydicom.uid import generate_uid

    made_up = generate_uid()
    for header in headers:
        header.FrameOfReferenceUID = made_up
    return [f"{name}: FrameOfReferenceUID is missing in {_files(lacking)}, so the images name no frame of reference; "
            "the DICOM objects have one of their own."]


def _mend_distances(headers: Sequence[Dataset], geometry: Geometry) -> None:
    """States the slice distance that the positions show, in mm: the object repeats it, and headers are often wrong."""
    direction = np.reshape(geometry.direction, (3, 3))
    gap_mm = abs(float(geometry.affine_lps[:3, 2] @ np.cross(direction[:, 0], direction[:, 1])))
    for header in headers:
        for measures in _all_measures(header):
            measures.SpacingBetweenSlices = float(f"{gap_mm:.9g}")
            if not measures.get("SliceThickness"):
                measures.SliceThickness = measures.SpacingBetweenSlices


def _all_measures(header: Dataset) -> list[Dataset]:
    """Where a header holds distances: itself, or the functional groups of a file with many frames."""
    if "SharedFunctionalGroupsSequence" not in header:
        return [header]
    groups = [*header.SharedFunctionalGroupsSequence, *header.get("PerFrameFunctionalGroupsSequence", ())]
    return [group.PixelMeasuresSequence[0] for group in groups if "PixelMeasuresSequence" in group]
