"""The page of a check: what comes after what."""

from __future__ import annotations

from pathlib import Path

from alhvr.checking.findings import Severity
from alhvr.checking.html_report.sections import (
    archive_section,
    findings_section,
    folders,
    forecast,
    intensities,
    labelled_section,
    structures,
    verdict,
)
from alhvr.checking.html_report.view import PICTURES, View
from alhvr.checking.result import CheckResult
from alhvr.core.files import write_text
from alhvr.pages.markup import NOTHING, Html
from alhvr.pages.parts import box, callout, page, section, soft


def write_html(path: Path, result: CheckResult) -> Path:
    """Writes the page to ``path``, whole or not at all; it needs no script, no network and no other file."""
    write_text(path, to_html(result))
    return path


def to_html(result: CheckResult) -> str:
    """The page; every name in it is escaped."""
    view = View(result)
    known = f"Known from a check before: {result.n_cached:,} of {len(result.facts):,} cases. "
    return page(
        "ALHVR: check of the data", "Check of the data",
        (
            callout(verdict(result), style="fault" if result.count(Severity.FAULT) else None),
            box(folders(view), _pictures_left_out(view)),
            section("What was found, worst first", *findings_section(view)),
            section("Structures", structures(view)),
            section("Intensities", intensities(view)),
            section("What training will take", forecast(result)),
            section("Labelled cases", labelled_section(view, "labeled")),
            section("Validation cases", labelled_section(view, "validation")),
            section("Archive", archive_section(view)),
        ),
        footer=f"{known if result.n_cached else ''}ALHVR is research software and not a medical device.",
    )


def _pictures_left_out(view: View) -> Html:
    left_out = view.n_pictures - len(view.pictured)
    if left_out <= 0:
        return NOTHING
    return soft(f"A page holds {PICTURES} pictures at most: {left_out:,} scans are shown without one.")
