"""DICOM Segmentation: labels of a DICOM series as an object that other systems read beside the series.

highdicom and pydicom are imported where they are used: they take longer to load than a small scan to be segmented.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import alhvr
from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.dicom_stack import Stack
from alhvr.data.geometry import Geometry
from alhvr.data.reading import dicom_stack
from alhvr.data.scan import Segmentation
from alhvr.export.volumes import new_file
from alhvr.formats.labels import Code, Label
from alhvr.formats.terminology import ALGORITHM

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom import Dataset

ENDING = ".seg.dcm"
SERIES_NUMBER = 300
SERIES_DESCRIPTION = "ALHVR segmentation"
CONTENT_DESCRIPTION = "Automatic segmentation for research, not for diagnosis"
CONTENT_CREATOR = "ALHVR^Automatic"
SERIAL_NUMBER = "none"
"""Software has none, but the standard asks for one."""
UNICODE = "ISO_IR 192"
"""Character set of the file: names of labels and of the patient in any script."""
TEXT_LENGTH = 64
"""Longest text of DICOM's kind LO, in characters."""

_IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
"""Without these no other object can refer to an image."""
_MAY_BE_EMPTY = {
    "PatientID": ".*", "PatientName": ".*", "PatientBirthDate": r"(\d{8})?", "PatientSex": "[MFO]?", "StudyID": ".*",
    "StudyDate": r"(\d{8})?", "StudyTime": r"(\d{2,6}(\.\d{1,6})?)?", "AccessionNumber": ".*",
}
"""Tags that every object of a study repeats and that may be empty, with what they may hold."""


@dataclass(frozen=True)
class DicomSegFile:
    """What became of a segmentation."""

    path: Path | None
    """The file; None when no label has a voxel, which DICOM cannot hold."""
    warnings: tuple[str, ...]
    """What was left out or made up, one sentence each."""


def require_dicom(source: Path) -> Stack:
    """The ordered slices of a series folder, or of the series of a .dcm file; raises UserError for anything else."""
    stack = dicom_stack(source)
    if stack is None:
        message = f"{source.name} is no DICOM series; a DICOM segmentation refers to the DICOM images it was made from."
        raise UserError(message, "Segment the folder with the DICOM series, or leave out --dicom-seg.")
    return stack


def write_dicom_seg(path: Path, segmentation: Segmentation, source: Path) -> DicomSegFile:
    """Writes the labels that have a voxel as binary segments that refer to the images of the series ``source``.

    Each frame takes place and orientation from the header of its own image, so it lies exactly there, whatever the
    order of the files and also where slice gaps are unequal. Patient and study are those of the series. Raises
    UserError when ``source`` is no DICOM series, its grid is another one, or its headers do not identify it; where
    the file cannot be written; and for whatever else is wrong with the headers.
    """
    stack = require_dicom(source)
    if stack.shared_instance:
        raise UserError(f"{source.name}: {stack.shared_instance}; a DICOM segmentation refers to each image by it.",
                        "Export the series again from the system it comes from.")
    difference = segmentation.geometry.difference(stack.geometry)
    if difference:
        message = f"{segmentation.name}: the segmentation is not on the grid of the series {source.name}: {difference}."
        raise UserError(message, "Give the series that was segmented.")
    found = [label for label in segmentation.labels.labels if np.any(segmentation.array == label.value)]
    oddities = tuple(f'{segmentation.name}: no voxel is "{label.name}"; the DICOM segmentation leaves it out.'
                     for label in segmentation.labels.labels if label not in found)
    if not found:
        return DicomSegFile(None, (f"{segmentation.name}: nothing was found, so there is no DICOM segmentation.",))
    import pydicom

    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        headers, made_up = _headers(source.name, stack)
        dataset = _dataset(source.name, headers, segmentation, found)
        dataset.SpecificCharacterSet = UNICODE
        with _in_words(source.name, "the headers of its images"), new_file(path) as file:
            dataset.save_as(file, enforce_file_format=True)
    return DicomSegFile(path, oddities + made_up)


def _headers(name: str, stack: Stack) -> tuple[list[Dataset], tuple[str, ...]]:
    """Headers of the stack's images in its order, fixed where the standard allows it, and what was made up."""
    import pydicom

    headers = []
    for path in stack.files:
        with _in_words(name, f"the header of {shown(path.name)}"):
            headers.append(pydicom.dcmread(path, stop_before_pixels=True, force=True))
    with _in_words(name, "the headers of its images"):
        for header in headers:
            _mend(name, header)
        _require_one(name, headers)
        _mend_distances(headers, stack.geometry)
        headers[0].decode()
        headers[0].SpecificCharacterSet = UNICODE
        return headers, _mend_frame_of_reference(name, headers)


