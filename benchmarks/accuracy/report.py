"""The report of a protocol, as Markdown and as an HTML page: every figure comes from its results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from accuracy.arms import ALL_LABELS, LABELS, arm_named
from accuracy.protocols import ALL, COMMON, HELD_BACK, Protocol
from accuracy.statistics import (
    HARM,
    Estimate,
    Scores,
    by_patient,
    difference,
    estimate,
    gap_closed,
    harm_rate,
    holm,
    mean_of,
    wilcoxon,
    worst_patient,
)

NO_GAIN = "no gain shown"
_COLOURS = ("#c25100", "#005a9c", "#2e7d32", "#8e24aa", "#7a5c00", "#00838f", "#ad1457", "#455a64")


@dataclass(frozen=True)
class Table:
    """Rows under a caption."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Part:
    """A section: sentences, tables, and curves where there are any."""

    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    curves: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    """Dice by cost, by arm."""


class Results:
    """What the runs of a protocol gave, ready for statistics."""

    def __init__(self, protocol: Protocol, record: Mapping[str, Any], patients: Mapping[str, str]) -> None:
        """``record``: the file of the results; ``patients``: case to patient, a case that lacks is its own."""
        self.protocol, self.record, self._patients = protocol, record, patients
        self.runs: dict[str, Any] = record["runs"]

    def arms(self, labeled: int | str) -> list[str]:
        """Arms with a finished run of so many labelled patients, labels first, all labels last."""
        seen = dict.fromkeys(key.split("/")[1] for key, run in self.runs.items()
                             if key.split("/")[0] in (str(labeled), ALL) and "scores" in run)
        return sorted(seen, key=lambda arm: {LABELS: 0, ALL_LABELS: 2}.get(arm, 1))

    def of(self, labeled: int, arm: str, *, chosen: bool = False) -> dict[int, Any]:
        """The finished runs of an arm by draw."""
        count = ALL if arm_named(arm).everything else labeled
        end = "/chosen" if chosen else ""
        keys = {draw: f"{count}/{arm}/{draw}{end}" for draw in range(100)}
        return {draw: self.runs[key] for draw, key in keys.items() if key in self.runs and "scores" in self.runs[key]}

    def dice(self, labeled: int, arm: str, group: str, *, chosen: bool = False) -> Scores:
        """Each patient's Dice: the mean over structures and over the patient's scans."""
        return {draw: self._by_patient(run["scores"][group]) for draw, run in
                self.of(labeled, arm, chosen=chosen).items() if run["scores"].get(group)}

    def distance(self, labeled: int, arm: str, group: str) -> str:
        """Mean HD95 over what was found, and how many structures were missed."""
        entries = [one for run in self.of(labeled, arm).values() for case in run["scores"].get(group, {}).values()
                   for one in case.values()]
        far = [one["hd95"] for one in entries if one["hd95"] is not None and not one["missed"]]
        missed = sum(one["missed"] for one in entries)
        return f"{np.mean(far):.2f}, {missed} of {len(entries)} missed" if far else f"-, {missed} missed"

    def curve(self, labeled: int, arm: str) -> dict[float, float]:
        """Mean Dice over draws, by cost in steps of labels only."""
        points: dict[float, list[float]] = {}
        for run in self.of(labeled, arm).values():
            for iteration, dice in run["curve"].items():
                points.setdefault(round(int(iteration) * run["cost_per_step"], 1), []).append(dice)
        return {cost: float(np.mean(values)) for cost, values in sorted(points.items())}

    def failures(self) -> dict[str, str]:
        """Why a run gave nothing."""
        return {key: run["failed"] for key, run in self.runs.items() if "failed" in run}

    def _by_patient(self, cases: Mapping[str, Any]) -> dict[str, float]:
        values: dict[str, list[float]] = {}
        for name, structures in cases.items():
            found = [one["dice"] for one in structures.values() if one["dice"] is not None]
            if found:
                values.setdefault(self._patients.get(name, name), []).append(float(np.mean(found)))
        return {patient: float(np.mean(some)) for patient, some in values.items()}


