"""The page of a comparison: the sentence, the table, a dot for every case, and what each training cost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from alhvr.comparison.outcome import BEFORE, NAMES, CaseOutcome, Outcome, sentences, with_interval
from alhvr.core.files import write_text
from alhvr.core.progress import in_words
from alhvr.formats.project import ARCHIVE, LABELS_ONLY
from alhvr.pages.markup import NOTHING, Content, Html, element, joined
from alhvr.pages.parts import Row, callout, card, drawing, folded, items, page, section, soft, table

_NOTHING = "\u2013"
_WIDE, _ROW, _LEFT, _RIGHT = 560, 16, 150, 12
_SIGNS = {BEFORE: "before", LABELS_ONLY: "hollow", ARCHIVE: "full"}
"""The style of an arm's dots."""
_LONGEST_LABEL = 24
_FOOTER = ("Not a medical device: for research only, every result must be checked by a qualified person. Made by alhvr "
           "compare; nothing left this computer.")


def write_page(path: Path, outcome: Outcome, *, by_minutes: bool) -> Path:
    """Writes the page, one file without scripts or links to anywhere; never half written. Raises OSError."""
    write_text(path, to_html(outcome, by_minutes=by_minutes))
    return path


def to_html(outcome: Outcome, *, by_minutes: bool) -> str:
    """The page; ``by_minutes``: the trainings had the same time, and not the same number of steps."""
    content = (
        callout(*sentences(outcome), style="fault" if outcome.verdict == LABELS_ONLY else None),
        section("Held-out cases", _table(outcome), _worst(outcome)) if outcome.cases else NOTHING,
        section("Every held-out case", _legend(outcome), *_charts(outcome), _cases(outcome)),
        section("What each training cost", _costs(outcome), _fairness(outcome, by_minutes=by_minutes)),
        section("How to read this", items(_reading(outcome))),
    )
    return page("ALHVR: did the archive help?", "Did the archive help?", content, footer=_FOOTER)


def _table(outcome: Outcome) -> Html:
    """Means by structure, and the change with the archive."""
    arms, change = outcome.arms, outcome.change
    columns = ["Structure", *(f"Dice, {NAMES[arm]}" for arm in arms),
               *(f"HD95 [{outcome.distance_unit}], {NAMES[arm]}" for arm in arms)]
    columns += ["Change of Dice, in hundredths"] if change else []
    rows = []
    for name in outcome.structures:
        cells: list[Content] = [name, *(_number(outcome.mean_dice(arm, name), 3) for arm in arms),
                                *(_distance(outcome, arm, name) for arm in arms)]
        if change:
            cells.append(with_interval(change.by_structure[name]) if name in change.by_structure else _NOTHING)
        rows.append(Row(cells))
    total: list[Content] = ["mean of all structures", *(_number(outcome.mean_dice(arm), 3) for arm in arms),
                            *("" for _ in arms)]
    total += [with_interval(change.overall)] if change else []
    caption = (f"Means over {outcome.n_patients} patients. Dice: 1 is a perfect match, 0 is none. HD95: 95 % of both "
               "surfaces lie closer together than this")
    return table(caption, columns, [*rows, Row(total, style="total")], style="numbers")


def _distance(outcome: Outcome, arm: str, name: str) -> str:
    missed = outcome.n_missed(arm, name)
    return _number(outcome.mean_hd95(arm, name), 1) + (f" ({missed} missed)" if missed else "")


def _worst(outcome: Outcome) -> Html:
    """The case to look at first."""
    worst = outcome.worst
    if worst is None:
        return NOTHING
    place = f"#{_anchor(outcome, worst.structure)}"
    return element("p", "Look first at ", element("a", worst.case, href=place), f": {worst.structure} has Dice "
                   f"{worst.dice:.3f} there ({NAMES[worst.arm]}), the lowest of all.")


def _legend(outcome: Outcome) -> Html:
    """What the signs of the charts mean."""
    if not outcome.cases:
        return NOTHING
    signs = (joined((drawing("swatch", (16, 8), element("circle", class_=_SIGNS[arm], cx=8, cy=4, r=3.2), words=""),
                     f" {NAMES[arm]} ")) for arm in outcome.arms)
    return soft("One line for each case, from Dice 0 to 1: ", *signs)


def _charts(outcome: Outcome) -> Iterable[Html]:
    """A chart of dots for each structure."""
    for name in outcome.structures:
        scored = [case for case in outcome.cases if any(_dice(case, arm, name) is not None for arm in outcome.arms)]
        if scored:
            yield card(name, _chart(outcome, scored, name), id=_anchor(outcome, name))


