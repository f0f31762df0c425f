"""Rules on the archive: what is unlike the labelled scans, by how far, and in what."""

from __future__ import annotations

import pytest
from studies import AXIAL, SAGITTAL, cases, only, sound, study, with_grid, with_image, with_range

from alhvr.checking.facts import CaseFacts
from alhvr.checking.rules.archive import rank_archive, unlike

STEEP = tuple(1000 if n < 5 else 1 for n in range(64))


def odd(kind: str, facts: CaseFacts) -> CaseFacts:
    return {
        "field of view 82.5 x 20 against 27 x 20 mm": lambda: with_grid(facts, size=(60, 50, 5)),
        "spacing 3.4 x 4 against 1.5 x 4 mm": lambda: with_grid(facts, size=(9, 7, 5), spacing=(3.4, 3.4, 4.0)),
        "sagittal instead of axial": lambda: with_grid(facts, direction=SAGITTAL),
        "CT instead of MR": lambda: with_grid(facts, modality="CT"),
        "another distribution of intensities": lambda: with_image(facts, histogram=STEEP),
        "intensities 0 to 3e+06 against": lambda: with_range(facts, 0, 3e6),
    }[kind]()


@pytest.mark.parametrize("what", ["field of view 82.5 x 20 against 27 x 20 mm", "spacing 3.4 x 4 against 1.5 x 4 mm",
                                  "CT instead of MR", "sagittal instead of axial",
                                  "another distribution of intensities", "intensities 0 to 3e+06 against"])
def test_a_scan_that_is_off_is_named_with_what_is_off(what: str) -> None:
    archive = cases("unlabeled", 6)
    found = only(unlike, study(*cases("labeled", 4), odd(what, archive[2]), *archive[:2], *archive[3:]))
    assert (found.kind, found.cases) == ("archive_unlike", ("unlabeled/unlabeled2",))
    assert found.seen.startswith("1 of 6 scans of the archive is unlike") and what in found.seen
    assert "Take out" in found.remedy


def test_the_furthest_is_first_and_scans_that_are_alike_are_ranked_too() -> None:
    near, far, alike = cases("unlabeled", 3)
    near, far = with_grid(near, size=(44, 36, 5)), with_grid(far, size=(120, 100, 5))
    ranked = rank_archive(study(*cases("labeled", 4), near, far, alike))
    assert [entry.case for entry in ranked] == ["unlabeled/unlabeled1", "unlabeled/unlabeled0", "unlabeled/unlabeled2"]
    assert ranked[0].how_far > ranked[1].how_far > 1 and ranked[2].how_far == 0 and ranked[2].what == ""


def test_an_archive_that_is_off_as_a_whole_may_be_the_wrong_one() -> None:
    archive = [with_grid(f, modality="CT") for f in cases("unlabeled", 3)]
    assert "right archive" in only(unlike, study(*cases("labeled", 4), *archive)).remedy


def test_other_numbers_in_a_file_do_not_make_mr_scans_unlike() -> None:
    facts = [with_range(f, 0, 900) for f in cases("labeled", 4)]
    assert not list(unlike(study(*facts, with_range(sound("unlabeled", 0), 10, 20_000))))


def test_ct_in_other_units_is_off() -> None:
    facts = [with_range(with_grid(f, modality="CT"), -1000, 1500) for f in cases("labeled", 4)]
    archive = with_range(with_grid(sound("unlabeled", 0), modality="CT"), 24, 2524)
    assert "intensities 24 to 2524 against -1000 to 1500" in only(unlike, study(*facts, archive)).seen


def test_where_no_spacing_is_known_voxels_are_compared() -> None:
    facts = [with_grid(f, spacing=(1.0, 1.0, 1.0)) for f in cases("labeled", 4)]
    alike, off = (with_grid(f, size=s, spacing=(0.5, 0.5, 8.0), direction=AXIAL) for f, s in zip(
        cases("unlabeled", 2), ((20, 16, 5), (80, 80, 5)), strict=True))
    found = only(unlike, study(*facts, alike, off))
    assert found.cases == ("unlabeled/unlabeled1",) and "voxels" in found.seen


def test_without_labelled_scans_nothing_is_ranked() -> None:
    assert rank_archive(study(*cases("unlabeled", 3))) == ()


def test_what_the_files_say_of_the_labelled_scans_counts_too() -> None:
    facts = [with_grid(f, modality="other") for f in cases("labeled", 4)]
    archive = with_grid(sound("unlabeled", 0), modality="CT")
    assert not list(unlike(study(*facts, archive)))
    assert "CT instead of MR" in only(unlike, study(*facts, archive, modality="MR")).seen
