"""The demo's one-page report: scores of both models, an honest verdict, pictures and curves, in one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from alhvr.core.files import write_text
from alhvr.demo.overlays import REGION_COLOURS
from alhvr.evaluation.results import ALL, Report
from alhvr.formats.region_tables import REGION_NAMES
from alhvr.pages.markup import NOTHING, Content, Html, element, joined
from alhvr.pages.parts import (
    Row,
    box,
    callout,
    definitions,
    drawing,
    folded,
    image,
    items,
    key,
    page,
    section,
    soft,
    table,
)

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

NEXT_STEPS: tuple[tuple[Content, str | None], ...] = (
    (joined(("Put a few labelled scans into ", element("code", "images/"), " and ", element("code", "labels/"),
             " with the same file names, and all other scans of the same kind into a folder of their own.")), None),
    ("Train on both:", "alhvr train --labeled my-labelled --unlabeled my-archive --out my-run"),
    ("Segment new scans, with the regions to look at:",
     "alhvr segment --model my-run/model new-scans --out results --regions"),
    ("Score it on scans that training has never seen, before you trust it:",
     "alhvr evaluate --predictions results --reference my-test-scans"),
)
"""What to do with one's own scans: a sentence and a command line."""


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
    write_text(path, _page(results))
    return path


def _page(results: DemoResults) -> str:
    segmentation = image(results.pictures["segmentation"], "A test scan in three planes: the true label beside what "
                         "each of the two models found.")
    regions = image(results.pictures["regions"], "A new scan in three planes: its three regions and how sure each "
                    "network is.")
    curves = image(results.pictures["curves"], "Losses and validation Dice of both trainings over the iterations.")
    unsure = element("p", "A new scan, segmented by the model that learned with the archive. Both networks are "
                     "disturbed a little and asked again: where they stay sure, and where not, divides the scan into "
                     "three regions.")
    meanings = definitions(_meaning(value, results.region_shares.get(value, 0.0)) for value in REGION_NAMES)
    files = ((element("code", name), what) for name, what in results.files.items())
    return page(
        "ALHVR demo: did the archive help?", "Did the archive help?",
        (
            callout(*verdict(results)),
            section("Scores", box(
                soft(key("hollow"), "labels only \u00a0 ", key("full"), "with the archive. Both models trained for the "
                     "same number of iterations from the same start."),
                _scores_table(results),
                folded("Every test scan and structure, with distances", _cases_table(results)))),
            section("What they found", box(segmentation, style="dark")),
            section("Where the model is unsure", unsure, box(regions, style="dark"), meanings),
            section("How training went", box(curves, style="light")),
            section("With your own scans", box(items((_step(*step) for step in NEXT_STEPS), ordered=True))),
            section("What was run", box(definitions(results.facts.items(), style="columns"))),
            section("In this folder", box(definitions(files, style="columns"))),
        ),
        above="Not a medical device: for research only. All scans on this page are generated.",
        footer="ALHVR is research software and not a medical device. It must not be used for diagnosis or treatment; "
               "every result must be checked by a qualified person.",
    )


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


def _scores_table(results: DemoResults) -> Html:
    rows = []
    for name in (*results.labels_only.structures, ALL):
        before, after = (r.statistic(name, "dice").mean for r in (results.labels_only, results.with_archive))
        title = "mean of all structures" if name == ALL else name
        cells = (title, f"{before:.3f}", f"{after:.3f}", _signed(after - before), _bars(before, after))
        rows.append(Row(cells, style="total" if name == ALL else None))
    columns = ("Structure", "Labels only", "With the archive", "Difference", "0 to 1")
    return table("Dice on the test scans: 1 is a perfect match, 0 is none", columns, rows, style="numbers bars")


def _bars(before: float, after: float) -> Html:
    """A hollow bar for the labels only over a full one with the archive; the figures stand beside them."""
    bars = (element("rect", class_=style, x=1, y=y, width=f"{max(2.0, 298 * min(1.0, value)):.1f}", height=8)
            for value, style, y in ((before, "hollow", 1), (after, "full", 11)))
    return drawing("bar", (300, 20), *bars, words="")


def _cases_table(results: DemoResults) -> Html:
    rows = []
    for before, after in zip(results.labels_only.cases, results.with_archive.cases, strict=True):
        for name in results.labels_only.structures:
            scores = [case.scores[name] for case in (before, after)]
            rows.append(Row((before.name, name, *(f"{score.dice:.3f}" for score in scores),
                             *(_distance(score.hd95_mm) for score in scores))))
    unit = results.labels_only.distance_unit
    columns = ("Scan", "Structure", "Dice, labels only", "Dice, archive", f"HD95 [{unit}], labels only",
               f"HD95 [{unit}], archive")
    return table("Every test scan. HD95: 95 % of the two surfaces lie closer together than this", columns, rows,
                 style="numbers")


def _distance(value: float) -> str:
    return f"{value:.1f}" if abs(value) < float("inf") else "\u2013"


def _meaning(value: int, share: float) -> tuple[Html, str]:
    colour = drawing("swatch", (16, 8), element("rect", width=16, height=8, fill=REGION_COLOURS[value]), words="")
    name = joined((colour, f" {REGION_NAMES[value]} ", element("small", f"{100 * share:.1f} % of the scan")))
    return name, REGION_MEANINGS[value]


def _step(sentence: Content, command: str | None) -> Html:
    return joined((sentence, element("pre", command) if command else NOTHING))
