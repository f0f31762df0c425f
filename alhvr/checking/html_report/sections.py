"""The cases of the check's page: labelled ones with their structures, the archive by how far off it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alhvr.checking.facts import CaseFacts, ImageFacts
from alhvr.checking.html_report.charts import figure, histogram
from alhvr.checking.html_report.findings_list import references
from alhvr.checking.html_report.pictures import picture
from alhvr.checking.html_report.view import View, text
from alhvr.checking.orientation import orientation_code
from alhvr.checking.result import Unlike, case_key

LISTED = 2000
"""Most rows of the table of the archive."""


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


def _card(view: View, facts: CaseFacts, unlike: Unlike | None) -> str:
    far = f"<p class=soft>{_how_far(unlike)}</p>" if unlike else ""
    charts = "".join(histogram(image) for image in facts.images)
    return (f'<article class="card" {_anchor(view, facts)}>{_head(view, facts)}<div>{_pictures(view, facts)}</div>'
            f"<div>{charts}</div>{far}{_grid(facts)}</article>")


def _table(view: View, cases: Sequence[CaseFacts], unlike: dict[str, Unlike]) -> str:
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


def _how_far(unlike: Unlike) -> str:
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
