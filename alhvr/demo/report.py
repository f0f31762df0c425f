"""The demo's one-page report: scores of both models, an honest verdict, pictures and curves, in one HTML file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from alhvr.core.files import write_text
from alhvr.demo.overlays import REGION_COLOURS
from alhvr.evaluation.results import ALL, Report
from alhvr.formats.region_tables import REGION_NAMES

CLEAR_DICE = 0.01
"""Differences of the mean Dice below this are called no difference."""

LEARNED_DICE = 0.2
"""Below this mean Dice a model has not learned its task."""

REGION_MEANINGS = {
    1: "Both networks stay sure of their answer when they are disturbed. Look here last.",
    2: "One network stays sure, the other does not. While training, the unsure one learns here from the sure one.",
    3: "Neither network is sure. While training, both learn here from the more confident of their undisturbed "
       "answers. Look here first when you check or correct a result.",
}
"""Region value to what it means, in one or two plain sentences."""

NEXT_STEPS = (
    ("Put a few labelled scans into <code>images/</code> and <code>labels/</code> with the same file names, and all "
     "other scans of the same kind into a folder of their own.", None),
    ("Train on both:", "alhvr train --labeled my-labelled --unlabeled my-archive --out my-run"),
    ("Segment new scans, with the regions to look at:",
     "alhvr segment --model my-run/model new-scans --out results --regions"),
    ("Score it on scans that training has never seen, before you trust it:",
     "alhvr evaluate --predictions results --reference my-test-scans"),
)
"""What to do with one's own scans: a sentence (HTML) and a command line."""


@dataclass(frozen=True)
class DemoResults:
    """Everything that the page shows."""

    labels_only: Report
    """Test scores of the model that learned from the labels only."""
    with_archive: Report
    """Test scores of the model that learned from the labels and the archive, for the same number of iterations."""
    region_shares: Mapping[int, float]
    """Region value to its part of the new scan, 0 to 1."""
    pictures: Mapping[str, bytes]
    """"segmentation", "regions" and "curves" as PNG."""
    facts: Mapping[str, str]
    """What was run, name to value."""
    files: Mapping[str, str]
    """What lies in the folder, name to description."""


def write_demo_report(path: Path, results: DemoResults) -> Path:
    """Writes the page to ``path``: one file without scripts or links to anywhere; never half written."""
    page = Template(_PAGE).substitute(
        style=_STYLE,
        verdict="".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(results)),
        scores=_scores_table(results),
        cases=_cases_table(results),
        segmentation=_picture(results, "segmentation", "A test scan in three planes: the true label beside what each "
                              "of the two models found."),
        regions=_picture(results, "regions", "A new scan in three planes: its three regions and how sure each network "
                         "is."),
        curves=_picture(results, "curves", "Losses and validation Dice of both trainings over the iterations."),
        meanings="".join(_meaning(value, results.region_shares.get(value, 0.0)) for value in REGION_NAMES),
        steps="".join(_step(text, command) for text, command in NEXT_STEPS),
        facts=_definitions(results.facts),
        files=_definitions(results.files, code=True),
    )
    write_text(path, page)
    return path


def verdict(results: DemoResults) -> tuple[str, ...]:
    """Plain sentences on whether the archive helped, whichever way it went."""
    before, after = (_mean_dice(report) for report in (results.labels_only, results.with_archive))
    scores = f"mean Dice on the test scans {before:.3f} with the labels only, {after:.3f} with the archive"
    if max(before, after) < LEARNED_DICE:
        first = f"Neither model learned to segment: {scores}. The training was too short to compare them."
    elif after - before >= CLEAR_DICE:
        first = f"The archive helped: {scores} ({_signed(after - before)})."
    elif before - after >= CLEAR_DICE:
        first = (f"The archive did not help this time: {scores} ({_signed(after - before)}). "
                 "With real scans you would keep the model that learned from the labels only.")
    else:
        first = f"The archive made no clear difference: {scores} ({_signed(after - before)})."
    return first, _by_structure(results), _caution(results)


