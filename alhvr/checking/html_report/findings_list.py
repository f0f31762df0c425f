"""The findings of the check's page: what was seen, where, what to do, and a look at the worst cases."""

from __future__ import annotations

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import KINDS, Finding, Severity
from alhvr.checking.html_report.pictures import picture_again
from alhvr.checking.html_report.view import SHOWN_PER_FINDING, View, text

SIGNS = {Severity.FAULT: "\u2716", Severity.WARNING: "\u25b2", Severity.NOTE: "\u25cf"}
"""A shape for each severity, so that colour is not needed."""

_FILES_AT_ONCE = 6
_FILES_AT_MOST = 200


def findings_section(view: View) -> str:
    """All findings in their order; a sentence where there are none."""
    findings = view.result.findings
    if not findings:
        return "<section><p>Nothing was found that could be mended.</p></section>"
    return "".join(_finding(view, number, finding) for number, finding in enumerate(findings, start=1))


def references(numbers: list[int], view: View) -> str:
    """Links to the findings about one case, each with its sign."""
    signs = (SIGNS[view.result.findings[number - 1].severity] for number in numbers)
    return " ".join(f'<a class="ref" href="#f{number}">{sign} {number}</a>'
                    for number, sign in zip(numbers, signs, strict=True))


def _finding(view: View, number: int, finding: Finding) -> str:
    kind = finding.severity.value
    title = text(KINDS.get(finding.kind, finding.kind))
    return (f'<article class="finding {kind}" id="f{number}"><h3><span class="badge">{SIGNS[finding.severity]} {kind} '
            f"{number}</span> {title}</h3><p class=seen>{text(finding.seen)}</p>"
            f"<p class=remedy><b>What to do:</b> {text(finding.remedy)}</p>"
            f"{_pictures(view, finding)}{_cases(view, finding)}{_files(view, finding)}</article>")


def _pictures(view: View, finding: Finding) -> str:
    """The worst cases of a fault or warning; a note needs no look."""
    shown = []
    for key in finding.cases[:SHOWN_PER_FINDING] if finding.severity is not Severity.NOTE else ():
        facts = view.case(key)
        shown += _case_pictures(view, facts) if facts is not None else []
    return f'<div class="strip">{"".join(shown[:SHOWN_PER_FINDING])}</div>' if shown else ""


def _case_pictures(view: View, facts: CaseFacts) -> list[str]:
    named = zip(view.picture_names(facts), facts.images, strict=True)
    return [f"<figure>{picture_again(image.thumbnail, name, f'A slice of {facts.case.name}')}"
            f"<figcaption>{text(facts.case.name)}</figcaption></figure>"
            for name, image in named if name in view.pictured]


def _cases(view: View, finding: Finding) -> str:
    if not finding.cases:
        return ""
    return f"<div class=soft>{_folded([view.links([key]) for key in finding.cases], 'Cases', 'cases')}</div>"


def _files(view: View, finding: Finding) -> str:
    if not finding.files:
        return ""
    return f"<div class=soft>{_folded([view.file(path) for path in finding.files], 'Files', 'files')}</div>"


def _folded(entries: list[str], title: str, unit: str) -> str:
    """The first entries, and the rest behind a line that unfolds."""
    first, rest = entries[:_FILES_AT_ONCE], entries[_FILES_AT_ONCE:_FILES_AT_MOST]
    shown = f"{title}: {', '.join(first)}"
    if not rest:
        return shown
    left_out = len(entries) - _FILES_AT_MOST
    end = f"; {left_out} more are in the JSON file" if left_out > 0 else ""
    summary = f"and {len(entries) - len(first)} more {unit}"
    return f"{shown} <details><summary>{summary}</summary>{', '.join(rest)}{end}</details>"
