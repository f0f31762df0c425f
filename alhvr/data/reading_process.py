"""ReadingProcess: what compiled code decodes is read in a process of its own, so that a crash costs that scan alone.

DICOM images are decoded by ITK, which a damaged file can crash or hang; NIfTI, NRRD and MetaImage files are read by
this package itself, without a process.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.core.signals import deaf_to_interrupts
from alhvr.data.dicom_file import file_of
from alhvr.data.geometry import Geometry
from alhvr.data.reading import is_read_here, read_scan
from alhvr.data.scan import Scan

_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from alhvr.data.reading_process import serve; serve()"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
_LEAST_S, _SLOWEST_BYTES_PER_S = 120.0, 5e5
"""A file may take this long to read whatever its size, and so much longer for its bytes: a slow disk in a network."""
_IDLE_S = 60.0
"""A process that has had nothing to read for so long ends."""
_PIECE_BYTES = 1 << 20
_LONGEST_ANSWER = 1 << 20
"""Bytes that a process may say beside the voxels."""
_READY = b"ready\n"


def time_limit_s(n_bytes: int) -> float:
    """Seconds that reading ``n_bytes`` may take at most, on the slowest disk."""
    return _LEAST_S + n_bytes / _SLOWEST_BYTES_PER_S


@dataclass
class _Running:
    """A process at work."""

    process: subprocess.Popen[bytes]
    used: float
    """Monotonic time of its last answer."""


class ReadingProcess:
    """Reads scans; those that others decode in another process, one at a time, which starts when it is needed.

    May be used by several threads. A scan whose reading crashes, or takes longer than ``time_limit_s`` of its bytes, is
    a UserError, and the next one gets a new process. Where no process can be started, scans are read in this one.
    """

    def __init__(self, limit_s: float | None = None) -> None:
        """``limit_s``: seconds that a scan may take, whatever its size; None for ``time_limit_s``."""
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._closed = self._helpless = False

    def read_scan(self, path: Path) -> Scan:
        """What ``reading.read_scan`` gives and raises."""
        if is_read_here(path) or not file_of(Path(path)).exists() or self._helpless:
            return read_scan(path)
        with self._lock:
            running = self._started()
            return read_scan(path) if running is None else self._ask(running, Path(path))

    def start_for(self, path: Path) -> None:
        """Starts the process now where ``path`` is read by it, so that its start does not count as reading."""
        if not is_read_here(path):
            with self._lock:
                self._started()

    def close(self) -> None:
        """Ends the process, also in the midst of a scan, which then is a UserError; nothing is read afterwards."""
        self._closed = True
        running = self._running
        if running is not None:
            _end(running.process)

    def _started(self) -> _Running | None:
        """The process, fresh where the last one ended or may be about to; None where none can be started."""
        if self._closed:
            raise UserError("Reading was stopped.")
        running = self._running
        if running is not None and running.process.poll() is None and time.monotonic() - running.used < _IDLE_S / 2:
            return running
        if running is not None:
            _end(running.process)
        process = _start()
        if process is None:
            self._helpless, self._running = True, None
            return None
        weakref.finalize(self, _end, process)
        self._running = _Running(process, time.monotonic())
        if self._closed:
            _end(process)
        return self._running

    def _ask(self, running: _Running, path: Path) -> Scan:
        """The scan as the process reads it; raises UserError where it ends or takes too long."""
        limit_s = self._limit_s or time_limit_s(_n_bytes(path))
        timer = threading.Timer(limit_s, running.process.kill)
        timer.daemon = True
        begin = time.monotonic()
        timer.start()
        try:
            request = {"path": os.path.abspath(path), "limit_s": limit_s + _IDLE_S}
            running.process.stdin.write(json.dumps(request).encode() + b"\n")
            running.process.stdin.flush()
            scan = _answer(running.process.stdout, path)
        except (EOFError, OSError, ValueError) as error:
            late = time.monotonic() - begin >= limit_s
            code = _end(running.process, patience_s=0.5)
            raise _lost(path, f"it took longer than {limit_s:.0f} s" if late else f"that program ended ({code})"
                        ) from error
        finally:
            timer.cancel()
        running.used = time.monotonic()
        return scan


def serve() -> None:
    """The life of a process that reads: it ends with the one who started it, and when it has nothing to do."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    silent = open(os.devnull, "wb")  # noqa: SIM115  (open as long as the process lives)
    os.dup2(silent.fileno(), 1)
    answers.write(_READY)
    while True:
        answers.flush()
        faulthandler.dump_traceback_later(_IDLE_S, exit=True, file=silent)
        request = sys.stdin.buffer.readline()
        if not request:
            return
        wanted = json.loads(request)
        faulthandler.dump_traceback_later(wanted["limit_s"], exit=True, file=silent)
        _read_for(Path(wanted["path"]), answers)


