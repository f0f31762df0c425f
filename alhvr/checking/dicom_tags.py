"""DICOM tags that the check looks at beside the voxels: who it is, as a digest only, and the scanner's field."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

_UNITS_T = ((5000.0, 1e-4), (50.0, 1e-3), (0.0, 1.0))
"""From which figure on it is taken for gauss, millitesla or tesla, and what one of them is in tesla."""


@dataclass(frozen=True)
class DicomTags:
    """What one header says."""

    patient: str | None = None
    """Keyed digest of the patient ID; None where the file has none that tells patients apart."""
    field_strength_t: float | None = None
    """Of an MR scanner, in tesla."""


def read_tags(path: Path, key: bytes) -> DicomTags:
    """Tags of a .dcm file or of the first DICOM image of a series folder; empty for everything else.

    The patient ID itself is never kept: ``key`` (up to 64 bytes) makes digests that nobody can guess back.
    """
    file = path if path.is_file() else _first_dicom(path)
    if file is None or not _is_dicom(file):
        return DicomTags()
    import pydicom  # here, because it takes longer to load than all else

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True,
                                     specific_tags=["PatientID", "Modality", "MagneticFieldStrength"])
            return DicomTags(_digest(str(header.get("PatientID") or ""), key), _field_strength(header))
        except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError, TypeError, AttributeError):
            return DicomTags()


def _first_dicom(folder: Path) -> Path | None:
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and path.name.upper() != "DICOMDIR")
    return next((path for path in files if _is_dicom(path)), None)


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _digest(patient_id: str, key: bytes) -> str | None:
    """None for IDs without a digit other than 0, as they are put in to hide who it is ("anonymous", "000")."""
    name = patient_id.strip()
    if not any(letter.isdigit() and letter != "0" for letter in name):
        return None
    return hashlib.blake2b(name.encode("utf-8", "backslashreplace"), key=key, digest_size=16).hexdigest()


def _field_strength(header: object) -> float | None:
    value = float(header.get("MagneticFieldStrength") or 0)
    if header.get("Modality") != "MR" or not value > 0:
        return None
    return round(value * next(unit for least, unit in _UNITS_T if value >= least), 2)
