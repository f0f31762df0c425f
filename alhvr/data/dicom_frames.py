"""DICOM files of many frames (Enhanced CT and MR, and others with places per frame), and voxels that GDCM leaves.

Each frame becomes a slice of its own, so that stacks, passes, gaps and copies are found among frames as among files.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, shown
from alhvr.data.dicom_file import read_header
from alhvr.data.dicom_slice import (
    SliceHeader,
    Unfit,
    Unusable,
    read_slice,
    require_grey,
    require_scale,
    require_voxels,
    slice_of,
    unusable,
    why_not_decoded,
)
from alhvr.data.itk_io import itk_name

if TYPE_CHECKING:
    from pydicom import Dataset

MOST_FRAMES = 50_000
_WHOLE = ("Rows", "Columns", "NumberOfFrames", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID",
          "StudyInstanceUID", "FrameOfReferenceUID", "SeriesNumber", "SeriesDescription", "Modality", "ImageType",
          "AcquisitionNumber", "ContrastBolusAgent", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
          "BitsStored", "HighBit", "PixelRepresentation", "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept")
"""Tags that all frames of a file share."""
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_OF_FRAME = {
    "PixelMeasuresSequence": {"PixelSpacing": "PixelSpacing", "SliceThickness": "SliceThickness",
                              "SpacingBetweenSlices": "SpacingBetweenSlices"},
    "PlanePositionSequence": {"ImagePositionPatient": "ImagePositionPatient"},
    "PlaneOrientationSequence": {"ImageOrientationPatient": "ImageOrientationPatient"},
    "PixelValueTransformationSequence": {"RescaleSlope": "RescaleSlope", "RescaleIntercept": "RescaleIntercept"},
    "FrameContentSequence": {"StackID": "StackID", "TemporalPositionIndex": "TemporalPositionIdentifier",
                             "FrameAcquisitionNumber": "AcquisitionNumber",
                             "FrameAcquisitionDateTime": "AcquisitionTime"},
    "MREchoSequence": {"EffectiveEchoTime": "EchoTime"},
    "MRDiffusionSequence": {"DiffusionBValue": "DiffusionBValue"},
    "CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": "TriggerTime"},
    "TemporalPositionSequence": {"TemporalPositionTimeOffset": "TemporalPositionIdentifier"},
    "MRImageFrameTypeSequence": {"FrameType": "ImageType"},
    "CTImageFrameTypeSequence": {"FrameType": "ImageType"},
}
"""Of each functional group the tags that matter, and what the tag of an image in a file of its own is called."""


def read_slices(path: Path) -> tuple[SliceHeader, ...] | Unusable | None:
    """As ``read_slice``, of every frame of a file; None for a file that shows no sign of DICOM."""
    found = read_slice(path)
    if isinstance(found, SliceHeader):
        return (found,)
    if found is None or found.kind != "frames":
        return found
    try:
        with open_plain(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _frames(path, file)
    except (OSError, UserError) as error:
        return Unusable(path, f"it cannot be opened ({shown(error)})", "damaged", found.series_uid)
    except Exception as error:  # noqa: BLE001 - whatever one byte in a header makes pydicom raise costs that file
        return unusable(path, error, found.series_uid)


def _frames(path: Path, file: BinaryIO) -> tuple[SliceHeader, ...]:
    """The slices of a file; raises Unfit, and what pydicom raises for a damaged header."""
    read = read_header(file, (*_WHOLE, *_GROUPS), large=True)
    header, n_frames = read.values, int(read.values.NumberOfFrames)
    if n_frames > MOST_FRAMES:
        raise Unfit(f"it has {n_frames} frames, more than any image")
    require_grey(header)
    own = header.get("PerFrameFunctionalGroupsSequence") or ()
    if not own:
        raise Unfit(f"its {n_frames} frames have no places in the patient", "unread", "Choose another series.")
    require_scale(header)
    require_voxels(header, read.voxel_bytes, file.seek(0, 2), n_frames)
    if len(own) != n_frames:
        raise Unfit(f"it has {n_frames} frames and the places of {len(own)}")
    shared = header.get("SharedFunctionalGroupsSequence") or ()
    plain = _flat(header, shared[0] if shared else None)
    return tuple(_frame(path, plain, group, number) for number, group in enumerate(own))


def _flat(header: Dataset, group: Dataset | None) -> Dataset:
    """What holds for all frames, under the names that it has in files of one image."""
    from pydicom import Dataset

    plain = Dataset()
    for tag in _WHOLE:
        if tag in header:
            plain[tag] = header[tag]
    if group is not None:
        _take(plain, group)
    return plain


def _frame(path: Path, plain: Dataset, group: Dataset, number: int) -> SliceHeader:
    from pydicom import Dataset

    own = Dataset()
    own.update(plain)
    _take(own, group)
    missing = [tag for tag in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient") if tag not in own]
    if missing:
        raise Unfit(f"its frame {number + 1} has no {' and no '.join(missing)}")
    require_scale(own)
    return replace(slice_of(path, own, str(plain.get("SeriesInstanceUID") or "")), frame=number)


def _take(into: Dataset, group: Dataset) -> None:
    """Puts the tags of the functional groups that matter into a flat header."""
    from pydicom import DataElement
    from pydicom.datadict import dictionary_VR

    for sequence, tags in _OF_FRAME.items():
        items = group.get(sequence)
        if not items:
            continue
        for tag, plain in tags.items():
            if items[0].get(tag) is not None:
                value = items[0][tag].value
                text = plain == "TemporalPositionIdentifier" or plain == "AcquisitionTime"
                into[plain] = DataElement(plain, "LO" if text else dictionary_VR(plain), str(value) if text else value)


def stored_frames(path: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    """The stored numbers [J, I] of these frames of a file, in the order asked for, without slope and intercept.

    By pydicom, else by GDCM. Raises UserError where neither can decode them.
    """
    try:
        yield from _by_pydicom(path, indices)
    except Exception as error:  # noqa: BLE001 - decoders raise anything
        reason = error
    else:
        return
    try:
        frames = _by_gdcm(path)
    except Exception as error:  # noqa: BLE001 - see above
        raise _not_decoded(path) from (error if isinstance(error, RuntimeError) else reason)
    yield from (frames[index] for index in indices)


def _by_pydicom(path: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # whole first: where a later frame fails, none was given out
        yield from list(pydicom.pixels.iter_pixels(path, indices=list(indices)))


def _by_gdcm(path: Path) -> np.ndarray:
    """All frames [K, J, I]: GDCM scales what it reads by one slope for all, so it gets the file without any."""
    import pydicom
    from pydicom.uid import generate_uid

    keep = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
            "BitsStored", "HighBit", "PixelRepresentation", "PixelData")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = pydicom.dcmread(path, force=True)
        bare = pydicom.Dataset()
        for tag in keep:
            if tag in source:
                bare[tag] = source[tag]
        bare.SOPClassUID, bare.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7.3", generate_uid()
        bare.Modality, bare.file_meta = "OT", pydicom.dataset.FileMetaDataset()
        bare.file_meta.TransferSyntaxUID = source.file_meta.TransferSyntaxUID
        with tempfile.TemporaryDirectory(prefix=".alhvr") as folder:
            copy = Path(folder) / "frames.dcm"
            bare.save_as(copy, enforce_file_format=True)
            sitk.ProcessObject.SetGlobalWarningDisplay(False)
            reader = sitk.ImageFileReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetFileName(itk_name(copy))
            array = sitk.GetArrayFromImage(reader.Execute())
    return array[np.newaxis] if array.ndim == 2 else array


def _not_decoded(path: Path) -> UserError:
    """What to raise for voxels that no library can decode; names their coding."""
    import pydicom

    coding = ""
    try:
        with open_plain(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            syntax = pydicom.filereader.read_file_meta_info(file).TransferSyntaxUID
            coding = why_not_decoded(str(syntax)) or f"its coding is {shown(syntax.name)}"
    except Exception:  # noqa: BLE001 - a file without that header has no coding to name
        pass
    return UserError(f"the image {shown(path.name)} cannot be decoded; it is cut short, damaged or of a rare coding"
                     f"{f' ({coding})' if coding else ''}.", "Copy or export the series again.")
