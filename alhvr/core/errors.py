"""What a person can act on: every user mistake is raised as a UserError and shown as one line, never a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake or a missing thing that the user can mend.

    ``message`` names the thing, the value seen and the values accepted; ``hint`` says what to do next.
    The command line prints both on one line and exits with code 2.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Message and hint as one line."""
        return " ".join(f"{self.message} {self.hint}".split())


class ModelError(UserError):
    """A model folder that cannot be read, or networks that cannot be run or give no numbers."""


class ChannelError(UserError):
    """The channels of scans are not those that are needed, or one of a case is missing."""


class OutOfMemory(UserError):
    """The memory of a device is used up; smaller batches may still fit."""


class Cancelled(Exception):
    """The user asked to stop; what was done so far is kept. The command line exits with code 130."""
