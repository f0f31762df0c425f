"""PatientStream: where a run tells its progress; when nobody can hear it any more, the run goes on unheard."""

from __future__ import annotations

import errno
import os
from typing import Any, TextIO

GONE = (errno.EPIPE, errno.EIO)
"""A reader that ended, and a terminal that was closed."""


class PatientStream:
    """A text stream whose writes never fail: what a full disk refuses is lost, and a lost reader is not asked again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Writes ``text``, if that is possible."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """Flushes what was written, if that is possible."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        """Everything else is that of the stream."""
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        """Sends what is still to come nowhere, so that not even Python's exit stumbles over a closed pipe."""
        if error.errno in GONE:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)