def _mend(name: str, header: Dataset) -> None:
    """Empties odd values of tags that may be empty; raises UserError where nothing can refer to the image."""
    from pydicom.datadict import dictionary_VR
    from pydicom.dataelem import DataElement

    missing = [keyword for keyword in _IDENTITY if not header.get(keyword)]
    if missing:
        message = f"{name}: the DICOM images have no {', '.join(missing)}, so nothing can refer to them."
        raise UserError(message, "Export the series again from the system it comes from.")
    for keyword, accepted in _MAY_BE_EMPTY.items():
        if not re.fullmatch(accepted, _value(header, keyword)):
            header[keyword] = DataElement(keyword, dictionary_VR(keyword), "")
        header.setdefault(keyword, "")


def _require_one(name: str, headers: Sequence[Dataset]) -> None:
    """Raises UserError where the images are not of one study and series, as those that one object refers to must be."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        count = len({str(header[keyword].value) for header in headers})
        if count > 1:
            raise UserError(f"{name}: the images have {count} different {keyword}s; one is needed to refer to.",
                            "Use the segmentation without --dicom-seg, or export the images as one series.")


def _value(header: Dataset, keyword: str) -> str:
    """The value as text; one that cannot be read is as odd as can be."""
    try:
        return str(header.get(keyword) or "")
    except Exception:  # noqa: BLE001 - one byte in a header makes pydicom raise anything
        return "\n"


@contextmanager
def _in_words(name: str, what: str) -> Iterator[None]:
    """Makes whatever a damaged header leads to a UserError without its content, which may tell of the patient."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        message = f"{name}: no DICOM segmentation can be made from {what} ({type(error).__name__})."
        raise UserError(message, "Use the segmentation without --dicom-seg, or export the series again.") from error


def _mend_frame_of_reference(name: str, headers: Sequence[Dataset]) -> tuple[str, ...]:
    """Gives all headers one frame of reference where one lacks it."""
    if all(header.get("FrameOfReferenceUID") for header in headers):
        return ()
    from pydicom.uid import generate_uid

    made_up = generate_uid()
    for header in headers:
        header.FrameOfReferenceUID = made_up
    return (f"{name}: the DICOM images name no frame of reference; the DICOM segmentation has one of its own.",)


def _dataset(name: str, headers: list[Dataset], segmentation: Segmentation, found: Sequence[Label]) -> Dataset:
    """The whole object; ``headers`` are in the order of the slices of the segmentation."""
    import highdicom
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    numbers = np.zeros(int(segmentation.array.max()) + 1, dtype=np.uint8)
    numbers[[label.value for label in found]] = range(1, len(found) + 1)
    with _in_words(name, "the headers of its images"):
        return highdicom.seg.Segmentation(
            source_images=headers,
            pixel_array=numbers[segmentation.array],
            segmentation_type="BINARY",
            segment_descriptions=[_segment(number, label) for number, label in enumerate(found, start=1)],
            series_instance_uid=generate_uid(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer=ALGORITHM,
            manufacturer_model_name=ALGORITHM,
            software_versions=alhvr.__version__,
            device_serial_number=SERIAL_NUMBER,
            content_label="SEGMENTATION",
            content_description=CONTENT_DESCRIPTION,
            content_creator_name=CONTENT_CREATOR,
            series_description=SERIES_DESCRIPTION,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )


def _mend_distances(headers: Sequence[Dataset], geometry: Geometry) -> None:
    """States the slice distance that the positions show, in mm: the object repeats it, and headers are often wrong."""
    row, column = np.reshape(headers[0].ImageOrientationPatient, (2, 3)).astype(float)
    gap_mm = abs(float(geometry.affine_lps[:3, 2] @ np.cross(row, column)))
    for header in headers:
        header.SpacingBetweenSlices = f"{gap_mm:.9g}"
        if not header.get("SliceThickness"):
            header.SliceThickness = header.SpacingBetweenSlices


def _segment(number: int, label: Label) -> SegmentDescription:
    """Name, coded terms, colour and algorithm of segment ``number``."""
    import highdicom
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        ALGORITHM, family=codes.DCM.ArtificialIntelligence, version=alhvr.__version__)
    segment = SegmentDescription(
        segment_number=number,
        segment_label=_text(label.name),
        segmented_property_category=_concept(label.category),
        segmented_property_type=_concept(label.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        display_color=CIELabColor.from_rgb(*(round(255 * channel) for channel in label.colour_rgb)),
    )
    if label.modifier is not None:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(label.modifier)]
    return segment


def _concept(code: Code) -> CodedConcept:
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, _text(code.meaning))


def _text(text: str) -> str:
    """``text`` as DICOM's kind LO takes it; a backslash would split it in two."""
    return " ".join(text.replace("\\", " ").split())[:TEXT_LENGTH].strip()
