"""RT Structure Set: the segments of a scan as contours, for planning systems and viewers that read no segmentations.

Each contour runs along the edges of the voxels of one image (contours.py), so that filling it gives the same voxels
again. What that costs: contours have steps, and the file has a few numbers for each voxel on the rim. Holes are
reached by a keyhole, as the standard has it for closed planar contours; some programs fill holes that are separate
contours, and few know the type with XOR.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alhvr.data.scan import Segmentation
from alhvr.export.contours import outlines
from alhvr.export.dicom_seg import DicomOptions, concept, dicom_text, equipment, found_labels, save
from alhvr.export.dicom_source import DicomSource, in_words
from alhvr.formats.labels import Label

if TYPE_CHECKING:
    from pydicom import Dataset

ENDING = ".rtstruct.dcm"
LABEL = "ALHVR"
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, retired, which is what the standard still asks for here."""
_DECIMALS = 4
"""Of mm."""


def write_rtstruct(path: Path, segmentation: Segmentation, source: DicomSource, options: DicomOptions) -> Path | None:
    """Writes the contours of the labels that have a voxel; None where there is none. Raises UserError."""
    import pydicom

    source.require_grid(segmentation.name, segmentation.geometry)
    found = found_labels(segmentation)
    if not found:
        return None
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        with in_words(source.name, "the headers of its images"):
            dataset = _structure_set(segmentation, source, options, found)
        save(path, dataset, source.name)
    return path


def _structure_set(segmentation: Segmentation, source: DicomSource, options: DicomOptions,
                   found: Sequence[Label]) -> Dataset:
    """The whole object."""
    import highdicom
    from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

    head, now = source.headers[0], datetime.datetime.now()
    dataset = highdicom.base.SOPClass(
        study_instance_uid=head.StudyInstanceUID, series_instance_uid=generate_uid(),
        series_number=options.series_number + 2, sop_instance_uid=generate_uid(), instance_number=1,
        sop_class_uid=RTStructureSetStorage, modality="RTSTRUCT",
        transfer_syntax_uid=ImplicitVRLittleEndian,  # explicit ones hold no contour of more than 64 kB
        series_description=dicom_text(f"{options.series_description[:50]} contours"), **equipment())
    dataset.copy_patient_and_study_information(head)
    dataset.OperatorsName = ""
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = head.FrameOfReferenceUID, ""
    dataset.StructureSetLabel, dataset.StructureSetName = LABEL, dicom_text(options.series_description)
    dataset.StructureSetDescription = "Automatic segmentation for research, not for diagnosis"
    dataset.StructureSetDate, dataset.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.ReferencedFrameOfReferenceSequence = [_frame_of_reference(source)]
    numbered = list(enumerate(found, start=1))
    dataset.StructureSetROISequence = [_roi(number, label, head.FrameOfReferenceUID) for number, label in numbered]
    dataset.ROIContourSequence = [_contours(number, label, segmentation, source) for number, label in numbered]
    dataset.RTROIObservationsSequence = [_observation(number, label) for number, label in numbered]
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def _frame_of_reference(source: DicomSource) -> Dataset:
    """The study, the series and all images that the contours lie on."""
    head = source.headers[0]
    images = list(dict.fromkeys((kind, uid) for kind, uid, _ in source.references()))
    series = _item(SeriesInstanceUID=head.SeriesInstanceUID,
                   ContourImageSequence=[_reference(kind, uid) for kind, uid in images])
    study = _item(ReferencedSOPClassUID=_STUDY_CLASS, ReferencedSOPInstanceUID=head.StudyInstanceUID,
                  RTReferencedSeriesSequence=[series])
    return _item(FrameOfReferenceUID=head.FrameOfReferenceUID, RTReferencedStudySequence=[study])


def _roi(number: int, label: Label, frame_of_reference: str) -> Dataset:
    return _item(ROINumber=number, ReferencedFrameOfReferenceUID=frame_of_reference, ROIName=dicom_text(label.name),
                 ROIGenerationAlgorithm="AUTOMATIC")


def _contours(number: int, label: Label, segmentation: Segmentation, source: DicomSource) -> Dataset:
    """All contours of a label, slice by slice."""
    references = source.references()
    contours = []
    for k, points in _polygons(label, segmentation, source):
        kind, uid, frame = references[k]
        contours.append(_item(
            ContourImageSequence=[_reference(kind, uid, frame)], ContourGeometricType="CLOSED_PLANAR",
            NumberOfContourPoints=len(points), ContourNumber=len(contours) + 1,
            ContourData=[f"{value:.{_DECIMALS}f}" for value in (points.ravel() + 0.0).tolist()]))
    return _item(ROIDisplayColor=[round(255 * channel) for channel in label.colour_rgb], ContourSequence=contours,
                 ReferencedROINumber=number)


def _polygons(label: Label, segmentation: Segmentation, source: DicomSource) -> Iterator[tuple[int, np.ndarray]]:
    """Slice and points [N, 3] in LPS mm of each polygon, in the plane of its image."""
    along_row, along_column = segmentation.geometry.affine_lps[:3, :2].T
    for k, plane in enumerate(segmentation.array):
        for corners in outlines(plane == label.value):
            rows, columns = corners.T[:, :, None] - 0.5
            yield k, source.positions_lps_mm[k] + columns * along_row + rows * along_column


def _observation(number: int, label: Label) -> Dataset:
    """What the region of interest is, in coded terms."""
    return _item(ObservationNumber=number, ReferencedROINumber=number, ROIObservationLabel=dicom_text(label.name)[:16],
                 RTROIIdentificationCodeSequence=[concept(label.type)], RTROIInterpretedType="", ROIInterpreter="")


def _reference(kind: str, uid: str, frame: int | None = None) -> Dataset:
    found = _item(ReferencedSOPClassUID=kind, ReferencedSOPInstanceUID=uid)
    if frame is not None:
        found.ReferencedFrameNumber = frame
    return found


def _item(**elements: object) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item
