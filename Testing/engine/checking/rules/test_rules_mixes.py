"""Rules on mixtures: modalities, field strengths, orientations and spacings."""

from __future__ import annotations

from studies import AXIAL, SAGITTAL, cases, only, study, with_grid, with_image

from alhvr.checking.findings import Severity
from alhvr.checking.rules import archive

FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


def test_scans_of_several_kinds_are_told_with_their_numbers() -> None:
    facts = [with_grid(f, modality=m) for f, m in zip(cases("labeled", 4), ("MR", "MR", "CT", "other"), strict=True)]
    found = only(archive.modalities, study(*facts))
    assert (found.kind, found.cases) == ("mixed_modalities", ("labeled/labeled2",)) and "MR (2), CT (1)" in found.seen


def test_field_strengths_are_a_note() -> None:
    strengths = (1.5, 3.0, 1.5, None)
    facts = [with_image(f, field_strength_t=t) for f, t in zip(cases("unlabeled", 4), strengths, strict=True)]
    found = only(archive.field_strengths, study(*facts))
    assert (found.kind, found.severity) == ("mixed_field_strengths", Severity.NOTE)
    assert "1.5 T (2), 3 T (1)" in found.seen


def test_slices_cut_in_several_directions_are_told() -> None:
    facts = [with_grid(f, direction=d) for f, d in zip(cases("labeled", 3), (AXIAL, AXIAL, SAGITTAL), strict=True)]
    found = only(archive.orientations, study(*facts))
    assert (found.kind, found.severity) == ("mixed_orientations", Severity.WARNING)
    assert "axial (2), sagittal (1) (sagittal: labeled2)" in found.seen


def test_axes_that_run_the_other_way_round_are_a_note() -> None:
    facts = [with_grid(f, direction=d) for f, d in zip(cases("labeled", 2), (AXIAL, FLIPPED), strict=True)]
    found = only(archive.orientations, study(*facts))
    assert found.severity is Severity.NOTE and "LPS (1), RAS (1)" in found.seen


def test_cubic_voxels_are_cut_in_no_direction() -> None:
    facts = [with_grid(f, spacing=(1.5, 1.5, 1.6), direction=d) for f, d in zip(
        cases("labeled", 2), (AXIAL, SAGITTAL), strict=True)]
    assert only(archive.orientations, study(*facts)).severity is Severity.NOTE


def test_coarse_scans_among_fine_ones_are_named() -> None:
    facts = [with_grid(f, spacing=(s, s, 4.0)) for f, s in zip(cases("labeled", 4), (1, 1.1, 3, 1), strict=True)]
    found = only(archive.spacings, study(*facts))
    assert (found.kind, found.cases) == ("mixed_spacings", ("labeled/labeled2",))
    assert "Pixels are 1 to 3 mm apart" in found.seen


def test_slices_much_further_apart_are_named() -> None:
    facts = [with_grid(f, spacing=(1, 1, s)) for f, s in zip(cases("labeled", 4), (2, 2, 9, 2), strict=True)]
    assert "Slices are 2 to 9 mm apart" in only(archive.spacings, study(*facts)).seen


def test_placeholders_among_known_spacings_are_a_warning_and_alone_a_note() -> None:
    facts = cases("labeled", 3)
    nominal = [with_grid(f, spacing=(1.0, 1.0, 1.0)) for f in facts]
    mixed = only(archive.spacings, study(nominal[0], *facts[1:]))
    assert (mixed.severity, mixed.cases) == (Severity.WARNING, ("labeled/labeled0",))
    alone = only(archive.spacings, study(*nominal))
    assert (alone.kind, alone.severity) == ("nominal_spacing", Severity.NOTE)
