"""Card: what the panel shows of a model, as rich text in which nothing from the model's files is markup."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from ALHVRLib.models.model_info import InstalledModel

MOST_ROWS = 30
LONGEST_WORD = 24
SWATCH = '<span style="background-color: #{colour};">&nbsp;&nbsp;&nbsp;&nbsp;</span>'


def card(model: InstalledModel) -> str:
    """Rich text about an InstalledModel."""
    head = f"<b>{shown(model.title)}</b>"
    if model.problem:
        return f"<p>{head}</p><p>{shown(_('This model cannot be used: {why}').format(why=model.problem))}</p>"
    lines = [f"<p>{head}<br>{shown(what_it_is(model))}</p>", _structures(model)]
    facts = [_training(model), _scoring(model), *_origin(model)]
    lines += [f"<p>{'<br>'.join(shown(fact) for fact in facts if fact)}</p>"]
    if model.forced:
        text = _("Trained despite faults that the check of the data found: {kinds}.")
        lines.append(f"<p><b>{shown(text.format(kinds=', '.join(model.forced).replace('_', ' ')))}</b></p>")
    lines.append(f"<p>{shown(_limits())}</p>")
    return "".join(lines)


def shown(text: object) -> str:
    """A text as rich text shows it: no markup, and long words can be broken."""
    words = str(text).split(" ")
    return " ".join("\u200b".join(html.escape(part) for part in _pieces(word)) for word in words)


def _pieces(word: str) -> list[str]:
    return [word[start : start + LONGEST_WORD] for start in range(0, len(word), LONGEST_WORD)]


def what_it_is(model: InstalledModel) -> str:
    """Such as "3-D U-Net for MR scans of FLAIR and T1, 28 MB"."""
    scans = _("{modality} scans").format(modality=model.modality) if model.modality in ("CT", "MR") else _("scans")
    if len(model.channel_names) > 1:
        names = ", ".join(model.channel_names)
        scans = _("{scans} of {n} channels: {names}").format(scans=scans, n=len(model.channel_names), names=names)
    text = _("{network} for {scans}, {size}\u00a0MB")
    return text.format(network=model.network, scans=scans, size=max(1, round(model.n_bytes / 1e6)))


def _structures(model: InstalledModel) -> str:
    """A row for each structure: colour, name, validation Dice."""
    scores = model.scores or {}
    rows = [f"<tr><td></td><td></td><td align='right'>{_('Dice')}</td></tr>"] if scores else []
    for structure in model.labels[:MOST_ROWS]:
        colour = "".join(f"{round(255 * part):02x}" for part in structure.colour_rgb)
        rows.append(_row(SWATCH.format(colour=colour), structure.name, scores.get(structure.name)))
    if len(model.labels) > MOST_ROWS:
        rows.append(_row("", _("and {n} more").format(n=len(model.labels) - MOST_ROWS), None))
    if "mean" in scores and len(model.labels) > 1:
        rows.append(_row("", _("mean of all"), scores["mean"]))
    return f"<table cellspacing='0' cellpadding='2'>{''.join(rows)}</table>"


def _row(swatch: str, name: str, score: float | None) -> str:
    number = "" if score is None else f"{score:.3f}"
    return f"<tr><td>{swatch}</td><td>{shown(name)}&nbsp;&nbsp;</td><td align='right'>{number}</td></tr>"


def _training(model: InstalledModel) -> str:
    cases = model.cases or {}
    if "labeled" not in cases:
        return _("Training scans: not recorded.")
    if cases.get("unlabeled"):
        text = _("Trained on {labeled} labelled and {unlabeled} unlabelled scans.")
        return text.format(labeled=cases["labeled"], unlabeled=cases["unlabeled"])
    return _("Trained on {labeled} labelled scans.").format(labeled=cases["labeled"])


def _scoring(model: InstalledModel) -> str:
    if not model.scores:
        return _("Not scored: there were no validation scans.")
    n = (model.cases or {}).get("validation")
    if n is None:
        return _("Dice: on the validation scans.")
    if model.set_aside:
        return _("Dice: on {n} scans set aside from the labelled ones.").format(n=n)
    return _("Dice: on {n} validation scans.").format(n=n)


def _origin(model: InstalledModel) -> list[str]:
    unknown = _("not recorded")
    return [
        _("Date: {date}").format(date=model.date or unknown),
        _("Licence: {licence}").format(licence=model.licence or unknown),
        "" if model.has_graphs else _("Needs PyTorch: the networks are not there in ONNX format."),
    ]


def _limits() -> str:
    return _(
        "Scans of another scanner, protocol, age group or disease can make it worse without any warning. "
        "Research software, not a medical device: check every result by eye."
    )
