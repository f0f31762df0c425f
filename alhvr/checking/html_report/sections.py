"""Sections of the page: overview, findings, and the card of each case."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from alhvr.checking.facts import CaseFacts, ImageFacts
from alhvr.checking.findings import KINDS, Finding, Severity
from alhvr.checking.html_report.charts import (
    LineStyle,
    dots,
    histogram,
    intensity_chart,
    outlined,
    picture,
    picture_again,
    rounded,
    swatch,
)
from alhvr.checking.html_report.view import PART_NAMES, SHOWN_PER_FINDING, View
from alhvr.checking.measure import orientation_code
from alhvr.checking.result import PARTS, CheckResult, Outlier, case_key
from alhvr.pages.markup import NOTHING, Content, Html, element, joined
from alhvr.pages.parts import Row, badge, box, card, definitions, figure, folded, group, items, key, soft, table

LISTED = 2000
"""Most rows of the table of the archive."""

SIGNS = {Severity.FAULT: "\u2716", Severity.WARNING: "\u25b2", Severity.NOTE: "\u25cf"}
"""A shape for each severity, so that colour is not needed."""

_FILES_AT_ONCE = 6
_FILES_AT_MOST = 200


def labelled_section(view: View, part: str) -> Html:
    """Every case of a labelled part: pictures, grid, intensities, structures and what was found."""
    return group("rows", (_labelled(view, facts) for facts in view.result.part(part)))


def archive_section(view: View) -> Html:
    """The archive, the furthest off first: pictures as long as there are any left, a table of the rest."""
    if not view.archive:
        return NOTHING
    how = ("The furthest from the labelled scans first: 0 is within them, 1 at the edge of what is alike, more is off."
           if view.result.unlike else "By name.")
    unlike = {entry.case: entry for entry in view.result.unlike}
    with_picture = [facts for facts in view.archive if set(view.picture_names(facts)) & view.pictured]
    pictured = {case_key(facts) for facts in with_picture}
    rest = [facts for facts in view.archive if case_key(facts) not in pictured]
    cards = group("cards", (_card(view, facts, unlike.get(case_key(facts))) for facts in with_picture))
    return joined((soft(how), cards, _archive_table(view, rest, unlike)))


def _labelled(view: View, facts: CaseFacts) -> Html:
    charts = (histogram(image) for image in facts.images)
    return card(_heading(view, facts), _problems(facts), element("div", *_pictures(view, facts)),
                element("div", _grid(facts), _structures(view, facts)), element("div", *charts),
                style="case", id=_anchor(view, facts))


def _card(view: View, facts: CaseFacts, unlike: Outlier | None) -> Html:
    charts = (histogram(image) for image in facts.images)
    return card(_heading(view, facts), _problems(facts), element("div", *_pictures(view, facts)),
                element("div", *charts), _how_far(unlike) if unlike else NOTHING, _grid(facts),
                id=_anchor(view, facts))


def _archive_table(view: View, cases: Sequence[CaseFacts], unlike: dict[str, Outlier]) -> Html:
    if not cases:
        return NOTHING
    rows = []
    for facts in cases[:LISTED]:
        entry = unlike.get(case_key(facts))
        far, what = (rounded(entry.how_far), entry.what) if entry else ("\u2013", "")
        remarks = joined((what, " ", _problems(facts), " ", _found(view, facts)))
        rows.append(Row((facts.case.name, far, _grids(facts), remarks), id=_anchor(view, facts)))
    left_out = len(cases) - len(rows)
    more = soft(f"{left_out} more scans are in the JSON file.") if left_out else NOTHING
    columns = ("Scan", "How far off", "Grid", "Remarks")
    return joined((table("Scans of the archive without a picture", columns, rows, style="untitled"), more))


def _anchor(view: View, facts: CaseFacts) -> str:
    return f"c{view.numbers[case_key(facts)]}"


def _heading(view: View, facts: CaseFacts) -> Html:
    return joined((facts.case.name, " ", _found(view, facts)))


def _found(view: View, facts: CaseFacts) -> Html:
    return references(view.findings_of.get(case_key(facts), []), view)


def _problems(facts: CaseFacts) -> Html:
    problems = (problem for problem in (facts.image_problem, facts.label_problem) if problem is not None)
    return joined(element("p", problem.message, class_="problem") for problem in problems)


def _how_far(unlike: Outlier) -> Html:
    return soft("How far off: ", element("b", rounded(unlike.how_far)), f". {unlike.what}")


def _pictures(view: View, facts: CaseFacts) -> list[Html]:
    """One per channel; the label is drawn on the first."""
    drawn = []
    for channel, (name, image) in enumerate(zip(view.picture_names(facts), facts.images, strict=True)):
        if name in view.pictured:
            outlines = _outlines(view, facts, image) if not channel else []
            drawn.append(picture(image.thumbnail, outlines, name, f"A slice of {facts.case.name}"))
    return drawn


def _outlines(view: View, facts: CaseFacts, image: ImageFacts) -> list[Html]:
    """The label of a case over its picture; none where it has another size."""
    labels = facts.label.outline if facts.label else None
    if labels is None or labels.shape != image.thumbnail.shape:
        return []
    return outlined(labels, view.styles(facts))


def _grid(facts: CaseFacts) -> Html:
    return element("p", _grids(facts)) if facts.images else NOTHING


def _grids(facts: CaseFacts) -> Html:
    """Each grid once, although channels may share it."""
    lines = dict.fromkeys(_one_grid(image) for image in facts.images)
    return joined(joined((element("br") if number else NOTHING, line)) for number, line in enumerate(lines))


def _one_grid(image: ImageFacts) -> str:
    grid = image.geometry
    placeholder = " (may be a placeholder)" if grid.nominal else ""
    field = f", {rounded(image.field_strength_t)} T" if image.field_strength_t else ""
    modality = "" if image.print.modality == "other" else f", {image.print.modality}{field}"
    spacing = f"{_times(grid.spacing_mm)} mm{placeholder}"
    return f"{_times(grid.size_ijk)} voxels of {spacing}, {orientation_code(grid)}{modality}"


def _times(values: Iterable[float]) -> str:
    return " \u00d7 ".join(rounded(value) for value in values)


def _structures(view: View, facts: CaseFacts) -> Html:
    label = facts.label
    if label is None:
        return NOTHING
    entries: list[Content] = []
    for value, entry in sorted(label.structures.items()):
        size = element("b", f"{rounded(view.volume(entry))} {view.unit}")
        parts = f", {entry.n_parts} parts" if entry.n_parts > 1 else ""
        entries.append(joined((view.structure_name(value), " ", size, f", {_slices(entry.slices)}{parts}")))
    entries += [joined((view.structure_name(value), " ", element("b", "not annotated here")))
                for value in facts.case.not_annotated]
    if label.n_not_annotated:
        share = label.n_not_annotated / max(1, label.n_voxels)
        entries.append(f"{rounded(100 * share)} % of the voxels not annotated; something is annotated in "
                       f"{label.annotated_slices} of {label.slices} slices")
    return items(entries or ["The label is empty."])


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


def folders(view: View) -> Html:
    """Each part: how many cases, where they lie, how many cannot be used."""
    entries = []
    for part in PARTS:
        cases = view.result.part(part)
        if not cases:
            continue
        bad = sum(not facts.usable for facts in cases)
        unusable = f", {bad} of them cannot be used" if bad else ""
        known = view.result.sets.get(part)
        places = (joined((element("br"), element("code", str(folder)))) for folder in known.folders) if known else ()
        place = joined(places)
        counted = joined((f"{_count(len(cases), 'case')}{unusable}", place))
        entries.append((PART_NAMES[part].capitalize(), counted))
    return definitions(entries, style="columns")


def structures(view: View) -> Html:
    """A row per structure: its line in the pictures, in how many cases it is, its volumes."""
    cases = [facts for part in ("labeled", "validation") for facts in view.result.part(part) if facts.label]
    known = list(view.result.labels.values) if view.result.labels else []
    values = known + sorted({value for facts in cases for value in facts.label.structures} - set(known))
    if not values:
        return NOTHING
    rows = [_structure(view, cases, value, index) for index, value in enumerate(values)]
    columns = ("Structure", "Value", "Cases to learn from", "Cases to validate on",
               f"Smallest, median, largest [{view.unit}]", "Volumes from 0")
    return box(table("Structures, the cases that have them, and their volumes", columns, rows, style="untitled"))


def intensities(view: View) -> Html:
    """One chart for each channel."""
    result = view.result
    labelled = [*result.part("labeled"), *result.part("validation")]
    n_channels = max((len(facts.images) for facts in result.facts), default=0)
    charts = []
    for channel in range(n_channels):
        chart = intensity_chart(*([facts.images[channel] for facts in cases if len(facts.images) > channel]
                                  for cases in (labelled, result.part("unlabeled"))))
        heading = element("h3", _channel_name(result, channel)) if n_channels > 1 else NOTHING
        charts.append((heading, chart))
    if not any(chart for _, chart in charts):
        return NOTHING
    return box(soft(key("curve"), "labelled scans, one line each \u00a0 ", key("band"),
                    "the middle 80 % of the archive. Heights are square roots, so that rare intensities can be seen."),
               *(piece for pair in charts for piece in pair))


def forecast(result: CheckResult) -> Html:
    """What training will take, beside what is free."""
    if result.forecast is None:
        return NOTHING
    expected = result.forecast
    rows = (("Memory", f"{rounded(expected.memory_gb)} GB", expected.free_memory_gb),
            ("Time", _duration(expected.minutes), None),
            ("Disk", f"{rounded(expected.disk_gb)} GB", expected.free_disk_gb))
    entries = ((name, joined((element("b", value), _free(free)))) for name, value, free in rows)
    return box(definitions(entries, style="columns"), *(soft(sentence) for sentence in expected.sentences))


def _structure(view: View, cases: list[CaseFacts], value: int, index: int) -> Row:
    with_it = [facts for facts in cases if value in facts.label.structures]
    volumes = [view.volume(facts.label.structures[value]) for facts in with_it]
    name = view.structure_name(value)
    spread = " \u2013 ".join(rounded(f(volumes)) for f in (min, statistics.median, max)) if volumes else "\u2013"
    chart = dots(volumes, max(volumes), f"Volumes of {name}") if volumes else NOTHING
    return Row((joined((swatch(LineStyle.of_structure(index, name)), " ", name)), value,
                *(_share(view, with_it, part) for part in ("labeled", "validation")), spread, chart))


def _share(view: View, with_it: list[CaseFacts], part: str) -> str:
    labelled = sum(facts.label is not None for facts in view.result.part(part))
    return f"{sum(facts.part == part for facts in with_it)} of {labelled}" if labelled else "\u2013"


def _channel_name(result: CheckResult, channel: int) -> str:
    for cases in result.sets.values():
        if channel < len(cases.channels):
            return cases.channels[channel].name
    return f"channel {channel}"


def _free(gigabytes: float | None) -> str:
    return "" if gigabytes is None else f" of {rounded(gigabytes)} GB free"


def _duration(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    return f"{rounded(minutes)} minutes" if minutes < 90 else f"{rounded(minutes / 60)} hours"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def findings_section(view: View) -> list[Html]:
    """All findings in their order; a sentence where there are none."""
    findings = view.result.findings
    if not findings:
        return [box(element("p", "Nothing was found that could be fixed."))]
    return [_finding(view, number, finding) for number, finding in enumerate(findings, start=1)]


def references(numbers: list[int], view: View) -> Html:
    """Links to the findings about one case, each with its sign."""
    signs = ((number, SIGNS[view.result.findings[number - 1].severity]) for number in numbers)
    return joined((element("a", f"{sign} {number}", class_="ref", href=f"#f{number}") for number, sign in signs), " ")


def _finding(view: View, number: int, finding: Finding) -> Html:
    kind = finding.severity.value
    title = KINDS.get(finding.kind, finding.kind)
    return card(joined((badge(SIGNS[finding.severity], f"{kind} {number}"), " ", title)),
                element("p", finding.seen), element("p", element("b", "What to do:"), f" {finding.remedy}"),
                _finding_pictures(view, finding),
                _listed([view.link(case) for case in finding.cases], "Cases", "cases"),
                _listed([view.file(path) for path in finding.files], "Files", "files"),
                style=f"finding {kind}", id=f"f{number}")


def _finding_pictures(view: View, finding: Finding) -> Html:
    """The worst cases of a fault or warning; a note needs no look."""
    drawn = []
    for case in finding.cases[:SHOWN_PER_FINDING] if finding.severity is not Severity.NOTE else ():
        facts = view.case(case)
        drawn += _case_pictures(view, facts) if facts is not None else []
    return group("strip", drawn[:SHOWN_PER_FINDING])


def _case_pictures(view: View, facts: CaseFacts) -> list[Html]:
    named = zip(view.picture_names(facts), facts.images, strict=True)
    name = facts.case.name
    return [figure(picture_again(image.thumbnail, id, f"A slice of {name}"), name)
            for id, image in named if id in view.pictured]


def _listed(entries: list[Content], title: str, unit: str) -> Html:
    """The first entries, and the rest behind a line that unfolds; nothing where there are none."""
    if not entries:
        return NOTHING
    first, rest = entries[:_FILES_AT_ONCE], entries[_FILES_AT_ONCE:_FILES_AT_MOST]
    left_out = len(entries) - _FILES_AT_MOST
    end = f"; {left_out} more are in the JSON file" if left_out > 0 else ""
    more = folded(f"and {len(entries) - len(first)} more {unit}", joined(rest, ", "), end) if rest else NOTHING
    return element("div", f"{title}: ", joined(first, ", "), " ", more, class_="soft")
