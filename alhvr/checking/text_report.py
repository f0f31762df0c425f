"""Telling: what a check found, as lines for people and as events for programs."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from alhvr.checking.findings import KINDS, Finding, Severity
from alhvr.checking.html_report.page import write_html
from alhvr.checking.report_json import write_json
from alhvr.checking.result import CheckResult
from alhvr.checking.selection import NEVER_FORCED
from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.core.progress import Reporter

OF_A_KIND = 5
"""Longest list of findings of one kind; a page shows them all."""
_WIDTH = 100
_WORDS = {"labeled": "labelled", "validation": "for validation", "unlabeled": "without labels"}
_HEADINGS = {Severity.FAULT: "Faults", Severity.WARNING: "Warnings", Severity.NOTE: "Notes"}


def write_reports(result: CheckResult, file: Path, reporter: Reporter) -> None:
    """Writes ``file`` for programs, and a page of the same name for people beside it."""
    reporter.artifact("check", str(write_json(file, result)))
    reporter.artifact("check page", str(write_html(file.with_suffix(".html"), result)))


def emit(result: CheckResult, reporter: Reporter) -> None:
    """Every finding as a sentence, notes apart from what is wrong, and the forecast."""
    for finding in _shortened(result.findings):
        speak = reporter.note if finding.severity is Severity.NOTE else reporter.warning
        speak(("Fault: " if finding.severity is Severity.FAULT else "") + sentence(finding))
    for text in result.forecast.sentences if result.forecast else ():
        reporter.note(text)


def listing(result: CheckResult) -> str:
    """Findings under headings, worst first, and the forecast: text for a terminal."""
    lines = [_counted(result)]
    for severity, heading in _HEADINGS.items():
        found = [f for f in _shortened(result.findings) if f.severity is severity]
        if found:
            lines += ["", f"{heading} ({result.count(severity)})"]
        for finding in found:
            lines += ["", *_wrap(f"{KINDS[finding.kind]}: {finding.seen}", "- ", "  "),
                      *_wrap(finding.remedy, "  > ", "    ")]
    if result.forecast:
        lines += ["", "Forecast", "", *(f"- {text}" for text in result.forecast.sentences)]
    if result.count(Severity.FAULT):
        lines += ["", "Training would not start on this data."]
    elif "labeled" in result.sets:
        lines += ["", "Training can start."]
    return "\n".join(lines) + "\n"


def sentence(finding: Finding) -> str:
    """What was seen and what to do, on one line."""
    return f"{finding.seen} {finding.remedy}".strip()


def faults_as_error(result: CheckResult, *, where: Path | None = None, may_force: bool = False) -> UserError:
    """One line for all faults: the fault itself where there is but one, else how many there are, and the worst.

    ``where``: the page that shows them all; ``may_force``: training is allowed to go on despite them.
    """
    faults = [f for f in result.findings if f.severity is Severity.FAULT]
    counted = "There is a fault in the data" if len(faults) == 1 else f"There are {len(faults)} faults in the data"
    hints = [faults[0].remedy]
    if len(faults) > 1:
        counted += ", all listed above; the first"
    if where:
        hints.append(f"Look at {where}.")
    if may_force and not {f.kind for f in faults} & NEVER_FORCED:
        hints.append("With --force it goes on all the same.")
    return UserError(f"{counted}: {faults[0].seen}", " ".join(hints))


def _counted(result: CheckResult) -> str:
    counts = ", ".join(f"{len(result.part(part))} {word}" for part, word in _WORDS.items() if part in result.sets)
    known = f" ({result.n_cached} known from a check before)" if result.n_cached else ""
    return f"Checked {len(result.facts)} cases{known}: {counts or 'none'}."


def _shortened(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The first of each kind and severity, and how many more there are."""
    groups: dict[tuple[Severity, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.kind].append(finding)
    for (severity, kind), group in groups.items():
        yield from group[:OF_A_KIND]
        rest = group[OF_A_KIND:]
        if rest:
            files = tuple(file for finding in rest for file in finding.files)
            yield Finding(kind, severity, files, f"{len(rest)} more of this kind, the first: {rest[0].seen}",
                          rest[0].remedy)


def _wrap(text: str, first: str, further: str) -> list[str]:
    return textwrap.wrap(shown(text), _WIDTH, initial_indent=first, subsequent_indent=further, break_long_words=False,
                         break_on_hyphens=False)
