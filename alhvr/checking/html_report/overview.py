"""The overview of the check's page: the folders, the structures over all cases, the intensities, the forecast."""

from __future__ import annotations

import statistics

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Severity
from alhvr.checking.html_report.charts import dots, figure, intensity_chart
from alhvr.checking.html_report.pictures import structure_style
from alhvr.checking.html_report.view import PART_NAMES, View, text
from alhvr.checking.result import PARTS, CheckResult


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
