"""Sections of the page: overview, findings, and the card of each case."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from alhvr.checking.facts import CaseFacts, ImageFacts
from alhvr.checking.findings import KINDS, Finding, Severity
from alhvr.checking.html_report.charts import (
    dots,
    figure,
    histogram,
    intensity_chart,
    picture,
    picture_again,
    structure_style,
)
from alhvr.checking.html_report.view import PART_NAMES, SHOWN_PER_FINDING, View, text
from alhvr.checking.measure import orientation_code
from alhvr.checking.result import PARTS, CheckResult, Outlier, case_key

LISTED = 2000
"""Most rows of the table of the archive."""

SIGNS = {Severity.FAULT: "\u2716", Severity.WARNING: "\u25b2", Severity.NOTE: "\u25cf"}
"""A shape for each severity, so that colour is not needed."""

_FILES_AT_ONCE = 6
_FILES_AT_MOST = 200


def labelled_section(view: View, part: str) -> str:
    """Every case of a labelled part: pictures, grid, intensities, structures and what was found."""
    return _all([_labelled(view, facts) for facts in view.result.part(part)], "rows")


def archive_section(view: View) -> str:
    """The archive, the furthest off first: pictures as long as there are any left, a table of the rest."""
    unlike = {entry.case: entry for entry in view.result.unlike}
    with_picture = [facts for facts in view.archive if set(view.picture_names(facts)) & view.pictured]
    shown = {case_key(facts) for facts in with_picture}
    rest = [facts for facts in view.archive if case_key(facts) not in shown]
    cards = [_card(view, facts, unlike.get(case_key(facts))) for facts in with_picture]
    return _all(cards, "cards") + _table(view, rest, unlike)


def _all(entries: list[str], style: str) -> str:
    return f'<div class="{style}">{"".join(entries)}</div>' if entries else ""


def _labelled(view: View, facts: CaseFacts) -> str:
    body = f"<div>{_pictures(view, facts)}</div><div>{_grid(facts)}{_structures(view, facts)}</div>"
    charts = "".join(histogram(image) for image in facts.images)
    return f'<article class="case" {_anchor(view, facts)}>{_head(view, facts)}{body}<div>{charts}</div></article>'


def _card(view: View, facts: CaseFacts, unlike: Outlier | None) -> str:
    far = f"<p class=soft>{_how_far(unlike)}</p>" if unlike else ""
    charts = "".join(histogram(image) for image in facts.images)
    return (f'<article class="card" {_anchor(view, facts)}>{_head(view, facts)}<div>{_pictures(view, facts)}</div>'
            f"<div>{charts}</div>{far}{_grid(facts)}</article>")


def _table(view: View, cases: Sequence[CaseFacts], unlike: dict[str, Outlier]) -> str:
    if not cases:
        return ""
    rows = []
    for facts in cases[:LISTED]:
        entry = unlike.get(case_key(facts))
        far, what = (figure(entry.how_far), entry.what) if entry else ("\u2013", "")
        rows.append(f"<tr {_anchor(view, facts)}><th scope=row>{text(facts.case.name)}</th><td>{far}</td>"
                    f"<td>{_grids(facts)}</td><td>{text(what)} {_problems(facts)} {_found(view, facts)}</td></tr>")
    left_out = len(cases) - len(rows)
    more = f"<p class=soft>{left_out} more scans are in the JSON file.</p>" if left_out else ""
    return ("<table><thead><tr><th>Scan</th><th>How far off</th><th>Grid</th><th>Remarks</th></tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>{more}")


def _anchor(view: View, facts: CaseFacts) -> str:
    return f'id="c{view.numbers[case_key(facts)]}"'


def _head(view: View, facts: CaseFacts) -> str:
    return f"<h3>{text(facts.case.name)} {_found(view, facts)}</h3>{_problems(facts)}"


def _found(view: View, facts: CaseFacts) -> str:
    return references(view.findings_of.get(case_key(facts), []), view)


def _problems(facts: CaseFacts) -> str:
    problems = [problem for problem in (facts.image_problem, facts.label_problem) if problem is not None]
    return "".join(f'<p class="problem">{text(problem.message)}</p>' for problem in problems)


def _how_far(unlike: Outlier) -> str:
    return f"How far off: <b>{figure(unlike.how_far)}</b>. {text(unlike.what)}"


def _pictures(view: View, facts: CaseFacts) -> str:
    """One per channel; the label is drawn on the first."""
    shown = []
    for channel, (name, image) in enumerate(zip(view.picture_names(facts), facts.images, strict=True)):
        if name in view.pictured:
            outline = facts.label.outline if facts.label and not channel else None
            shown.append(picture(image.thumbnail, outline, view.styles(facts), name))
    return "".join(shown)


def _grid(facts: CaseFacts) -> str:
    return f"<p>{_grids(facts)}</p>" if facts.images else ""


def _grids(facts: CaseFacts) -> str:
    """Each grid once, although channels may share it."""
    return "<br>".join(dict.fromkeys(_one_grid(image) for image in facts.images))


def _one_grid(image: ImageFacts) -> str:
    grid = image.geometry
    placeholder = " (may be a placeholder)" if grid.nominal else ""
    field = f", {figure(image.field_strength_t)} T" if image.field_strength_t else ""
    modality = "" if image.print.modality == "other" else f", {image.print.modality}{field}"
    spacing = f"{_times(grid.spacing_mm)} mm{placeholder}"
    return f"{_times(grid.size_ijk)} voxels of {spacing}, {orientation_code(grid)}{modality}"


def _times(values: Iterable[float]) -> str:
    return " \u00d7 ".join(figure(value) for value in values)


def _structures(view: View, facts: CaseFacts) -> str:
    label = facts.label
    if label is None:
        return ""
    entries = [f"<li>{text(view.structure_name(value))} <b>{figure(view.volume(entry))} {view.unit}</b>, "
               f"{_slices(entry.slices)}{f', {entry.n_parts} parts' if entry.n_parts > 1 else ''}</li>"
               for value, entry in sorted(label.structures.items())]
    declared = [f"<li>{text(view.structure_name(value))} <b>not annotated here</b></li>"
                for value in facts.case.not_annotated]
    share = label.n_not_annotated / max(1, label.n_voxels)
    open_voxels = [f"<li>{figure(100 * share)} % of the voxels not annotated; something is annotated in "
                   f"{label.annotated_slices} of {label.slices} slices</li>"] if label.n_not_annotated else []
    return f'<ul>{"".join([*entries, *declared, *open_voxels]) or "<li>The label is empty.</li>"}</ul>'


def _slices(count: int) -> str:
    return "1 slice" if count == 1 else f"{count} slices"


def verdict(result: CheckResult) -> str:
    """One plain sentence: whether training may start, and how much there is to look at."""
    faults, warnings = result.count(Severity.FAULT), result.count(Severity.WARNING)
    notes = result.count(Severity.NOTE)
    counts = [_count(n, what) for n, what in ((faults, "fault"), (warnings, "warning"), (notes, "note")) if n]
    found = f": {_and(counts)}." if counts else ": nothing was found."
    if faults:
        return f"Training would not start{found}"
    return f"Training can start{found}"


def folders(view: View) -> str:
    """Each part: how many cases, where they lie, how many cannot be used (HTML definition list)."""
    entries = []
    for part in PARTS:
        cases = view.result.part(part)
        if not cases:
            continue
        bad = sum(not facts.usable for facts in cases)
        unusable = f", {bad} of them cannot be used" if bad else ""
        place = f"<br><code>{text(view.result.sets[part].folder)}</code>" if part in view.result.sets else ""
        entries.append(f"<div><dt>{PART_NAMES[part].capitalize()}</dt><dd>{_count(len(cases), 'case')}{unusable}"
                       f"{place}</dd></div>")
    return f"<dl>{''.join(entries)}</dl>"


def structures(view: View) -> str:
    """A row per structure: its line in the pictures, in how many cases it is, its volumes."""
    cases = [facts for part in ("labeled", "validation") for facts in view.result.part(part) if facts.label]
    known = list(view.result.labels.values) if view.result.labels else []
    values = known + sorted({value for facts in cases for value in facts.label.structures} - set(known))
    if not values:
        return ""
    rows = "".join(_structure(view, cases, value, index) for index, value in enumerate(values))
    return ("<h2>Structures</h2><section><table><thead><tr><th>Structure</th><th>Value</th><th>Cases to learn from</th>"
            f"<th>Cases to validate on</th><th>Smallest, median, largest [{view.unit}]</th><th>Volumes from 0</th></tr>"
            f"</thead><tbody>{rows}</tbody></table></section>")


def intensities(view: View) -> str:
    """One chart for each channel."""
    result = view.result
    labelled = [*result.part("labeled"), *result.part("validation")]
    n_channels = max((len(facts.images) for facts in result.facts), default=0)
    charts = []
    for channel in range(n_channels):
        chart = intensity_chart(*([facts.images[channel] for facts in cases if len(facts.images) > channel]
                                  for cases in (labelled, result.part("unlabeled"))))
        charts.append(f"<h3>{text(_channel_name(result, channel))}</h3>{chart}" if n_channels > 1 else chart)
    if not any(charts):
        return ""
    return ('<h2>Intensities</h2><section><p class=soft><span class="key curve"></span>labelled scans, one line each '
            '&nbsp; <span class="key band"></span>the middle 80 % of the archive. Heights are square roots, so that '
            f"rare intensities can be seen.</p>{''.join(charts)}</section>")


def forecast(result: CheckResult) -> str:
    """What training will take, beside what is free."""
    if result.forecast is None:
        return ""
    expected = result.forecast
    rows = (("Memory", f"{figure(expected.memory_gb)} GB", expected.free_memory_gb),
            ("Time", _duration(expected.minutes), None),
            ("Disk", f"{figure(expected.disk_gb)} GB", expected.free_disk_gb))
    entries = "".join(f"<div><dt>{name}</dt><dd><b>{value}</b>{_free(free)}</dd></div>" for name, value, free in rows)
    sentences = "".join(f"<p class=soft>{text(sentence)}</p>" for sentence in expected.sentences)
    return f"<h2>What training will take</h2><section><dl>{entries}</dl>{sentences}</section>"


def _structure(view: View, cases: list[CaseFacts], value: int, index: int) -> str:
    with_it = [facts for facts in cases if value in facts.label.structures]
    volumes = [view.volume(facts.label.structures[value]) for facts in with_it]
    name = text(view.structure_name(value))
    spread = " \u2013 ".join(figure(f(volumes)) for f in (min, statistics.median, max)) if volumes else "\u2013"
    counted = "".join(f"<td>{_share(view, with_it, part)}</td>" for part in ("labeled", "validation"))
    style = structure_style(index)
    line = f'<svg class="swatch" viewBox="0 0 16 8" aria-hidden="true"><path {style} d="M0 4H16"/></svg>'
    chart = dots(volumes, max(volumes), f"Volumes of {view.structure_name(value)}") if volumes else ""
    return f"<tr><th scope=row>{line} {name}</th><td>{value}</td>{counted}<td>{spread}</td><td>{chart}</td></tr>"


def _share(view: View, with_it: list[CaseFacts], part: str) -> str:
    labelled = sum(facts.label is not None for facts in view.result.part(part))
    return f"{sum(facts.part == part for facts in with_it)} of {labelled}" if labelled else "\u2013"


def _channel_name(result: CheckResult, channel: int) -> str:
    for cases in result.sets.values():
        if channel < len(cases.channels):
            return cases.channels[channel].name
    return f"channel {channel}"


def _free(gigabytes: float | None) -> str:
    return "" if gigabytes is None else f" of {figure(gigabytes)} GB free"


def _duration(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    return f"{figure(minutes)} minutes" if minutes < 90 else f"{figure(minutes / 60)} hours"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


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
            f"{_finding_pictures(view, finding)}{_cases(view, finding)}{_files(view, finding)}</article>")


def _finding_pictures(view: View, finding: Finding) -> str:
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