def _read_for(path: Path, answers: BinaryIO) -> None:
    """Reads one scan and says what it is, then its voxels; or what is wrong with it."""
    try:
        scan = read_scan(path)
    except UserError as error:
        _say(answers, {"error": [error.message, error.hint]})
    except MemoryError:
        _say(answers, {"error": [f"{shown(path.name)} does not fit into the memory.",
                                 "Close other programs, or crop it."]})
    except Exception as error:  # noqa: BLE001  (a damaged file makes the libraries raise anything)
        reason = (str(error).replace(str(path), path.name).splitlines() or [""])[0][:200]
        _say(answers, {"error": [f"{shown(path.name)} cannot be read ({type(error).__name__}: {shown(reason)}).",
                                 "Copy or export it again."]})
    else:
        grid = scan.geometry
        _say(answers, {"name": scan.name, "kind": scan.array.dtype.str, "modality": scan.modality,
                       "warnings": scan.warnings,
                       "n_not_finite": scan.n_not_finite, "size": grid.size_ijk, "spacing": grid.spacing_mm,
                       "origin": grid.origin_lps_mm, "direction": grid.direction})
        voxels = memoryview(np.ascontiguousarray(scan.array).reshape(-1).view(np.uint8))
        for begin in range(0, len(voxels), _PIECE_BYTES):
            answers.write(voxels[begin:begin + _PIECE_BYTES])


def _say(answers: BinaryIO, what: dict[str, Any]) -> None:
    answers.write(json.dumps(what).encode() + b"\n")


def _answer(stream: BinaryIO, path: Path) -> Scan:
    """The scan that a process tells of; raises its UserError, and EOFError or ValueError where it broke off."""
    line = stream.readline(_LONGEST_ANSWER)
    if not line.endswith(b"\n"):
        raise EOFError("no answer")
    told = json.loads(line)
    if "error" in told:
        raise UserError(*told["error"])
    geometry = Geometry(tuple(told["size"]), tuple(told["spacing"]), tuple(told["origin"]), tuple(told["direction"]))
    array = np.empty(geometry.shape_kji, np.dtype(told["kind"]))
    target, filled = memoryview(array.reshape(-1).view(np.uint8)), 0
    while filled < len(target):
        count = stream.readinto(target[filled:filled + _PIECE_BYTES])
        if not count:
            raise EOFError("the voxels broke off")
        filled += count
    return Scan(told["name"], array, geometry, told["modality"], path, tuple(told["warnings"]),
                    told["n_not_finite"])


def _start() -> subprocess.Popen[bytes] | None:
    """A process that has loaded its libraries; None where that fails."""
    if not sys.executable:
        return None
    try:
        with deaf_to_interrupts():
            process = subprocess.Popen([sys.executable, "-c", _PROGRAM, *(entry for entry in sys.path if entry)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       env={**os.environ, **dict.fromkeys(_THREADS, "1")},
                                       creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0))
    except (OSError, ValueError):
        return None
    if process.stdout.readline(len(_READY)) != _READY:
        _end(process)
        return None
    return process


def _end(process: subprocess.Popen[bytes], patience_s: float = 0.0) -> str:
    """Ends a process, whatever it does; returns how it had ended within ``patience_s``, in words."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    code = process.poll()
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            stream.close()
    if code is None:
        return "it was stopped"
    names = {number.value: number.name for number in signal.Signals}
    return names.get(-code, f"exit code {code}")


def _lost(path: Path, reason: str) -> UserError:
    return UserError(f"{shown(path.name)} could not be read in a program of its own: {reason}.",
                     "The file may be damaged: copy or export it again. Otherwise close other programs.")


def _n_bytes(path: Path) -> int:
    """Bytes of a file's folder, or of the folder itself."""
    folder = path if path.is_dir() else path.parent
    total = 0
    for entry in os.scandir(folder):
        with suppress(OSError):
            total += entry.stat().st_size
    return total
