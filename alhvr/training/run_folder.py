"""The run folder: its files, checkpoints, and taking a run up again."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from alhvr.config import RunConfig, to_dict
from alhvr.core.errors import UserError
from alhvr.core.files import (
    InvalidJson,
    is_plain,
    make_writable,
    opened_to_append,
    parse_json,
    read_bytes,
    read_json,
    remove_partial,
    shown,
    write_bytes,
    write_json,
    write_refused,
)
from alhvr.core.progress import Reporter, SilentReporter, finite
from alhvr.core.torch_file import DamagedTensors, read_tensors, write_tensors
from alhvr.formats.project import home_of, located, portable
from alhvr.inference.torch_backend import choose_device
from alhvr.methods.registry import build_method
from alhvr.training.device import Compute, choose_compute
from alhvr.training.loop_state import LoopState
from alhvr.training.same_labels import require_same_labels
from alhvr.training.setup import RunSetup

_LARGEST_METRICS_BYTES = 1_000_000_000

RUN_FILE = "run.json"
COMPARE_FILE = "compare.json"
"""In a folder that holds a comparison, whose trainings are runs in folders inside of it."""

START_AGAIN = ("Restore it from a backup. Without one, delete the folder checkpoints in the run and resume: the same "
               "training begins again from its first step.")


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
        """Writes ``name`` whole or not at all; UserError when the disk refuses.

        Paths in the project that the run lies in are those of ``read_json`` again when the project was moved.
        """
        try:
            write_json(self.path / name, portable(values, home_of(self.path)))
        except OSError as error:
            raise write_refused(error, self.path / name) from error

    def read_json(self, name: str) -> dict[str, Any]:
        """Reads what write_json wrote; UserError when it is missing or damaged."""
        try:
            return located(read_json(self.path / name), home_of(self.path))
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


def resume_command(run: Path, command: str = "train") -> str:
    """What to type to go on with the run in this folder."""
    return f"alhvr {command} --resume --out {shlex.quote(str(run))}"


def require_run(run: RunFolder) -> None:
    """Raises UserError unless the folder holds a run that began."""
    if not (run.path / RUN_FILE).exists():
        raise UserError(f"{run.path} holds no run to resume.",
                        "Give the --out folder of an earlier `alhvr train`, or leave out --resume.")


def resumed_setup(run: RunFolder, config: RunConfig, reporter: Reporter) -> RunSetup:
    """The setup that the run began with; of ``config``, the settings of this command, only the device counts.

    Warns of settings that are ignored. Raises UserError when run.json or a checkpoint is damaged, labelled cases or the
    best weights are gone, or a label or what its values mean was changed since the run began.
    """
    setup = read_setup(run)
    gone = [c for c in (*setup.labeled, *setup.validation) if not (c.image.exists() and c.label.exists())]
    if gone:
        raise UserError(f"{len(gone)} case(s) of the run are no longer there, the first is {gone[0].image}.",
                        "Put them back and resume again.")
    require_same_labels(setup, reporter)
    _require_checkpoints(run, setup)
    ignored = ignored_settings(config, setup.config)
    if ignored:
        reporter.warning(f"A resumed run keeps the settings that it began with; ignored: {', '.join(ignored)}.")
    return replace(setup, compute=_compute(setup, config.training.device, reporter))


def write_setup(run: RunFolder, setup: RunSetup) -> None:
    """Makes a run of ``setup`` in the folder, ready to be gone on with; raises UserError where the disk refuses."""
    run.create()
    run.write_json("config.json", to_dict(setup.config))
    run.write_json(RUN_FILE, setup.to_dict())


def read_setup(run: RunFolder) -> RunSetup:
    """What ``write_setup`` wrote; raises UserError where it is missing or damaged."""
    try:
        return RunSetup.from_dict(run.read_json(RUN_FILE))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{run.path / RUN_FILE} is damaged ({error}).", "Start a new run.") from error


def ignored_settings(asked: RunConfig, kept: RunConfig) -> list[str]:
    """Settings in ``asked`` that differ from the defaults and from ``kept``, both values named; not the device."""
    default, has = _flat(to_dict(RunConfig())), _flat(to_dict(kept))
    wishes = {name: value for name, value in _flat(to_dict(asked)).items() if name != "training.device"}
    return [f"{name} {value} (the run has {has[name]})" for name, value in wishes.items()
            if value not in (default[name], has[name])]


def _require_checkpoints(run: RunFolder, setup: RunSetup) -> None:
    """Raises UserError unless the checkpoints are whole and those of this run; a run without any begins again."""
    if not run.last.exists():
        return
    with torch.device("meta"):
        weights = build_method(setup.config.method, setup.config.training.seed).build(setup.network).state_dict()
    last = load_checkpoint(run.last)
    state = _loop_state(last.get("loop"))
    if state is None or not isinstance(last.get("step"), dict) or not _fits(last.get("average"), weights):
        raise _foreign(run.last)
    if state.best_iteration < 0:
        return
    if not run.best.exists():
        raise UserError(f"The best weights so far are gone: there is no {shown(run.best)}.", START_AGAIN)
    best = load_checkpoint(run.best)
    if not isinstance(best.get("iteration"), int) or not _fits(best.get("average"), weights):
        raise _foreign(run.best)


def _loop_state(values: Any) -> LoopState | None:
    try:
        return LoopState(**values)
    except TypeError:
        return None


def _fits(found: Any, weights: Mapping[str, torch.Tensor]) -> bool:
    """True when ``found`` holds tensors of the names and shapes of ``weights``."""
    if not isinstance(found, Mapping) or found.keys() != weights.keys():
        return False
    return all(isinstance(found[name], torch.Tensor) and found[name].shape == weights[name].shape for name in weights)


def _foreign(path: Path) -> UserError:
    return UserError(f"{shown(path)} is no checkpoint of this run.", START_AGAIN)


def _compute(setup: RunSetup, wanted: str, reporter: Reporter) -> Compute:
    """The device of the run so far, unless another is wanted or it is not there any more."""
    before = setup.compute
    if wanted in ("auto", before.device):
        try:
            choose_device(before.device)
            return before
        except UserError:
            wanted = "auto"
    found = choose_compute(replace(setup.config.training, device=wanted))
    reporter.warning(f"The run began on {before.device} and goes on on {found.device}: last digits may differ.")
    return found


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


class RunFolderGone(UserError):
    """The folder of a run was removed while it trained."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"The run folder {shown(folder)} was removed during the training; nothing in it is left.",
                         "Start the training again.")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes ``state`` (tensors, numbers, texts) to RUN/checkpoints/NAME; an older file stays until the new is whole.

    Raises OSError when the disk is full or the folder cannot be written, RunFolderGone when RUN is no more; no partial
    file is left.
    """
    try:
        path.parent.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise RunFolderGone(path.parent.parent) from None
    except OSError as error:
        raise _not_written(error, path) from error
    try:
        write_tensors(path, state)
    except OSError as error:
        if not path.parent.parent.exists():
            raise RunFolderGone(path.parent.parent) from None
        raise _not_written(error, path) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint without running any code in it; UserError when it cannot be read or a bit has changed."""
    try:
        return read_tensors(path)
    except DamagedTensors as error:
        raise UserError(f"The checkpoint {error.message}", START_AGAIN) from error
    except OSError as error:
        raise UserError(f"The checkpoint {shown(path)} cannot be read ({error.strerror or error}).",
                        START_AGAIN) from error


def _not_written(error: OSError, path: Path) -> OSError:
    """The same refusal in words; without the full stop, as more is said after it."""
    told = OSError(write_refused(error, path).message.removesuffix("."))
    told.errno = error.errno
    return told
