"""Length: how long a training takes, as the slider shows it and in words; and the user's defaults of new projects."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import slicer
from slicer.i18n import tr as _

from alhvr.core.errors import UserError

MINUTES = (15.0, 60.0, 300.0)
"""Of the places of the slider but the last, which is for any other number. A night has room for both trainings of a
comparison, one after the other."""
CUSTOM = len(MINUTES)
LONGEST_MINUTES = 10_000.0
DEFAULTS_SETTING = "ALHVR/TrainerDefaults"
"""Among the user's settings: JSON of what new projects begin with."""
LONGEST_TEXT = 100_000


def place_of(minutes: float | None) -> int:
    """Where the slider is for so many minutes."""
    return MINUTES.index(minutes) if minutes in MINUTES else CUSTOM


def in_hours(minutes: float) -> str:
    """Such as "45 min", "1 h" or "2 h 5 min"."""
    whole = max(1, round(minutes))
    hours, rest = divmod(whole, 60)
    if not hours:
        return _("{minutes} min").format(minutes=rest)
    if not rest or hours >= 10:
        return _("{hours} h").format(hours=hours + (rest >= 30 and hours >= 10))
    return _("{hours} h {minutes} min").format(hours=hours, minutes=rest)


def plan_in_words(minutes: float | None, compare: bool, has_archive: bool) -> str:
    """What a press of Train does, in one sentence."""
    if minutes is None:
        return _("As many steps as the project's settings say.")
    if not has_archive:
        return _("{time} with labels only, as there is no archive.").format(time=in_hours(minutes))
    if not compare:
        return _("{time} with the archive; what it brings is not shown.").format(time=in_hours(minutes))
    text = _("{all} in all: {time} with labels only, then {time} with the archive, to know whether it helped.")
    return text.format(all=in_hours(2 * minutes), time=in_hours(minutes))


@dataclass(frozen=True)
class Defaults:
    """What new projects begin with."""

    settings: dict[str, Any] = field(default_factory=dict)
    """As in project.json."""
    minutes: float | None = 60.0
    compare: bool = True


def keep_defaults(defaults: Defaults) -> None:
    """Let new projects begin with these."""
    text = json.dumps({"settings": defaults.settings, "minutes": defaults.minutes, "compare": defaults.compare})
    slicer.app.userSettings().setValue(DEFAULTS_SETTING, text)


def user_defaults() -> Defaults:
    """What new projects begin with; our own where the user kept none, or none that this version accepts."""
    from alhvr.formats.settings_description import config_of

    text = slicer.app.userSettings().value(DEFAULTS_SETTING)
    try:
        record = json.loads(text) if isinstance(text, str) and len(text) < LONGEST_TEXT else {}
        found = Defaults(record.get("settings", {}), record.get("minutes", 60.0), record.get("compare", True) is True)
        config_of(found.settings)
        good = found.minutes is None or 0 < found.minutes <= LONGEST_MINUTES
    except (ValueError, TypeError, AttributeError, RecursionError, UserError):
        return Defaults()
    return found if good else Defaults()