def parts(results: Results) -> Iterator[Part]:
    """The whole report."""
    yield _about(results)
    for group, title in ((COMMON, "The patients that every draw scores"), (HELD_BACK, "The patients held back")):
        yield from _group(results, group, title)
    yield from _chosen(results)
    yield _curves(results)
    yield _costs(results)
    failed = results.failures()
    yield Part("Runs that failed", ["None."] if not failed else [], [] if not failed else [
        Table("Failures", ("run", "why"), [(key, reason) for key, reason in failed.items()])])
    yield _made_with(results)


def _about(results: Results) -> Part:
    protocol = results.protocol
    return Part("What is compared", [
        f"{protocol.title}. Every run costs the same: {protocol.budget:,} steps of labels only, or fewer steps of an "
        "arm whose steps cost more (processor time of one thread, measured in turns; validations are not counted).",
        "Scored are the mean weights after the last step, both networks averaged, nothing cleaned: nothing is chosen "
        "by anybody's labels. The curves are of the common patients, and choose nothing either.",
        "The unit is the patient (mean over structures and over the patient's scans). Intervals are 95 %: a bootstrap "
        "over draws of the labelled patients and over patients, no narrower than Student's t over either. Wilcoxon's "
        "signed-rank test is on the patients' means over the draws, Holm over all cells of a group. Harm: share of "
        f"the draws that lose more than {100 * HARM:g} point to labels only. Draws are nested: who is labelled first "
        "is among those of every larger number.",
        *([protocol.remark] if protocol.remark else [])])


def _group(results: Results, group: str, title: str) -> Iterator[Part]:
    counts = [n for n in results.protocol.labeled if results.of(n, LABELS)]
    changes = {f"{n}/{arm}": difference(results.dice(n, arm, group), results.dice(n, LABELS, group))
               for n in counts for arm in results.arms(n) if arm not in (LABELS, ALL_LABELS)}
    adjusted = holm({cell: wilcoxon(change) for cell, change in changes.items()})
    tables, sentences = [], []
    for n in counts:
        rows = [_row(results, n, arm, group, adjusted) for arm in results.arms(n) if results.dice(n, arm, group)]
        if rows:
            tables.append(Table(f"{n} labelled patient{'s' if n > 1 else ''}", _COLUMNS, rows))
            sentences += [_verdict(n, arm, change) for cell, change in changes.items()
                          for count, arm in [cell.split("/", 1)] if count == str(n) and change]
    if tables:
        yield Part(title, sentences, tables)


_COLUMNS = ("arm", "draws", "steps", "Dice", "minus labels only", "gap closed", "p (Holm)", "harm", "worst patient",
            "HD95, missed")


def _row(results: Results, n: int, arm: str, group: str, adjusted: Mapping[str, float]) -> list[str]:
    scores, labels = results.dice(n, arm, group), results.dice(n, LABELS, group)
    everything = results.dice(n, ALL_LABELS, group) if results.of(n, ALL_LABELS) else {}
    change = difference(scores, labels) if arm != LABELS else {}
    closed = gap_closed(scores, labels, everything) if everything and change and arm != ALL_LABELS else None
    steps = sorted({run["steps"] for run in results.of(n, arm).values()})
    worst = worst_patient(scores)
    return [arm, str(len(scores)), " to ".join(f"{count:,}" for count in dict.fromkeys((steps[0], steps[-1]))),
            _estimate(estimate(scores), sign=""), _estimate(estimate(change)) if change else "",
            _share(closed), _p(adjusted.get(f"{n}/{arm}", math.nan)),
            f"{harm_rate(change):.2f}" if change and arm != ALL_LABELS else "",
            f"{worst[1]:.3f} {worst[0].removesuffix('.nii.gz')}" if worst else "",
            results.distance(n, arm, group)]


