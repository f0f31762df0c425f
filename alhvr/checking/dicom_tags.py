"""DICOM tags that the check looks at beside the voxels: who it is, as a digest only, and the scanner's field."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

from alhvr.core.files import open_plain
from alhvr.data.dicom_file import is_dicom_file, read_header
from alhvr.data.dicom_folder import files_of_series_folder

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
    files = [path] if path.is_file() else files_of_series_folder(path)
    file = next((file for file in files if is_dicom_file(file)), None)
    if file is None:
        return DicomTags()
    try:
        with open_plain(file) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = read_header(stream, ("PatientID", "Modality", "MagneticFieldStrength")).values
            return DicomTags(_digest(str(header.get("PatientID") or ""), key), _field_strength(header))
    except Exception:  # noqa: BLE001 - a damaged header makes pydicom raise anything, and these tags are no need
        return DicomTags()


def _digest(patient_id: str, key: bytes) -> str | None:
    """None for IDs without a digit other than 0, as they are put in to hide who it is ("anonymous", "000")."""
    name = patient_id.strip()
    if not any(letter.isdigit() and letter != "0" for letter in name):
        return None
    return hashlib.blake2b(name.encode("utf-8", "backslashreplace"), key=key, digest_size=16).hexdigest()


def _field_strength(header: object) -> float | None:
    try:
        value = float(header.get("MagneticFieldStrength") or 0)
    except Exception:  # noqa: BLE001 - see read_tags; the patient's digest is to be had all the same
        return None
    if header.get("Modality") != "MR" or not value > 0:
        return None
    return round(value * next(unit for least, unit in _UNITS_T if value >= least), 2)
