"""Words: the one sentence of each state of a run. No Qt, no scene, no file."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from alhvr.core.progress import in_words
from alhvr.formats.project import ARCHIVE, LABELS_ONLY


@dataclass(frozen=True)
class Moment:
    """What a sentence is made of."""

    state: str
    """One of the session's states."""
    arm: str = ""
    minute: float = 0.0
    """Minutes trained of this arm."""
    message: str = ""
    """What the run said when it ended."""
    hint: str = ""
    seconds_left: float | None = None
    stage: str = ""
    """What it does now."""
    elsewhere: bool = False
    """It is on another computer."""


def arm_title(arm: str) -> str:
    """What people call a training of a comparison."""
    return {LABELS_ONLY: _("labels only"), ARCHIVE: _("with the archive")}.get(arm, "")


def sentence_of(moment: Moment) -> str:
    """The state for people, in one sentence or two."""
    minute = int(moment.minute)
    told = {
        "starting": _("Starting: {stage}.").format(stage=moment.stage) if moment.stage else _("Starting."),
        "training": _training(moment),
        "pausing": _("Pausing: finishing the step."),
        "paused": _("Paused at minute {minute}; nothing is lost.").format(minute=minute),
        "finishing": _("Finishing: exporting and scoring."),
        "finished": _("Finished."),
        "failed": _failed(moment),
        "lost": _("The run ended without a word (computer off?). Resume from minute {minute}.").format(minute=minute),
    }
    return told[moment.state]


def _training(moment: Moment) -> str:
    words = [_("Training {arm}").format(arm=arm_title(moment.arm)).strip()]
    if moment.elsewhere:
        words.append(_("on another computer"))
    if moment.seconds_left is not None:
        words.append(_("{time} left").format(time=in_words(moment.seconds_left)))
    elif moment.stage:
        words.append(moment.stage)
    return ", ".join(words) + "."


def _failed(moment: Moment) -> str:
    """What happened, what is saved, what to do."""
    words = [_("Stopped: {reason}").format(reason=_lower(moment.message) or _("it ended without saying why."))]
    if moment.minute > 0:
        words.append(_("Everything up to minute {minute} is saved.").format(minute=int(moment.minute)))
    words.append(moment.hint or _("The log has the details."))
    return " ".join(words)


def _lower(message: str) -> str:
    """A sentence as the second half of one; names and abbreviations keep their capitals."""
    first = message.split(" ", 1)[0]
    return message[:1].lower() + message[1:] if first in ("The", "A", "An", "There", "Another", "No") else message
