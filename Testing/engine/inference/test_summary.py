"""What became of each scan: the table for people, the values for programs."""

from __future__ import annotations

import json

import pytest
from tiny_cases import Listener

from alhvr.core.progress import JsonReporter
from alhvr.inference.summary import (
    DONE_BEFORE,
    FAILED,
    KEPT,
    SEGMENTED,
    CaseResult,
    SegmentResult,
    columns,
    shorten,
    summary,
    table,
)

OUTCOMES = (
    CaseResult("bad", FAILED, reason="bad.nii.gz is cut short."),
    CaseResult("case-01", SEGMENTED, 12.34, {"liver": 1500.25, "spleen": 90.5}),
    CaseResult("肝臓", DONE_BEFORE, None, {"liver": 7.0, "spleen": 0.0}),
    CaseResult("edited", KEPT, reason="edited.seg.nrrd was changed."),
)


def test_every_scan_has_a_row_and_every_structure_a_column() -> None:
    assert table(OUTCOMES, 80).splitlines() == [
        "scan     outcome      seconds  liver ml  spleen ml",
        "bad      failed             -         -          -",
        "case-01  segmented       12.3    1500.2      90.50",
        "肝臓     done before        -       7.0       0.00",
        "edited   kept               -         -          -",
        "bad: bad.nii.gz is cut short.",
        "edited: edited.seg.nrrd was changed.",
    ]


def test_where_the_structures_do_not_fit_there_is_one_column_for_all() -> None:
    lines = table(OUTCOMES, 50).splitlines()
    assert lines[0] == "scan     outcome      seconds  all ml"
    assert lines[2].split() == ["case-01", "segmented", "12.3", "1590.8"]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_rows_are_never_wider_than_the_terminal(width: int) -> None:
    long = [CaseResult("patient-" * 20 + str(n), SEGMENTED, 1.0, {f"structure {i}": 1.0 for i in range(n)})
            for n in range(30)]
    rows = table(long, width).splitlines()
    assert len(rows) == 31 and max(columns(row) for row in rows) <= width


def test_only_failures_make_a_table_without_volumes() -> None:
    assert table(OUTCOMES[:1], 80).splitlines()[:2] == ["scan  outcome  seconds", "bad   failed         -"]


def test_volumes_of_scans_without_a_true_spacing_are_told_apart() -> None:
    true, nominal = (CaseResult("a", SEGMENTED, 1.0, {"x": 1.0}, nominal=nominal) for nominal in (False, True))
    assert "1 x 1 x 1 mm" in table([nominal], 80) and "1 x 1 x 1 mm" not in table([true], 80)


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    assert shorten("patient-0000-series-12", 12) == "patie..es-12"
    assert shorten("short", 12) == "short" and columns(shorten("肝" * 20, 9)) <= 9


def test_the_last_line_counts_the_kinds() -> None:
    assert summary(OUTCOMES, 75) == ("4 scans: 1 segmented, 1 done before, 1 kept because changed, 1 failed; "
                                     "75 s in all.")
    assert summary(OUTCOMES[:1], 3) == "1 scan: 1 failed; 3 s in all."


def test_people_get_the_table_and_programs_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    result, listener = SegmentResult(OUTCOMES, 20.0), Listener()
    result.tell(listener)
    assert listener.notes[0].startswith("scan ") and listener.notes[-1].endswith("20 s in all.")
    result.tell(JsonReporter())
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert [scan["outcome"] for scan in event["scans"]] == ["failed", "segmented", "done_before", "kept"]
    assert (event["event"], event["segmented"], event["done_before"], event["kept"], event["failed"]) == (
        "finished", 1, 1, 1, 1)
    assert event["scans"][1] == {
        "scan": "case-01", "outcome": "segmented", "seconds": 12.34, "volumes_ml": {"liver": 1500.25, "spleen": 90.5},
        "spacing_may_be_nominal": False, "files": [], "reason": ""}
