"""RunFolder: what a training run leaves on disk, and the lock that keeps a second run out of it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from alhvr.errors import UserError
from alhvr.folders import make_writable
from alhvr.progress import Reporter, SilentReporter, finite


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

    def create(self) -> None:
        """Makes the folder and shows that it can be written; UserError otherwise."""
        make_writable(self.path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run for this process; UserError when another process has it. A killed process lets go."""
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(f"Another training is running in {self.path}.",
                            "Wait for it, stop it, or choose another --out folder.") from error
        try:
            yield
        finally:
            lock.release()

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        """Writes ``name`` whole or not at all; UserError when the disk refuses."""
        target = self.path / name
        temporary = target.with_name(f".{name}.part")
        try:
            temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
            os.replace(temporary, target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise UserError(f"{target} cannot be written ({error.strerror}).", "Free some disk space.") from error

    def read_json(self, name: str) -> dict[str, Any]:
        """Reads what write_json wrote; UserError when it is missing or damaged."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path} holds no run that can be resumed ({name}: {error}).",
                            "Give the --out folder of an earlier `alhvr train`, or leave out --resume.") from error

    def forget_metrics_after(self, iteration: int) -> None:
        """Drops metrics later than ``iteration``: they are made again when a killed run is resumed."""
        if not self.metrics.exists():
            return
        kept = [line for line in self.metrics.read_text(encoding="utf-8").splitlines() if _at_most(line, iteration)]
        temporary = self.metrics.with_name(".metrics.part")
        temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        os.replace(temporary, self.metrics)


def _at_most(line: str, iteration: int) -> bool:
    try:
        return json.loads(line)["iteration"] <= iteration
    except (ValueError, KeyError, TypeError):
        return False


class RecordingReporter(SilentReporter):
    """Passes every event on and keeps metrics.jsonl and log.txt; a full disk costs lines of these, never the run."""

    def __init__(self, inner: Reporter, run: RunFolder) -> None:
        self._inner, self._run = inner, run

    def _append(self, path: Path, line: str) -> None:
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(line + "\n")

    def _log(self, kind: str, text: str) -> None:
        self._append(self._run.path / "log.txt", f"{time.strftime('%Y-%m-%d %H:%M:%S')} {kind}: {text}")

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