def _chart(outcome: Outcome, cases: list[CaseOutcome], name: str) -> Html:
    high, shapes = _ROW * len(cases) + 16, []
    for row, case in enumerate(cases):
        y = _ROW * row + 9
        found = {arm: dice for arm in outcome.arms if (dice := _dice(case, arm, name)) is not None}
        places = [_x(dice) for dice in found.values()]
        label = case.case if len(case.case) <= _LONGEST_LABEL else f"{case.case[:_LONGEST_LABEL]}\u2026"
        shapes += [element("text", label, x=0, y=y + 3),
                   element("path", class_="axis", d=f"M{min(places):.1f} {y}H{max(places):.1f}")]
        shapes += [element("circle", class_=_SIGNS[arm], cx=f"{_x(dice):.1f}", cy=y, r=4.2)
                   for arm, dice in found.items()]
    base = high - 12
    shapes += [element("path", class_="axis", d=f"M{_LEFT} {base}H{_WIDE - _RIGHT}")]
    shapes += [element("text", f"{tick:g}", x=f"{_x(tick):.1f}", y=high - 2, text_anchor="middle")
               for tick in (0, 0.25, 0.5, 0.75, 1)]
    told = "; ".join(f"{case.case}: " + ", ".join(f"{NAMES[arm]} {_number(_dice(case, arm, name), 3)}"
                                                  for arm in outcome.arms) for case in cases)
    return drawing("chart", (_WIDE, high), *shapes, words=f"Dice of {name} by case. {told}")


def _x(dice: float) -> float:
    return _LEFT + dice * (_WIDE - _LEFT - _RIGHT)


def _dice(case: CaseOutcome, arm: str, name: str) -> float | None:
    return case.scores[arm][name].dice if name in case.scores.get(arm, {}) else None


def _cases(outcome: Outcome) -> Html:
    """The figures of every case."""
    if not outcome.cases:
        return NOTHING
    columns = ["Case", "Structure", *(f"Dice, {NAMES[arm]}" for arm in outcome.arms),
               *(f"HD95 [{outcome.distance_unit}], {NAMES[arm]}" for arm in outcome.arms)]
    rows = []
    for case in outcome.cases:
        for name in outcome.structures:
            cells = [case.case, name, *(_number(_dice(case, arm, name), 3) for arm in outcome.arms),
                     *(_case_distance(case, arm, name) for arm in outcome.arms)]
            rows.append(Row(cells))
    figures = table("Every case; a dash: not annotated there, or nothing to measure", columns, rows, style="numbers")
    return folded("The figures of every case", figures)


def _case_distance(case: CaseOutcome, arm: str, name: str) -> str:
    found = case.scores.get(arm, {}).get(name)
    if found is None:
        return _NOTHING
    return "missed" if found.missed else _number(found.hd95_mm, 1)


def _anchor(outcome: Outcome, structure: str) -> str:
    return f"s{outcome.structures.index(structure) + 1}"


def _costs(outcome: Outcome) -> Html:
    rows = [Row((NAMES[arm], in_words(60 * cost.minutes), cost.iterations, cost.best_iteration, cost.model))
            for arm, cost in outcome.trainings.items()]
    return table("Each training", ("Training", "Time", "Steps", "Best after step", "Model"), rows, style="untitled")


def _fairness(outcome: Outcome, *, by_minutes: bool) -> Html:
    """Whether the trainings can be compared."""
    early = [NAMES[arm] for arm, cost in outcome.trainings.items() if not cost.is_done]
    if early:
        return element("p", f"Finished before its time, as asked: {', '.join(early)}. A training that was cut short is "
                       "at a disadvantage.", class_="problem")
    if len(outcome.trainings) < 2:
        return NOTHING
    equal = ("Both had the same time; a step with the archive takes longer, so that there are fewer of them."
             if by_minutes else "Both had the same number of steps; those with the archive take longer.")
    return element("p", f"{equal} Seed, settings, plan and held-out cases are the same.")


def _reading(outcome: Outcome) -> Iterable[str]:
    if outcome.too_few:
        yield (f"{outcome.n_patients} held-out patients are too few to trust these figures: hold out five or more, and "
               "score the model on scans that nobody has seen before it is relied on.")
    yield "The held-out cases also chose the weights that were kept, so that all figures are optimistic alike."
    yield ("All means are over patients. The interval is a bootstrap over patients of the change in each of them, and "
           "no narrower than Student's t for so many; one that holds 0 shows no gain. Another seed may turn out "
           "differently.")
    yield "Cases that are annotated in part are scored where they are, and distances are measured within that."


def _number(value: float | None, digits: int) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"
