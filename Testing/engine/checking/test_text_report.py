"""Telling: the list for people, the events for programs, and one line for all faults."""

from __future__ import annotations

import json
from pathlib import Path

from checked import check_result, finding
from tiny_cases import Listener

from alhvr.checking.findings import Severity
from alhvr.checking.text_report import OF_A_KIND, emit, faults_as_error, listing, sentence, write_reports

FAULT = finding("label_on_another_grid", Severity.FAULT, "labeled/one", seen="The label one lies elsewhere.")
WARNING = finding("holes", Severity.WARNING, "labeled/two", seen="The liver has holes.")
NOTE = finding("nominal_spacing", Severity.NOTE, seen="The spacing is 1 mm.")


def test_people_read_findings_under_headings_with_their_remedies() -> None:
    text = listing(check_result(findings=(FAULT, WARNING, NOTE)))
    assert text.startswith("Checked 6 cases (2 known from a check before): 3 labelled, 1 for validation, 2 without")
    places = [text.index(words) for words in ("Faults (1)", "Label on another grid than its scan: The label one lies",
                                              "> Do something", "Warnings (1)", "Holes", "Notes (1)", "Forecast",
                                              "Training would not start")]
    assert places == sorted(places)


def test_sound_data_is_ready_and_an_archive_alone_is_neither() -> None:
    assert listing(check_result()).endswith("Training can start.\n")
    alone = check_result()
    alone = check_result(sets={"unlabeled": alone.sets["unlabeled"]})
    assert "Training" not in listing(alone).replace("Training will", "")


def test_programs_hear_of_notes_apart_and_of_faults_by_that_name() -> None:
    reporter = Listener()
    emit(check_result(findings=(FAULT, WARNING, NOTE)), reporter)
    assert reporter.warnings == [f"Fault: {sentence(FAULT)}", sentence(WARNING)]
    assert reporter.notes == [sentence(NOTE), "Three steps were measured."]


def test_of_many_findings_of_a_kind_the_first_are_told_and_the_rest_counted() -> None:
    many = tuple(finding("unreadable_image", Severity.FAULT, f"labeled/{n}", seen=f"Scan {n} is broken.")
                 for n in range(OF_A_KIND + 4))
    reporter = Listener()
    emit(check_result(findings=(*many, WARNING)), reporter)
    assert len(reporter.warnings) == OF_A_KIND + 2
    assert f"4 more of this kind, the first: Scan {OF_A_KIND} is broken." in reporter.warnings[OF_A_KIND]


def test_one_fault_is_the_line_itself_and_several_are_counted() -> None:
    one = faults_as_error(check_result(findings=(FAULT, WARNING)))
    assert str(one) == "There is a fault in the data: The label one lies elsewhere. Do something about it."
    two = str(faults_as_error(check_result(findings=(FAULT, FAULT)), where=Path("run/check.html"), may_force=True))
    assert two.startswith("There are 2 faults in the data, all listed above; the first: The label one")
    assert "Look at run/check.html." in two and "With --force" in two


def test_force_is_not_offered_where_it_would_not_help() -> None:
    nothing = finding("no_usable_case", Severity.FAULT)
    assert "--force" not in str(faults_as_error(check_result(findings=(nothing, FAULT)), may_force=True))


def test_reports_are_written_beside_each_other(tmp_path: Path) -> None:
    write_reports(check_result(findings=(FAULT,)), tmp_path / "c.json", Listener())
    assert json.loads((tmp_path / "c.json").read_text())["counts"]["faults"] == 1
    assert "lies elsewhere" in (tmp_path / "c.html").read_text()
