"""Rules on repetition: scans, labels and patients that are there twice."""

from __future__ import annotations

from studies import cases, only, sound, study, with_case, with_image, with_label, with_structures

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Severity
from alhvr.checking.rules import duplicates


def copy_of(facts: CaseFacts, of: CaseFacts) -> CaseFacts:
    return with_image(facts, content=of.images[0].content)


def patient(facts: CaseFacts, digest: str) -> CaseFacts:
    return with_image(facts, patient=digest)


def test_a_scan_that_is_labelled_twice_is_a_warning_that_tells_whether_the_labels_agree() -> None:
    one, two = cases("labeled", 2)
    found = only(duplicates.scans, study(one, copy_of(two, one)))
    assert (found.kind, found.severity) == ("scan_twice", Severity.WARNING)
    assert "labeled0.nii.gz (labelled) and labeled1.nii.gz (labelled), with different labels." in found.seen
    same = with_label(copy_of(two, one), content=one.label.content)
    assert "with different labels" not in only(duplicates.scans, study(one, same)).seen


def test_a_scan_to_learn_from_and_to_validate_on_is_a_fault() -> None:
    one, two = sound("labeled", 0), sound("validation", 0)
    found = only(duplicates.scans, study(one, copy_of(two, one)))
    assert (found.kind, found.severity) == ("scan_in_training_and_validation", Severity.FAULT)


def test_scans_of_the_archive_that_are_labelled_too_are_left_out_with_one_warning() -> None:
    known = cases("labeled", 3)
    archive = cases("unlabeled", 5)
    copies = [copy_of(a, k) for a, k in zip(archive, known, strict=False)]
    found = only(duplicates.scans, study(*known, *copies, *archive[3:]))
    assert (found.kind, found.severity, len(found.cases)) == ("scan_in_archive_too", Severity.WARNING, 3)
    assert "unlabeled0.nii.gz is the same scan as labeled0" in found.seen


def test_a_scan_that_is_in_the_archive_twice_is_left_out_once() -> None:
    one, two = cases("unlabeled", 2)
    found = only(duplicates.scans, study(sound("labeled", 0), one, copy_of(two, one)))
    assert (found.kind, found.cases) == ("scan_twice", ("unlabeled/unlabeled1",))


def test_one_label_under_two_scans_is_told_but_not_an_empty_one() -> None:
    one, two = cases("labeled", 2)
    two = with_label(two, content=one.label.content)
    assert only(duplicates.labels, study(one, two)).kind == "label_twice"
    assert not list(duplicates.labels(study(with_structures(one), with_structures(two))))


def test_a_patient_on_both_sides_is_a_fault_where_cases_json_or_a_header_says_so() -> None:
    told = [with_case(sound(part, 0), patient="A17") for part in ("labeled", "validation")]
    read = [patient(sound(part, 0), "d1") for part in ("labeled", "validation")]
    for facts in (told, read):
        found = only(duplicates.patients, study(*facts))
        assert (found.kind, found.severity) == ("patient_in_training_and_validation", Severity.FAULT)
        assert "A17" not in found.seen and "d1" not in found.seen and "labeled0" in found.seen


def test_a_patient_on_both_sides_by_name_is_a_warning() -> None:
    one, two = (with_case(sound(p, 0), name=n) for p, n in (("labeled", "patient012_frame01"),
                                                            ("validation", "Patient012_frame09")))
    assert only(duplicates.patients, study(one, two)).severity is Severity.WARNING


def test_other_names_tell_no_patients() -> None:
    names = [("labeled", "case_001"), ("validation", "case_001"), ("labeled", "sub-1_T1"), ("validation", "sub-11_T1")]
    scans = [with_case(sound(part, n), name=name) for n, (part, name) in enumerate(names)]
    assert not list(duplicates.patients(study(*scans)))


def test_several_scans_of_one_patient_on_one_side_are_fine() -> None:
    scans = [patient(facts, "d1") for facts in cases("labeled", 2)]
    assert not list(duplicates.patients(study(*scans, sound("validation", 0))))


def test_an_id_that_all_scans_share_is_a_placeholder() -> None:
    everybody = [patient(f, "anonymous") for f in (*cases("labeled", 3), *cases("validation", 2))]
    assert not list(duplicates.patients(study(*everybody, sound("labeled", 9))))
    assert not duplicates.patient_of_each(everybody)


def test_patients_are_told_apart_by_the_file_then_the_header_then_the_name() -> None:
    facts = [with_case(patient(sound("labeled", 0), "d1"), patient="A"), patient(sound("labeled", 1), "d1"),
             with_case(sound("labeled", 2), name="sub-7_T1"), sound("labeled", 3)]
    assert list(duplicates.patient_of_each(facts)) == [("cases.json", "A"), ("dicom", "d1"), ("name", "sub-7")]