def _by_structure(results: DemoResults) -> str:
    gains = {name: _gain(results, name) for name in results.labels_only.structures}
    better = [f"{name} ({_signed(gain)})" for name, gain in gains.items() if gain >= CLEAR_DICE]
    worse = [f"{name} ({_signed(gain)})" for name, gain in gains.items() if gain <= -CLEAR_DICE]
    parts = [f"{word}: {', '.join(names)}" for word, names in (("Better", better), ("Worse", worse)) if names]
    return ". ".join(parts or ["No single structure changed by 0.01 or more"]) + "."


def _caution(results: DemoResults) -> str:
    n_cases = len(results.labels_only.cases)
    return (f"Mind the size of this test: {n_cases} generated scans and one training of a few minutes each. It shows "
            "how the tool works, not how well it will work on your scans. Another seed may turn out differently.")


def _mean_dice(report: Report) -> float:
    return report.statistic(ALL, "dice").mean


def _gain(results: DemoResults, name: str) -> float:
    return results.with_archive.statistic(name, "dice").mean - results.labels_only.statistic(name, "dice").mean


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\u2212")


def _scores_table(results: DemoResults) -> str:
    rows = []
    for name in (*results.labels_only.structures, ALL):
        before, after = (r.statistic(name, "dice").mean for r in (results.labels_only, results.with_archive))
        title = "mean of all structures" if name == ALL else name
        rows.append(f'<tr{" class=all" if name == ALL else ""}><th scope=row>{escape(title)}</th>'
                    f'<td>{before:.3f}</td><td>{after:.3f}</td><td>{_signed(after - before)}</td>'
                    f'<td class=bars>{_bar(before, "before")}{_bar(after, "after")}</td></tr>')
    head = ("Structure", "Labels only", "With the archive", "Difference", "0 to 1")
    return _table(head, rows, "Dice on the test scans: 1 is a perfect match, 0 is none")


def _bar(value: float, kind: str) -> str:
    return f'<span class="bar {kind}" style="width:{100 * max(0.0, min(1.0, value)):.1f}%"></span>'


