"""Writes small DICOM series for tests: any affine grid, one file a slice, invented headers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from alhvr.data.geometry import Geometry

C, S = math.cos(math.radians(20)), math.sin(math.radians(20))
OBLIQUE = Geometry((5, 4, 6), (0.5, 0.75, 4.0), (-10.0, 20.0, 30.0), (1.0, 0, 0, 0, C, -S, 0, S, C))
TILTED = Geometry((5, 4, 6), (0.5, 0.5, 3.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, S, 0, 0, C))
AXIAL = Geometry((5, 4, 6), (0.5, 0.75, 4.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


def change(path: Path, **tags: object) -> None:
    """Sets tags of a DICOM file."""
    dataset = pydicom.dcmread(path)
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    dataset.save_as(path)


def place(path: Path, z: float) -> None:
    """Moves a slice to (0, 0, z) mm."""
    change(path, ImagePositionPatient=[0, 0, z])


def series_voxels(geometry: Geometry = OBLIQUE) -> np.ndarray:
    """Random int16 voxels [K, J, I] of a series."""
    return np.random.default_rng(0).integers(-1000, 2000, geometry.shape_kji).astype(np.int16)


def write_series(folder: Path, array: np.ndarray, geometry: Geometry, **tags: Any) -> list[Path]:
    """One file per slice of ``array`` (int16 [K, J, I]); ``tags`` replace any DICOM keyword. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    series, files = generate_uid(), []
    for index, pixels in enumerate(array):
        dataset = slice_dataset(pixels, geometry, index, **{"SeriesInstanceUID": series, **tags})
        files.append(folder / f"{len(array) - index:03d}.dcm")  # names run against the position
        dataset.save_as(files[-1], enforce_file_format=True)
    return files


def slice_dataset(pixels: np.ndarray, geometry: Geometry, index: int, **tags: Any) -> Dataset:
    """The dataset of slice ``index`` with ``pixels`` int16 [J, I]."""
    direction = np.reshape(geometry.direction, (3, 3))
    dataset = Dataset()
    dataset.Modality = tags.get("Modality", "MR")
    dataset.SOPClassUID = CTImageStorage if dataset.Modality == "CT" else MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["alhvr test"])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["alhvr test frame"])
    dataset.PatientName, dataset.PatientID = "Invented^Person", "0000"
    dataset.InstanceNumber = index + 1
    dataset.ImagePositionPatient = [f"{x:.6f}" for x in geometry.index_to_lps([[0, 0, index]])[0]]
    dataset.ImageOrientationPatient = [f"{x:.8f}" for x in direction[:, :2].T.ravel()]
    dataset.PixelSpacing = [geometry.spacing_mm[1], geometry.spacing_mm[0]]
    dataset.SliceThickness = geometry.spacing_mm[2]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PixelData = pixels.astype("<i2").tobytes()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def write_enhanced(path: Path, frames: Sequence[tuple[np.ndarray, Geometry, int, dict[str, Any]]],
                   **tags: Any) -> Path:
    """One Enhanced MR file (CT where ``Modality`` says so) of frames, each pixels int16 [J, I], grid, slice and groups.

    The groups of a frame are tags by functional group, such as {"MREchoSequence": {"EffectiveEchoTime": 10.0}}.
    """
    pixels, geometry, index, _ = frames[0]
    dataset = slice_dataset(pixels, geometry, index, **{"SeriesInstanceUID": generate_uid(), **tags})
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = EnhancedCTImageStorage if dataset.Modality == "CT" else EnhancedMRImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.NumberOfFrames = len(frames)
    dataset.PixelData = b"".join(plane.astype("<i2").tobytes() for plane, *_ in frames)
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    dataset.PerFrameFunctionalGroupsSequence = [_group(*frame) for frame in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _group(pixels: np.ndarray, geometry: Geometry, index: int, groups: dict[str, dict[str, Any]]) -> Dataset:
    """The functional groups of one frame."""
    plain = slice_dataset(pixels, geometry, index)
    own = {"PlanePositionSequence": {"ImagePositionPatient": plain.ImagePositionPatient},
           "PlaneOrientationSequence": {"ImageOrientationPatient": plain.ImageOrientationPatient},
           "PixelMeasuresSequence": {"PixelSpacing": plain.PixelSpacing, "SliceThickness": plain.SliceThickness}}
    group = Dataset()
    for sequence, values in {**own, **groups}.items():
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(group, sequence, [item])
    return group
