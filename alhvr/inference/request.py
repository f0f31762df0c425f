"""SegmentRequest: what ``alhvr segment`` was asked for, and whether a scan was done so before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from alhvr.bundle.model import InferenceSettings, ModelDescription, rules_of
from alhvr.core.errors import UserError
from alhvr.data.cases import Case
from alhvr.export.dicom_objects import ENDINGS as DICOM_ENDINGS
from alhvr.export.dicom_seg import FRACTIONAL, DicomOptions
from alhvr.inference.inputs import files_of
from alhvr.inference.results_index import ResultEntry, ResultsIndex
from alhvr.inference.summary import DONE_BEFORE, KEPT, CaseResult

AGAIN = "To do it again, delete the result or choose another --out folder."


@dataclass(frozen=True)
class SegmentRequest:
    """What ``alhvr segment`` was asked for."""

    model: Path
    inputs: tuple[Path, ...]
    """Scans, DICOM series folders, or folders of these."""
    out: Path
    regions: bool = False
    """Also write the confidence maps, the teacher's certainty, the region map and the gamma table."""
    dicom_seg: bool = False
    """Also write a DICOM Segmentation; the inputs must be DICOM series then."""
    dicom: DicomOptions = DicomOptions()
    """Of which kind it is, and what other DICOM files are written beside it."""
    file_format: str = "seg.nrrd"
    device: str = "auto"
    backend: str = "auto"
    fusion: str | None = None
    """Rule by which the networks are fused; None takes the model's."""
    temperature: float | None = None
    """Sharpening temperature of the teacher beside the regions; None takes the model's."""
    series: tuple[str, ...] = ()
    """Which DICOM series of a folder are wanted, one rule each; empty: as its cases.json says, else all."""
    compressed: bool = True
    """Compress the maps beside the regions; without, they are larger, and quicker to write and to read."""

    def __post_init__(self) -> None:
        """Raises UserError for regions as DICOM without regions."""
        if self.dicom_seg and self.dicom.regions and not self.regions:
            raise UserError("The high-value regions as DICOM need the regions.", "Give --regions too.")

    @property
    def wants_probabilities(self) -> bool:
        """Whether the probability of each label is needed."""
        return self.dicom_seg and self.dicom.kind == FRACTIONAL

    def settings(self, about: ModelDescription) -> InferenceSettings:
        """How to segment with the model ``about``; raises UserError for a value that there is not."""
        rules = rules_of(about.network.names)
        if self.fusion is not None and self.fusion not in rules:
            raise UserError(f"fusion is {self.fusion!r:.100}.", f"Accepted: {', '.join(rules)}.")
        wished = {"fusion": self.fusion, "temperature": self.temperature}
        return replace(about.inference, **{name: value for name, value in wished.items() if value is not None})

    def beside(self, own: InferenceSettings) -> SegmentRequest:
        """The same request, in which a wish for what the model does anyway is none."""
        return replace(self, fusion=None if self.fusion == own.fusion else self.fusion,
                       temperature=None if self.temperature == own.temperature else self.temperature)

    def target(self, case: Case) -> str:
        """Name of the segmentation file of ``case``."""
        return f"{case.name}.{self.file_format}"

    def refuse_overwriting(self, case: Case) -> None:
        """Raises UserError when the result would take the place of the scan."""
        target = self.out / self.target(case)
        for image in case.images:
            if target.exists() and image.exists() and target.samefile(image):
                raise UserError(f"The result would overwrite the scan {image} itself.",
                                "Choose another --out folder or --format.")

    def done_before(self, case: Case, record: ResultsIndex, model: str) -> CaseResult | None:
        """The outcome of ``case`` when nothing is to be done for it: it is done, or its result was changed since.

        ``model`` is the SHA-256 of the model's manifest; the request is one that ``beside`` gave. Where and with what
        the networks run makes no difference.
        """
        entry = record.entry(self.target(case))
        if entry is None or self.target(case) not in entry.files:
            return None
        asked_for = [name for name in entry.files if self._wants(name, case)]
        files = tuple(self.out / name for name in asked_for)
        for path in files:
            if path.exists() and not record.wrote(path):
                return CaseResult(case.name, KEPT, files=files, reason=kept_because(path.name))
        if not (self._asks_no_more_than(entry, model) and entry.input.fits(*files_of(case, record))
                and all(entry.files[path.name].fits(path) for path in files)):
            return None
        return CaseResult(case.name, DONE_BEFORE, volumes_ml=entry.volumes_ml, nominal=entry.nominal, files=files)

    def lacks_dicom_seg_only(self, case: Case, record: ResultsIndex, model: str) -> bool:
        """True when ``done_before`` is None for nothing but DICOM files that can be made of the segmentation."""
        entry = record.entry(self.target(case))
        if not self.dicom_seg or entry is None or self._has_dicom(entry):
            return False
        if self.wants_probabilities or self.dicom.regions:
            return False
        without = replace(self, dicom_seg=False).done_before(case, record, model)
        return without is not None and without.kind == DONE_BEFORE

    def _wants(self, name: str, case: Case) -> bool:
        """True for the name of a result that this request writes for ``case``."""
        if name.endswith(DICOM_ENDINGS):
            return self.dicom_seg
        return self.regions or name == self.target(case)

    def _asks_no_more_than(self, entry: ResultEntry, model: str) -> bool:
        same = entry.model == model and entry.fusion == self.fusion
        same = same and (not self.dicom_seg or self._has_dicom(entry))
        return same and (not self.regions or (entry.has_regions and entry.temperature == self.temperature))

    def _has_dicom(self, entry: ResultEntry) -> bool:
        """Whether the same DICOM files were asked for; older records hold a binary segmentation of plain settings."""
        return entry.dicom_seg and (entry.dicom or DicomOptions().key) == self.dicom.key


def kept_because(name: str) -> str:
    """Why a scan was not segmented again."""
    return f"{name} is not as alhvr segment wrote it, so it was left as it is. {AGAIN}"
