"""The check as one HTML page for people: the worst first, then the cases, then the archive by how far off it is."""

from __future__ import annotations

from pathlib import Path
from string import Template

from alhvr.checking.findings import Severity
from alhvr.checking.html_report.findings_list import findings_section
from alhvr.checking.html_report.overview import folders, forecast, intensities, structures, verdict
from alhvr.checking.html_report.sections import archive_section, labelled_section
from alhvr.checking.html_report.style import STYLE
from alhvr.checking.html_report.view import PICTURES, View, text
from alhvr.checking.result import CheckResult
from alhvr.core.files import write_text


def write_html(path: Path, result: CheckResult) -> Path:
    """Writes the page to ``path``, whole or not at all; it needs no script, no network and no other file."""
    write_text(path, to_html(result))
    return path


def to_html(result: CheckResult) -> str:
    """The page; every name in it is escaped."""
    view = View(result)
    known = f"Known from a check before: {result.n_cached:,} of {len(result.facts):,} cases."
    return Template(_PAGE).substitute(
        style=STYLE,
        state="fault" if result.count(Severity.FAULT) else "",
        verdict=text(verdict(result)),
        folders=folders(view),
        findings=findings_section(view),
        structures=structures(view),
        intensities=intensities(view),
        forecast=forecast(result),
        labelled=_titled("Labelled cases", labelled_section(view, "labeled")),
        validation=_titled("Validation cases", labelled_section(view, "validation")),
        archive=_archive(view),
        pictures=_pictures_left_out(view),
        known=known if result.n_cached else "",
    )


def _titled(title: str, content: str) -> str:
    return f"<h2>{title}</h2>{content}" if content else ""


def _archive(view: View) -> str:
    """The archive under a heading that tells what its order means."""
    how = ("The furthest from the labelled scans first: 0 is within them, 1 at the edge of what is alike, more is off."
           if view.result.unlike else "By name.")
    return _titled("Archive", f"<p class=soft>{how}</p>{archive_section(view)}" if view.archive else "")


def _pictures_left_out(view: View) -> str:
    left_out = view.n_pictures - len(view.pictured)
    if left_out <= 0:
        return ""
    return f"<p class=soft>A page holds {PICTURES} pictures at most: {left_out:,} scans are shown without one.</p>"


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>ALHVR: check of the data</title><style>$style</style></head><body><main>
<h1>Check of the data</h1>
<div class="verdict $state">$verdict</div>
<section style="margin-top:.8rem">$folders$pictures</section>
<h2>What was found, worst first</h2>
$findings
$structures
$intensities
$forecast
$labelled
$validation
$archive
<footer>$known ALHVR is research software and not a medical device.</footer>
</main></body></html>
"""