def _verdict(n: int, arm: str, change: Scores) -> str:
    found = estimate(change)
    if found is None:
        return ""
    what = NO_GAIN if found.low <= 0 <= found.high else "a gain" if found.low > 0 else "harm"
    what, sample = (what, "") if len(change) > 1 else ("nothing shown by one draw", " over its patients alone")
    lowest = worst_patient(change)
    return (f"{n} labelled, {arm}: {what}, {_estimate(found)}{sample}; most is lost in {lowest[0]} "
            f"({100 * lowest[1]:+.1f}).")


def _chosen(results: Results) -> Iterator[Part]:
    rows = []
    for n in results.protocol.labeled:
        for arm in results.arms(n):
            for group in (COMMON, HELD_BACK):
                scores = results.dice(n, arm, group, chosen=True)
                if scores:
                    change = difference(scores, results.dice(n, LABELS, group, chosen=True))
                    rows.append([str(n), arm, group, str(len(scores)), _estimate(estimate(scores), sign=""),
                                 _estimate(estimate(change)) if change and arm != LABELS else ""])
    if rows:
        yield Part("Chosen on a fifth of the labelled cases, as the product does it", [
            "Runs of their own: they learn from the rest of the labelled cases, and the finished model is scored."],
            [Table("Chosen", ("labelled", "arm", "patients", "draws", "Dice", "minus labels only"), rows)])


def _curves(results: Results) -> Part:
    curves = {f"{arm}, {n} labelled": results.curve(n, arm) for n in results.protocol.labeled
              for arm in results.arms(n) if arm != ALL_LABELS and results.of(n, arm)}
    curves |= {"all labels": results.curve(results.protocol.labeled[0], ALL_LABELS)} if any(
        key.startswith(f"{ALL}/") for key in results.runs) else {}
    curves = {name: points for name, points in curves.items() if points}
    rows = [[name, ", ".join(f"{cost:g}: {dice:.3f}" for cost, dice in points.items())]
            for name, points in curves.items()]
    return Part("Dice against cost", ["Common patients, mean over draws; cost in steps of labels only."],
                [Table("Dice by cost", ("arm", "cost: Dice"), rows)] if rows else [], curves)


def _costs(results: Results) -> Part:
    rows = []
    for arm, cost in results.record["cost"].items():
        spent = [run["processor_s"] for key, run in results.runs.items()
                 if key.split("/")[1] == arm and "processor_s" in run]
        rows.append([arm, arm_named(arm).title, f"{cost['ratio']:.3f}",
                     " ".join(f"{part:.2f}" for part in cost["by_position"]),
                     f"{np.mean(spent) / 60:.1f}" if spent else ""])
    return Part("What a step costs", [
        "In steps of labels only: processor time of one thread, both in one process and in turns, at five places of "
        "a run. Minutes are processor time of whole runs, with reading, validations and export; a sitting that was "
        "killed is not in them."],
        [Table("Cost", ("arm", "what it is", "cost of a step", "by place", "minutes a run"), rows)] if rows else [])


def _made_with(results: Results) -> Part:
    codes = dict.fromkeys(f"{run['code']['version']}, commit {run['code']['commit'][:12]}"
                          f"{', files changed' if run['code']['changed'] else ''}" for run in results.runs.values())
    machines = dict.fromkeys(", ".join(f"{name} {value}" for name, value in run["machine"].items() if name != "date")
                             for run in results.runs.values())
    return Part("How this was made", [
        f"Command: `python -m benchmarks accuracy run {results.protocol.name}`; this page: `python -m benchmarks "
        f"accuracy report {results.protocol.name}`. The settings and the command of every run are in "
        f"`{results.protocol.name}.json`.",
        *(f"Code: alhvr {code}." for code in codes), *(f"Machine: {one}." for one in machines)])


