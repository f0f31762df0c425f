"""Facts: what examining one scan and its label found out; plain values, so that they can be kept and compared."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from alhvr.data.cases import Case
from alhvr.data.fingerprint import Fingerprint
from alhvr.data.geometry import Geometry


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used at all, as a UserError says it."""

    message: str
    hint: str = ""


@dataclass(frozen=True)
class ImageFacts:
    """One channel of one scan."""

    content: str
    """SHA-256 of voxels and grid (``reading.content_hash``)."""
    print: Fingerprint
    """Grid, modality and intensities; ``print.foreground`` is of the labelled voxels, on the grid of the label only."""
    lowest: float
    """Smallest finite intensity."""
    highest: float
    """Largest finite intensity."""
    n_not_finite: int
    """Voxels that are NaN or infinite."""
    histogram: tuple[int, ...]
    """Counts of an even sample of voxels in 64 equal bins between the 0.5th and the 99.5th percentile."""
    thumbnail: np.ndarray
    """uint8 [<= 64, <= 64]: the slice with most of the label, else the middle one, right way up for a reader (rows run
    to posterior or inferior, columns to the left or to posterior)."""
    patient: str | None = None
    """A keyed digest of the DICOM patient ID, comparable within one check; None where no file tells patients apart."""
    field_strength_t: float | None = None
    """MR field strength in tesla from the DICOM header."""
    warnings: tuple[str, ...] = ()
    """What was odd while reading."""

    @property
    def geometry(self) -> Geometry:
        """The scan's own grid."""
        return self.print.geometry


@dataclass(frozen=True)
class StructureFacts:
    """One label value in one case."""

    voxels: int
    volume_ml: float
    slices: int
    """Slices along the slice axis that show it."""
    centroid_lps_mm: tuple[float, float, float]
    n_parts: int
    """Connected parts (26 neighbours)."""
    largest_part: float
    """Share of its voxels in its largest part, 0 to 1."""
    hole_voxels: int
    """Background voxels that it encloses within one slice or, in a stack of slices, in space."""


@dataclass(frozen=True)
class LabelFacts:
    """The label of one case."""

    content: str
    """SHA-256 of values and grid."""
    geometry: Geometry
    other_grid: str
    """How its grid differs from the scan's, as a sentence; empty where both are the same."""
    structures: dict[int, StructureFacts]
    """By label value; without background and the value for not annotated."""
    n_voxels: int
    n_not_annotated: int
    """Voxels with the value for not annotated."""
    annotated_slices: int
    """Slices along the slice axis in which anything is annotated, background included."""
    slices: int
    """All slices."""
    outline: np.ndarray | None = None
    """uint8 like the scan's thumbnail: label values (255 at most) of the same slice, for the picture."""


@dataclass(frozen=True)
class CaseFacts:
    """One case: its channels and its label, or why they cannot be used."""

    part: str
    """labeled, unlabeled or validation."""
    case: Case
    images: tuple[ImageFacts, ...] = ()
    """By channel, as far as they can be read."""
    label: LabelFacts | None = None
    image_problem: Problem | None = None
    """Why a channel cannot be read."""
    label_problem: Problem | None = None
    """Why the label cannot be read."""
    known: bool = field(default=False, compare=False)
    """The facts were kept from a check before."""

    @property
    def usable(self) -> bool:
        """True when image and, where there is one, label could be read."""
        return self.image_problem is None and self.label_problem is None
