"""DICOM Segmentation: labels of a DICOM series as an object that other systems read beside the series.

highdicom and pydicom are imported where they are used: they take longer to load than a small scan to be segmented.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import alhvr
from alhvr.core.errors import UserError, require
from alhvr.data.scan import Segmentation
from alhvr.export.dicom_source import UNICODE, DicomSource, in_words, read_source, require_dicom
from alhvr.export.volumes import new_file
from alhvr.formats.labels import Code, Label, LabelSet, anatomic_region
from alhvr.formats.region_tables import REGION_NAMES
from alhvr.formats.terminology import ALGORITHM

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom import Dataset

__all__ = ["ENDING", "DicomOptions", "DicomSegFile", "require_dicom", "write_dicom_seg"]

ENDING = ".seg.dcm"
REGIONS_ENDING = ".regions.seg.dcm"
BINARY, FRACTIONAL, LABELMAP = KINDS = ("binary", "fractional", "labelmap")
CONTENT_DESCRIPTION = "Automatic segmentation for research, not for diagnosis"
SERIAL_NUMBER = "none"
"""Software has none, but the standard asks for one."""
TEXT_LENGTH = 64
"""Longest text of DICOM's kinds LO and PN, in characters."""
PARAMETERS_LENGTH = 10240
"""Longest text of DICOM's kind LT."""
LAST_NUMBER = 2**31 - 1
"""Largest value of DICOM's kind IS."""
REGION_RGB = {"reliable stable": (0.0, 0.62, 0.45), "reliable unstable": (0.90, 0.62, 0.0),
              "unreliable stable": (0.84, 0.37, 0.0)}
SPATIAL_CONCEPT = Code("SCT", "309825002", "Spatial and Relational Concept")
"""CID 7150, for what is neither tissue nor organ."""


@dataclass(frozen=True)
class DicomOptions:
    """Which DICOM objects are written beside a scan, and what they say of themselves."""

    kind: str = BINARY
    """Of the segmentation: binary (what most viewers read), fractional (the probability of each label where it won),
    or labelmap (all labels in one frame, a class of the standard since 2024)."""
    regions: bool = False
    """Also the high-value regions, as a second segmentation."""
    rtstruct: bool = False
    """Also contours as an RT Structure Set."""
    report: bool = False
    """Also a structured report with the volume of each segment in ml."""
    creator: str = "ALHVR^Automatic"
    """Content creator: family name, "^", given name."""
    series_number: int = 300
    """Of the segmentation; the other objects take the numbers after it."""
    series_description: str = "ALHVR segmentation"
    """As viewers list it."""

    def __post_init__(self) -> None:
        """Raises UserError for what DICOM does not hold."""
        require(self.kind in KINDS, "the kind of DICOM segmentation", self.kind, ", ".join(KINDS))
        good = 0 <= self.series_number <= LAST_NUMBER - 10
        require(good, "the series number", self.series_number, f"0 to {LAST_NUMBER - 10}")
        for what, value in (("content creator", self.creator), ("series description", self.series_description)):
            good = value == dicom_text(value) and bool(value)
            require(good, f"the {what}", value, f"a text of 1 to {TEXT_LENGTH} letters on one line, without backslash")
        require(self.creator.count("^") <= 4 and "=" not in self.creator, "the content creator", self.creator,
                "FAMILY^GIVEN")

    @property
    def key(self) -> str:
        """By what a later call knows whether the same was asked for."""
        extras = [name for name in ("regions", "rtstruct", "report") if getattr(self, name)]
        return "|".join(["+".join([self.kind, *extras]), self.creator, str(self.series_number),
                         self.series_description])


@dataclass(frozen=True)
class DicomSegFile:
    """What became of a segmentation."""

    path: Path | None
    """The file; None when no label has a voxel, which DICOM cannot hold."""
    warnings: tuple[str, ...]
    """What was left out or made up, one sentence each."""
    dataset: Dataset | None = field(default=None, repr=False)
    """What the file holds."""