def _cases_table(results: DemoResults) -> str:
    rows = []
    for before, after in zip(results.labels_only.cases, results.with_archive.cases, strict=True):
        for name in results.labels_only.structures:
            cells = [f"{case.scores[name].dice:.3f}" for case in (before, after)]
            cells += [_distance(case.scores[name].hd95_mm) for case in (before, after)]
            rows.append(f"<tr><th scope=row>{escape(before.name)}</th><td>{escape(name)}</td>"
                        + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    unit = results.labels_only.distance_unit
    head = ("Scan", "Structure", "Dice, labels only", "Dice, archive", f"HD95 [{unit}], labels only",
            f"HD95 [{unit}], archive")
    return _table(head, rows, "Every test scan. HD95: 95 % of the two surfaces lie closer together than this")


def _distance(value: float) -> str:
    return f"{value:.1f}" if abs(value) < float("inf") else "\u2013"


def _table(head: Sequence[str], rows: Sequence[str], caption: str) -> str:
    columns = "".join(f"<th scope=col>{escape(name)}</th>" for name in head)
    return (f"<table><caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>")


def _picture(results: DemoResults, name: str, description: str) -> str:
    data = b64encode(results.pictures[name]).decode("ascii")
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{data}">'


def _meaning(value: int, share: float) -> str:
    return (f'<div><dt><span class=swatch style="background:{REGION_COLOURS[value]}"></span>{REGION_NAMES[value]} '
            f"<small>{100 * share:.1f} % of the scan</small></dt><dd>{REGION_MEANINGS[value]}</dd></div>")


def _step(text: str, command: str | None) -> str:
    return f"<li>{text}{f'<pre>{escape(command)}</pre>' if command else ''}</li>"


def _definitions(values: Mapping[str, str], *, code: bool = False) -> str:
    opening, closing = ("<code>", "</code>") if code else ("", "")
    return "".join(f"<div><dt>{opening}{escape(name)}{closing}</dt><dd>{escape(text)}</dd></div>"
                   for name, text in values.items())


_STYLE = """
:root{--ink:#1b2530;--soft:#5a6875;--line:#d9e0e6;--paper:#fff;--wash:#f4f7f9;--before:#0072b2;--after:#d55e00}
*{box-sizing:border-box}
body{margin:0;background:var(--wash);color:var(--ink);font:16px/1.55 system-ui,"DejaVu Sans",sans-serif}
main{max-width:1060px;margin:0 auto;padding:2rem 1.5rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:.2rem 0 1rem}
h2{font-size:1.25rem;margin:2.6rem 0 .6rem}
section,.verdict{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:1.1rem 1.4rem}
.verdict{border-left:6px solid var(--ink)}
.verdict p{margin:.35rem 0}
.verdict p:first-child{font-size:1.2rem;font-weight:600}
.warning{color:var(--soft);margin:0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding-bottom:.5rem}
th,td{padding:.4rem .7rem;border-bottom:1px solid var(--line);text-align:right}
th:first-child,tbody th{text-align:left;font-weight:500}
thead th{font-weight:600;color:var(--soft);font-size:.88rem}
.all th,.all td{font-weight:700;border-bottom:0}
.bars,thead th:nth-child(5):last-child{width:34%;text-align:left}
.bar{display:block;height:9px;border-radius:2px;margin:2px 0;min-width:2px}
.before,.key.before{background:var(--before)} .after,.key.after{background:var(--after)}
.key,.swatch{display:inline-block;width:.9em;height:.9em;border-radius:2px;margin-right:.4em;vertical-align:-.08em}
.dark{background:#10151c;border-color:#10151c;padding:.5rem}
img{display:block;width:100%;height:auto}
dl{margin:.6rem 0 0;display:grid;gap:.55rem} dt{font-weight:600} dd{margin:0;color:var(--soft)}
.facts{grid-template-columns:repeat(auto-fit,minmax(230px,1fr))}
small{color:var(--soft);font-weight:400}
code,pre{font-family:"DejaVu Sans Mono",ui-monospace,monospace;font-size:.86rem}
pre{background:var(--wash);border:1px solid var(--line);border-radius:6px;padding:.5rem .8rem;overflow-x:auto}
li{margin:.4rem 0} summary{cursor:pointer;color:var(--soft);margin-top:1rem}
footer{margin-top:2.5rem;color:var(--soft);font-size:.92rem}
@media print{body{background:#fff} section{break-inside:avoid}}
"""

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>ALHVR demo: did the archive help?</title><style>$style</style></head><body><main>
<p class=warning>Not a medical device: for research only. All scans on this page are generated.</p>
<h1>Did the archive help?</h1>
<div class=verdict>$verdict</div>
<h2>Scores</h2>
<section><p class=warning><span class="key before"></span>labels only &nbsp; <span class="key after"></span>with the
archive. Both models trained for the same number of iterations from the same start.</p>$scores
<details><summary>Every test scan and structure, with distances</summary>$cases</details></section>
<h2>What they found</h2>
<section class=dark>$segmentation</section>
<h2>Where the model is unsure</h2>
<p>A new scan, segmented by the model that learned with the archive. Both networks are disturbed a little and asked
again: where they stay sure, and where not, divides the scan into three regions.</p>
<section class=dark>$regions</section>
<dl>$meanings</dl>
<h2>How training went</h2>
<section>$curves</section>
<h2>With your own scans</h2>
<section><ol>$steps</ol></section>
<h2>What was run</h2>
<section><dl class=facts>$facts</dl></section>
<h2>In this folder</h2>
<section><dl class=facts>$files</dl></section>
<footer>ALHVR is research software and not a medical device. It must not be used for diagnosis or treatment; every
result must be checked by a qualified person.</footer>
</main></body></html>
"""
