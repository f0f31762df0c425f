"""Structured report (TID 1500): the volume of each segment in ml, referring to the DICOM segmentation."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import alhvr
from alhvr.data.scan import Segmentation
from alhvr.export.dicom_seg import DicomOptions, concept, dicom_text, equipment, found_labels, save
from alhvr.export.dicom_source import DicomSource, in_words
from alhvr.formats.labels import Code, Label, anatomic_region
from alhvr.formats.terminology import ALGORITHM

if TYPE_CHECKING:
    from highdicom.sr import VolumetricROIMeasurementsAndQualitativeEvaluations as RoiMeasurements
    from pydicom import Dataset

ENDING = ".sr.dcm"
IMAGING = Code("SCT", "363679005", "Imaging procedure")
MILLILITRE = Code("UCUM", "ml", "milliliter")


def write_report(path: Path, segmentation: Segmentation, seg: Dataset, source: DicomSource,
                 options: DicomOptions) -> Path:
    """Writes the volumes of the segments of ``seg``, the DICOM segmentation of ``segmentation``; raises UserError."""
    import pydicom

    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        with in_words(source.name, "the headers of its images"):
            dataset = _report(segmentation, seg, source, options)
        save(path, dataset, source.name)
    return path


def _report(segmentation: Segmentation, seg: Dataset, source: DicomSource, options: DicomOptions) -> Dataset:
    """The whole object."""
    from highdicom import sr
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=generate_uid(entropy_srcs=[ALGORITHM, alhvr.__version__]), name=ALGORITHM,
            manufacturer_name=ALGORITHM, model_name=ALGORITHM, serial_number=equipment()["device_serial_number"]))
    measured = [_measured(number, label, segmentation, seg)
                for number, label in enumerate(found_labels(segmentation), start=1)]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=concept(IMAGING),
        imaging_measurements=measured, title=codes.DCM.ImagingMeasurementReport)
    return sr.Comprehensive3DSR(
        evidence=[*source.headers, seg], content=report[0], series_number=options.series_number + 3,
        series_instance_uid=generate_uid(), sop_instance_uid=generate_uid(), instance_number=1,
        manufacturer=ALGORITHM, institution_name=None, is_complete=True, is_final=False, is_verified=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=dicom_text(f"{options.series_description[:50]} volumes"))


def _measured(number: int, label: Label, segmentation: Segmentation, seg: Dataset) -> RoiMeasurements:
    """The volume of one segment and what it is."""
    from highdicom import sr
    from pydicom.sr.codedict import codes

    segment = next(item for item in seg.SegmentSequence if item.SegmentNumber == number)
    n_voxels = sum(int((plane == label.value).sum()) for plane in segmentation.array)
    volume = sr.Measurement(name=codes.SCT.Volume, value=round(n_voxels * segmentation.geometry.voxel_volume_ml, 6),
                            unit=concept(MILLILITRE),
                            algorithm_id=sr.AlgorithmIdentification(ALGORITHM, alhvr.__version__))
    region = anatomic_region(label)
    side = None if label.modifier is None else concept(label.modifier)
    sites = None if region is None else [sr.FindingSite(anatomic_location=concept(region), laterality=side)]
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID),
        referenced_segment=sr.ReferencedSegment(
            seg.SOPClassUID, seg.SOPInstanceUID, segment_number=number,
            source_series=sr.SourceSeriesForSegmentation(seg.ReferencedSeriesSequence[0].SeriesInstanceUID)),
        finding_category=concept(label.category), finding_type=concept(label.type), finding_sites=sites,
        algorithm_id=None, measurements=[volume])
