"""Findings: what is wrong with the data, how bad it is, where it was seen, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Severity(Enum):
    """How bad a finding is; worst first."""

    FAULT = "fault"
    """Training on this data would fail or mislead: it does not start."""
    WARNING = "warning"
    """Worth a look; training goes on."""
    NOTE = "note"
    """Good to know."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    kind: str
    """What was found, for programs: one of KINDS; never changes its meaning."""
    severity: Severity
    files: tuple[Path, ...]
    """The files it is about, the worst first."""
    seen: str
    """What was seen, with the figures: one sentence."""
    remedy: str
    """What to do about it: one sentence."""
    cases: tuple[str, ...] = ()
    """The cases it is about as part/name, such as "labeled/patient 1"; the worst first."""
    structures: tuple[int, ...] = ()
    """Label values of the structures whose entry in not_annotated is the remedy, for programs that offer it."""


KINDS = {
    "unusable_folder": "Folder that holds no cases to use",
    "layout": "Layout of a folder",
    "series_rule": "Rule for DICOM series",
    "series_left_out": "DICOM series that are not used",
    "left_out_of_folder": "Files left out of a folder",
    "names_differ": "Folders that name a label value differently",
    "unusable_names": "Names that cannot be used",
    "labels_mapped": "Label values mapped by name, joined or ignored",
    "missing_channel": "Missing channel",
    "channels_apart": "Channels that do not overlap in space",
    "channel_on_another_grid": "Channel on another grid than the first",
    "unreadable_image": "Scan that cannot be read",
    "unreadable_label": "Label that cannot be read",
    "constant_image": "Scan without any contrast",
    "odd_file": "Oddity while reading",
    "not_finite": "Voxels that are not finite",
    "intensity_scale": "Intensities on another scale",
    "mixed_modalities": "Mixed modalities",
    "mixed_field_strengths": "Mixed field strengths",
    "mixed_orientations": "Mixed orientations",
    "mixed_spacings": "Mixed spacings",
    "nominal_spacing": "Spacing that may be a placeholder",
    "label_on_another_grid": "Label on another grid than its scan",
    "unknown_label_value": "Label value without a name",
    "not_annotated_is_named": "Structure with the value for not annotated",
    "looks_not_annotated": "Value that may mean not annotated",
    "empty_label": "Empty label",
    "all_labels_empty": "No label shows anything",
    "nothing_annotated": "Case in which nothing is annotated",
    "declared_but_present": "Structure declared as not annotated, yet there",
    "absent_structure": "Structure absent where nearly all others show it",
    "absent_everywhere": "Structure that no case to learn from shows",
    "holes": "Holes in a structure",
    "stray_parts": "Disconnected components",
    "swapped_sides": "Left and right swapped",
    "moved_structure": "Structure in another place than in the other cases",
    "scan_twice": "The same scan twice",
    "scan_in_training_and_validation": "The same scan in training and validation",
    "scan_in_archive_too": "Labelled scan that is in the archive too",
    "label_twice": "The same label under two scans",
    "patient_in_training_and_validation": "The same patient in training and validation",
    "rare_to_learn": "Structure too rare to learn",
    "rare_to_validate": "Structure too rare to validate",
    "few_cases": "Few cases",
    "no_validation": "No case to validate on",
    "archive_unlike": "Archive unlike the labelled scans",
    "no_archive": "No scan of the archive can be used",
    "no_usable_case": "No labelled case can be used",
    "too_little_memory": "Too little memory",
    "too_little_disk": "Too little room on the disk",
}
"""Every kind of finding with its heading for people."""
