"""Ending: how a child process ended, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

SPEAKER = "alhvr: "
"""What a complaint on stderr begins with."""


@dataclass(frozen=True)
class Ending:
    """What became of a child process."""

    kind: str
    """finished, failed, cancelled, died or not started."""
    message: str
    """One sentence for the panel; "" when it finished and all that it said was heard."""
    hint: str = ""
    """What to do next; may be ""."""
    exit_code: int | None = None

    @property
    def text(self) -> str:
        """Message and hint as one text."""
        return " ".join(f"{self.message} {self.hint}".split())


def finished() -> Ending:
    """It did what it was asked."""
    return Ending("finished", "", exit_code=0)


def finished_unheard() -> Ending:
    """It did what it was asked, with its output closed, so that what it reported did not arrive."""
    return Ending("finished", _("What the command reported on its way did not arrive."), exit_code=0)


def cancelled(exit_code: int | None) -> Ending:
    """It was told to stop, whatever it did then."""
    return Ending("cancelled", _("Cancelled."), exit_code=exit_code)


def failed(exit_code: int | None, complaint: tuple[str, str] | None, last_words: str) -> Ending:
    """It gave up: with an error event (message, hint), or with a line on stderr."""
    if complaint is not None:
        return Ending("failed", complaint[0], complaint[1], exit_code)
    if last_words.startswith(SPEAKER):
        return Ending("failed", last_words.removeprefix(SPEAKER), exit_code=exit_code)
    return Ending("failed", _("The command ended with an error."), _("The log has the details."), exit_code)


def died(exit_code: int | None) -> Ending:
    """It was killed, or crashed."""
    hint = _("If the computer ran out of memory, close other programs and try again; the log may say more.")
    return Ending("died", _("The process in the background ended without a word."), hint, exit_code)


def not_started(reason: str) -> Ending:
    """There is no process."""
    return Ending("not started", reason, _("Install Slicer or the extension ALHVR again."))
