"""What is asked of an archive and what it answers, in whichever way it is spoken to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from alhvr.core.errors import UserError
from alhvr.core.files import shown

STUDY_TAGS = ("StudyInstanceUID", "StudyDate", "StudyDescription", "PatientID", "AccessionNumber",
              "ModalitiesInStudy", "NumberOfStudyRelatedInstances")
SERIES_TAGS = ("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "NumberOfSeriesRelatedInstances")


@dataclass(frozen=True)
class Query:
    """What is looked for; "" for anything, and ``*`` stands for any letters. Names of patients are never asked for."""

    patient_id: str = ""
    accession: str = ""
    date: str = ""
    """YYYYMMDD, or two of them with "-" between, one of which may be left out."""
    modality: str = ""
    description: str = ""
    study: str = ""
    """StudyInstanceUID: the series of this study instead of studies."""

    def filters(self) -> dict[str, str]:
        """Tags and what they must hold."""
        if self.study:
            wanted = {"StudyInstanceUID": self.study, "Modality": self.modality, "SeriesDescription": self.description}
        else:
            wanted = {"PatientID": self.patient_id, "AccessionNumber": self.accession, "StudyDate": self.date,
                      "ModalitiesInStudy": self.modality, "StudyDescription": self.description}
        return {tag: value for tag, value in wanted.items() if value}


@dataclass(frozen=True)
class Image:
    """One DICOM object that an archive gave."""

    series_uid: str
    instance_uid: str
    data: bytes
    """The whole file."""


@dataclass(frozen=True)
class Sent:
    """What became of one file that an archive was to keep."""

    path: Path
    fault: str = ""
    """Why it does not; "" where it does."""


def kind_of(path: Path) -> tuple[str, str]:
    """SOP class and transfer syntax of a DICOM file; raises UserError for a damaged one."""
    from pydicom import dcmread

    try:
        head = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
        if not head.SOPInstanceUID:
            raise AttributeError("no SOPInstanceUID")
        return str(head.SOPClassUID), str(head.file_meta.TransferSyntaxUID)
    except OSError:
        raise
    except Exception as error:
        raise UserError(f"{shown(path.name)} is a damaged DICOM file or tells not what it is; nothing was sent.",
                        "Leave it out, or export it again.") from error


class Archive(Protocol):
    """An archive that answers; every method raises UserError where it does not."""

    def find(self, query: Query) -> list[dict[str, Any]]:
        """Studies or series as values by tag."""

    def pull(self, study: str, series: str, take: Callable[[Image], None]) -> None:
        """Hands every object of a study, or of one series of it, to ``take``."""

    def push(self, files: Iterable[Path]) -> Iterator[Sent]:
        """Sends DICOM files one after the other."""
