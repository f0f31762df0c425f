"""The last result in one line, from outcome.json of a run, whoever wrote that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ALHVRTrainerLib.check_report import number


def last_result(run: Path | None) -> str:
    """Mean Dice of the model that is offered, and what the archive changed; "" without a result."""
    from alhvr.core.errors import UserError
    from alhvr.core.files import read_json

    if run is None:
        return ""
    try:
        record = read_json(run / "outcome.json")
    except (OSError, UserError):
        return ""
    if not isinstance(record, dict):
        return ""
    dice = number(_object(_object(record, "arms"), str(record.get("offered"))), "mean_dice")
    if dice is None:
        return ""
    change, verdict = number(_object(record, "change"), "dice"), record.get("verdict")
    if change is None:
        return _("Last result: mean Dice {dice:.2f}").format(dice=dice)
    shown = _("shown") if verdict in ("archive", "labels-only") else _("not shown")
    text = _("Last result: mean Dice {dice:.2f} ({change:+.2f} by the archive, {shown})")
    return text.format(dice=dice, change=change, shown=shown)


def _object(record: dict[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}