def markdown(results: Results) -> str:
    """The report as Markdown."""
    lines = [f"# {results.protocol.title}", ""]
    for part in parts(results):
        lines += [f"## {part.title}", "", *chain.from_iterable((sentence, "") for sentence in part.sentences)]
        for table in part.tables:
            lines += [f"**{table.caption}**", "", *markdown_table(table), ""]
    return "\n".join(lines)


def markdown_table(table: Table) -> list[str]:
    """Its lines, without the caption."""
    return [f"| {' | '.join(row)} |" for row in (table.columns, ["---"] * len(table.columns), *table.rows)]


def html(results: Results) -> str:
    """The report as one page without scripts."""
    from alhvr.pages import parts as page
    from alhvr.pages.markup import element

    sections = []
    for part in parts(results):
        drawn = [_drawing(part.curves)] if part.curves else []
        tables = [page.table(table.caption, table.columns, [page.Row(row) for row in table.rows])
                  for table in part.tables]
        sections.append(page.section(part.title, *(element("p", sentence) for sentence in part.sentences), *drawn,
                                     *tables))
    return page.page(f"Accuracy: {results.protocol.name}", results.protocol.title, sections,
                     footer="Made by python -m benchmarks accuracy report.")


def curve_page(title: str, along: str, curves: Mapping[str, Mapping[float, float]]) -> str:
    """A page with Dice against something."""
    from alhvr.pages import parts as page

    return page.page(title, title, [_drawing(curves, along)], footer="Made by python -m benchmarks accuracy table.")


def _drawing(curves: Mapping[str, Mapping[float, float]], along: str = "steps of labels only") -> Any:
    """Dice (0 to 1, upwards) against cost, or what ``along`` says."""
    from alhvr.pages import parts as page
    from alhvr.pages.markup import element

    width, height, most = 360.0, 180.0, max(cost for points in curves.values() for cost in points)
    shapes = [element("path", d=f"M30 10V{height - 20}H{width}", fill="none", stroke="#888")]
    shapes += [element("text", f"{value:g}", x=8, y=height - 20 - value * (height - 30)) for value in (0, 0.5, 1)]
    shapes.append(element("text", f"{most:g} {along}", x=width, y=height - 6, text_anchor="end"))
    for number, (name, points) in enumerate(curves.items()):
        places = [(30 + cost / most * (width - 35), height - 20 - dice * (height - 30))
                  for cost, dice in points.items()]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        colour, dashes = _COLOURS[number % len(_COLOURS)], "4 2" if number >= len(_COLOURS) else None
        shapes.append(element("path", d=f"M{line}", fill="none", stroke=colour, stroke_dasharray=dashes))
        shapes.append(element("text", name, x=38, y=20 + 9 * number, fill=colour))
    return page.figure(page.drawing("chart", (width, height), *shapes, words=f"Dice against {along}, a line an arm"),
                       f"Dice of the common patients against {along}.")


def write(results: Results, folder: Path) -> tuple[Path, Path]:
    """PROTOCOL.md and PROTOCOL.html beside the results; each whole or as before."""
    files = []
    for ending, text in (("md", markdown(results)), ("html", html(results))):
        file = folder / f"{results.protocol.name}.{ending}"
        partial = file.with_name(f"{file.name}.partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
        files.append(file)
    return files[0], files[1]


def _estimate(found: Estimate | None, sign: str = "+") -> str:
    if found is None:
        return "-"
    return f"{100 * found.mean:{sign}.1f} ({100 * found.low:{sign}.1f} to {100 * found.high:{sign}.1f})"


def _share(found: Estimate | None) -> str:
    return "" if found is None else f"{100 * found.mean:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f})"


def _p(value: float) -> str:
    return "" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def mean_dice(results: Results, labeled: int, arm: str, group: str = COMMON) -> float:
    """In percent; nan where nothing ran."""
    return 100 * mean_of(results.dice(labeled, arm, group))


def n_patients(results: Results, labeled: int, arm: str, group: str = COMMON) -> int:
    """How many were scored."""
    return len(by_patient(results.dice(labeled, arm, group)))
