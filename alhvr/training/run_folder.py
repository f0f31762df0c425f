"""RunFolder: what a training run leaves on disk, and the lock that keeps a second run out of it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from alhvr.core.errors import UserError
from alhvr.core.files import (
    is_plain,
    make_writable,
    opened_to_append,
    read_bytes,
    remove_partial,
    shown,
    write_bytes,
    write_refused,
)
from alhvr.core.json_file import InvalidJson, parse_json, read_json, write_json
from alhvr.core.progress import Reporter, SilentReporter, finite
from alhvr.training.checkpoint import RunFolderGone

_LARGEST_METRICS_BYTES = 1_000_000_000


class RunFolder:
    """``RUN``: run.json (settings, cases, plan), metrics.jsonl, log.txt, checkpoints/ and the finished model/."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The weights with the best validation Dice so far."""
        return self.path / "checkpoints" / "best.pt"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"

    @property
    def metrics(self) -> Path:
        """Losses and validation Dice, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """What was told, one event a line."""
        return self.path / "log.txt"

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def create(self) -> None:
        """Makes the folder and shows that it can be written; UserError otherwise, and where a link would lead away."""
        make_writable(self.path)
        for path in (self.metrics, self.log, self._lock):
            if path.is_symlink() or (path.exists() and not is_plain(path)):
                raise UserError(f"{shown(path)} is a link, or no file.", "Remove it, or choose another --out folder.")
        if self._lock.exists() and self._lock.stat().st_size:
            raise UserError(f"{shown(self._lock)} is not empty, so it is not the lock of a run.",
                            "Remove it, or choose another --out folder.")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run for this process; UserError when another process has it. A killed process lets go.

        What a killed process left half written is removed.
        """
        lock = FileLock(self._lock, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(f"Another training is running in {self.path}.",
                            "Wait for it, stop it, or choose another --out folder.") from error
        try:
            for folder in (self.path, self.last.parent):
                remove_partial(folder)
            yield
        finally:
            lock.release()

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        """Writes ``name`` whole or not at all; UserError when the disk refuses."""
        try:
            write_json(self.path / name, values)
        except OSError as error:
            raise write_refused(error, self.path / name) from error

    def read_json(self, name: str) -> dict[str, Any]:
        """Reads what write_json wrote; UserError when it is missing or damaged."""
        try:
            return read_json(self.path / name)
        except (OSError, UserError) as error:
            reason = error.message if isinstance(error, UserError) else f"{name}: {error.strerror or error}"
            raise UserError(f"{self.path} holds no run that can be resumed ({reason.removesuffix('.')}).",
                            "Give the --out folder of an earlier `alhvr train`, or leave out --resume.") from error

    def forget_metrics_after(self, iteration: int) -> None:
        """Drops metrics later than ``iteration``: they are made again when a killed run is resumed.

        Lines that cannot be read, as a kill leaves one at the end, go too. Raises UserError where the disk refuses.
        """
        if not self.metrics.exists():
            return
        try:
            lines = read_bytes(self.metrics, at_most=_LARGEST_METRICS_BYTES).splitlines()
            write_bytes(self.metrics, b"".join(line + b"\n" for line in lines if _at_most(line, iteration)))
        except OSError as error:
            raise write_refused(error, self.metrics) from error


def _at_most(line: bytes, iteration: int) -> bool:
    try:
        return parse_json(line, "metrics.jsonl")["iteration"] <= iteration
    except (InvalidJson, KeyError, TypeError):
        return False


class RecordingReporter(SilentReporter):
    """Passes every event on and keeps metrics.jsonl and log.txt; a full disk costs lines of these, never the run.

    Where the run folder is there no more, every event raises RunFolderGone: nothing of the run could be kept.
    """

    def __init__(self, inner: Reporter, run: RunFolder) -> None:
        self._inner, self._run = inner, run

    def _append(self, path: Path, line: str) -> None:
        try:
            with opened_to_append(path) as file:
                file.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        except OSError:
            if not self._run.path.exists():
                raise RunFolderGone(self._run.path) from None

    def _log(self, kind: str, text: str) -> None:
        self._append(self._run.log, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {kind}: {shown(text)}")

    def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        """See Reporter.progress."""
        self._inner.progress(stage, done, total, seconds_left)

    def metrics(self, iteration: int, **values: Any) -> None:
        """See Reporter.metrics."""
        self._append(self._run.metrics, json.dumps(finite({"iteration": iteration, **values})))
        self._inner.metrics(iteration, **values)

    def artifact(self, kind: str, path: str) -> None:
        """See Reporter.artifact."""
        self._log(kind, path)
        self._inner.artifact(kind, path)

    def note(self, message: str) -> None:
        """See Reporter.note."""
        self._log("note", message)
        self._inner.note(message)

    def warning(self, message: str) -> None:
        """See Reporter.warning."""
        self._log("warning", message)
        self._inner.warning(message)