@dataclass(frozen=True)
class SegContent:
    """What a DICOM segmentation is made of."""

    segmentation: Segmentation
    probability: np.ndarray | None = field(default=None, repr=False)
    """uint8 [K, J, I], 255 = 1: of the label at each voxel, for a fractional segmentation."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Of the algorithm: model, fusion and the like."""


def write_dicom_seg(path: Path, segmentation: Segmentation | SegContent, source: Path | DicomSource,
                    options: DicomOptions | None = None) -> DicomSegFile:
    """Writes the labels that have a voxel as segments that refer to the images of the series ``source``.

    Each frame takes place and orientation from the header of its own image, so it lies exactly there, whatever the
    order of the files and also where slice gaps are unequal. Patient and study are those of the series. Raises
    UserError when ``source`` is no DICOM series, its grid is another one, or its headers do not identify it; where
    the file cannot be written; and for whatever else is wrong with the headers.
    """
    import pydicom

    content = segmentation if isinstance(segmentation, SegContent) else SegContent(segmentation)
    segmentation, options = content.segmentation, options or DicomOptions()
    images = source if isinstance(source, DicomSource) else read_source(source)
    images.require_grid(segmentation.name, segmentation.geometry)
    found = found_labels(segmentation)
    oddities = tuple(f'{segmentation.name}: no voxel is "{label.name}"; the DICOM segmentation leaves it out.'
                     for label in segmentation.labels.labels if label not in found)
    if not found:
        return DicomSegFile(None, (f"{segmentation.name}: nothing was found, so there is no DICOM segmentation.",))
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        dataset = _dataset(images, content, found, options)
        save(path, dataset, images.name)
    return DicomSegFile(path, oddities + images.warnings, dataset)


def write_regions_seg(path: Path, region: np.ndarray, source: DicomSource, content: SegContent,
                      options: DicomOptions) -> DicomSegFile:
    """Writes the high-value regions, uint8 [K, J, I] of 1 to 3, as a segmentation of their own; raises UserError."""
    labels = tuple(Label(value, name, REGION_RGB[name], SPATIAL_CONCEPT, Code("99ALHVR", f"REGION{value}", name))
                   for value, name in REGION_NAMES.items())
    regions = Segmentation(content.segmentation.name, region, content.segmentation.geometry, LabelSet(labels))
    about = replace(options, kind=BINARY, series_number=options.series_number + 1,
                    series_description=dicom_text(f"{options.series_description[:50]} regions"))
    return write_dicom_seg(path, replace(content, segmentation=regions, probability=None),
                           replace(source, warnings=()), about)


def save(path: Path, dataset: Dataset, name: str) -> None:
    """Writes an object, whole or not at all; ``name`` is that of the scan, for messages. Raises UserError."""
    dataset.SpecificCharacterSet = UNICODE
    with in_words(name, "the headers of its images"), new_file(path) as file:
        dataset.save_as(file, enforce_file_format=True)


def found_labels(segmentation: Segmentation) -> list[Label]:
    """The labels that have a voxel, in order."""
    counts = np.zeros(_highest(segmentation) + 1, dtype=np.int64)
    for plane in segmentation.array:
        rows = np.flatnonzero(plane.any(axis=1))
        if len(rows):  # most of a scan is background, and counting it takes longest
            counts += np.bincount(plane[rows[0]:rows[-1] + 1].ravel(), minlength=len(counts))
    return [label for label in segmentation.labels.labels if counts[label.value]]


def _highest(segmentation: Segmentation) -> int:
    """The largest value in the array or of a label."""
    return max(int(segmentation.array.max()), *segmentation.labels.values)


def equipment() -> dict[str, Any]:
    """What made the objects, as highdicom takes it."""
    return {"manufacturer": ALGORITHM, "manufacturer_model_name": ALGORITHM, "software_versions": alhvr.__version__,
            "device_serial_number": SERIAL_NUMBER}


