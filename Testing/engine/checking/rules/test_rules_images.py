"""Rules on intensities: another scale is a fault in Hounsfield units, and worth a look elsewhere."""

from __future__ import annotations

import pytest
from studies import cases, only, study, with_grid, with_range

from alhvr.checking.findings import Severity
from alhvr.checking.rules import images


def scans(*ranges: tuple, modality: str = "MR") -> list:
    return [with_range(with_grid(f, modality=modality), *r) for f, r in zip(cases("labeled", len(ranges)), ranges,
                                                                            strict=True)]


def test_a_wild_scale_in_mr_is_a_warning_that_says_it_does_no_harm() -> None:
    found = only(images.scales, study(*scans((0, 900), (0, 700), (0, 60_000), (0, 1))))
    assert (found.kind, found.severity) == ("intensity_scale", Severity.WARNING)
    assert found.cases == ("labeled/labeled3", "labeled/labeled2") and "does no harm" in found.remedy
    assert "labeled3: 0 to 1; usual is 0 to" in found.seen


def test_mr_scales_differ_by_a_factor_of_ten_without_any_finding() -> None:
    assert not list(images.scales(study(*scans((0, 900), (0, 90), (100, 4000)))))


@pytest.mark.parametrize("odd", [(0, 1), (0, 65_000), (0, 3000, 1090)])
def test_ct_that_is_in_no_hounsfield_units_is_a_fault(odd: tuple) -> None:
    usual = [(-1000, 1500, 60), (-1010, 1800, 70), (-990, 1600, 66)]
    found = only(images.scales, study(*scans(*usual, odd, modality="CT")))
    assert (found.severity, found.cases) == (Severity.FAULT, ("labeled/labeled3",))
    assert "rescale slope" in found.remedy


def test_ct_of_other_fields_of_view_is_no_fault() -> None:
    assert not list(images.scales(study(*scans((-1000, 1500, 60), (-160, 900, 70), (-990, 1600, 66),
                                                    modality="CT"))))


def test_what_the_user_says_of_the_scans_counts() -> None:
    facts = scans((-1000, 1500), (-1000, 1500), (0, 1), modality="CT")
    assert only(images.scales, study(*facts)).severity is Severity.FAULT
    assert only(images.scales, study(*facts, normalization="zscore")).severity is Severity.WARNING


def test_a_scan_without_contrast_is_of_no_scale() -> None:
    assert not list(images.scales(study(*scans((0, 900), (0, 700), (5, 5)))))


def test_one_scan_has_no_other_scale() -> None:
    assert not list(images.scales(study(*scans((0, 1)))))