def _dataset(source: DicomSource, content: SegContent, found: Sequence[Label], options: DicomOptions) -> Dataset:
    """The whole object."""
    import highdicom
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

    instance = generate_uid()
    compressed = options.kind != BINARY
    with in_words(source.name, "the headers of its images"):
        return highdicom.seg.Segmentation(
            source_images=source.headers,
            pixel_array=_pixels(source, content, found, options.kind),
            segmentation_type=options.kind.upper(),
            segment_descriptions=[_segment(number, label, instance, content.parameters)
                                  for number, label in enumerate(found, start=1)],
            series_instance_uid=generate_uid(),
            series_number=options.series_number,
            sop_instance_uid=instance,
            instance_number=1,
            content_label="SEGMENTATION",
            content_description=CONTENT_DESCRIPTION,
            content_creator_name=options.creator,
            series_description=options.series_description,
            transfer_syntax_uid=RLELossless if compressed else ExplicitVRLittleEndian,
            **equipment(),
        )


def _pixels(source: DicomSource, content: SegContent, found: Sequence[Label], kind: str) -> np.ndarray:
    """Segment numbers [frame, J, I] in the order of the images; float32 [frame, J, I, segment] where fractional."""
    array = content.segmentation.array
    if kind != FRACTIONAL:
        values = [label.value for label in found]
        if values == list(range(1, int(array.max()) + 1)):
            return source.by_frame(array)
        numbers = np.zeros(_highest(content.segmentation) + 1, dtype=np.uint8)
        numbers[values] = range(1, len(found) + 1)
        return source.by_frame(numbers[array])
    if content.probability is None:
        raise UserError(f"{content.segmentation.name}: there are no probabilities for a fractional segmentation.",
                        "Segment the scan anew, or ask for a binary one.")
    share = np.zeros((*array.shape, len(found)), dtype=np.float32)
    for number, label in enumerate(found):
        np.multiply(content.probability, np.float32(1 / 255), out=share[..., number], where=array == label.value)
    return source.by_frame(share)


def _segment(number: int, label: Label, instance: str, parameters: Mapping[str, str]) -> SegmentDescription:
    """Name, coded terms, colour, region, tracking identifiers and algorithm of segment ``number``."""
    import highdicom
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    algorithm = highdicom.AlgorithmIdentificationSequence(
        ALGORITHM, family=codes.DCM.ArtificialIntelligence, version=alhvr.__version__, source=ALGORITHM,
        parameters=_parameters(parameters) or None)
    region = anatomic_region(label)
    segment = SegmentDescription(
        segment_number=number,
        segment_label=dicom_text(label.name),
        segmented_property_category=concept(label.category),
        segmented_property_type=concept(label.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=generate_uid(entropy_srcs=[str(instance), str(number)]),
        tracking_id=dicom_text(f"{ALGORITHM} {label.name}"),
        anatomic_regions=None if region is None else [concept(region)],
        display_color=CIELabColor.from_rgb(*(round(255 * channel) for channel in label.colour_rgb)),
    )
    if label.modifier is not None:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [concept(label.modifier)]
        if region is not None:
            segment.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [concept(label.modifier)]
    return segment


def _parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """As DICOM's kind LT takes them: no value holds what parts one from the next."""
    clean = {name: " ".join(str(value).replace(",", ";").split()) for name, value in parameters.items() if value}
    return clean if sum(len(name) + len(value) + 2 for name, value in clean.items()) < PARAMETERS_LENGTH else {}


def concept(code: Code) -> CodedConcept:
    """A coded term as highdicom takes it."""
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, dicom_text(code.meaning))


def dicom_text(text: str) -> str:
    """``text`` as DICOM's kind LO takes it; a backslash would split it in two."""
    return " ".join(text.replace("\\", " ").split())[:TEXT_LENGTH].strip()
