"""What the child process runs: a command of alhvr, pip, or an import on trial; it ends when told to, or left alone.

    PythonSlicer ALHVRChild.py segment ...      a command of alhvr
    PythonSlicer ALHVRChild.py --pip ...        pip, of the Python that runs this
    PythonSlicer ALHVRChild.py --import NAME FOLDER    only tries whether the package in a folder can be loaded
    PYTHON ALHVRChild.py --python               tells what that Python has for training

The owner says through the environment who it is (ALHVR_OWNER_PID), where the engine is (ALHVR_ENGINE), where its extra
packages are (ALHVR_PACKAGES) and in which folder a file called "cancel" asks to stop (ALHVR_WORK), where the exit code
is written into the file "exit-code" as well. Without an owner it goes on when Slicer ends, and with ALHVR_STAY_AWAKE
the computer does not go to sleep meanwhile, where its system can be asked that.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import importlib
import importlib.metadata
import importlib.util
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
import types
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from ALHVRLib.child_events import Event

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before anything loads onnxruntime, as the import on trial does
POLL_S = 0.1
PATIENCE_S = 1.3
"""How long the command may take to stop by itself."""
CANCELLED = 130
LEAST_PYTHON = (3, 11)
REMOVALS = 3
KEEPERS = (["systemd-inhibit", "--what=sleep:idle", "--who=ALHVR", "--why=A model is being trained", "--mode=block",
            "cat"], ["caffeinate", "-i", "cat"])
"""Of Linux and of macOS: the system stays awake while the command after it runs."""
KEEPER_S = 0.5
"""A helper that ended by then was refused."""
AWAKE = "The computer does not go to sleep by itself while this runs."
NOT_AWAKE = "The computer may go to sleep while this runs; the run goes on when it wakes up."
PR_SET_CHILD_SUBREAPER = 36
PROCESSES = os.path.join("alhvr", "core", "process.py")
"""Of the engine that comes with this script, whichever engine is used: it needs nothing around it."""


def say(event: Event, **fields: object) -> None:
    """Write one event; whoever does not listen any more is not told."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run ``arguments`` and return the exit code."""
    faulthandler.enable()
    if hasattr(os, "setpgid"):
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)  # so that the command's own workers end with it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a Slicer in the background does not hear
    adopt_orphans()
    say("child", pid=os.getpid(), start=os_process().start_of(os.getpid()))
    threading.Thread(target=watch, daemon=True).start()
    awake = stay_awake() if os.environ.get("ALHVR_STAY_AWAKE") else None
    code = run(arguments)
    if awake is not None:
        awake.close()
    if code == CANCELLED:
        end_workers()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    say("ended", code=code)
    with contextlib.suppress(OSError, KeyError), open(os.path.join(os.environ["ALHVR_WORK"], "exit-code"), "w") as file:
        file.write(str(code))
    return code


def adopt_orphans() -> None:
    """Let workers whose own parent has ended stay descendants of this process, where Linux offers that."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(Exception):
            import ctypes

            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stay_awake() -> BinaryIO | None:
    """Let the system not sleep while this process lives, however it ends, and say so; None where nothing is to close.

    The system's helper waits for its input to end, and the other end of that pipe is here alone.
    """
    if os.name == "nt":
        import ctypes

        held = ctypes.WinDLL("kernel32").SetThreadExecutionState(0x80000001)  # ES_CONTINUOUS | ES_SYSTEM_REQUIRED
        say("note", message=AWAKE if held else NOT_AWAKE)
        return None
    command = next((command for command in KEEPERS if shutil.which(command[0])), None)
    if command is None:
        say("note", message=NOT_AWAKE)
        return None
    helper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        helper.wait(KEEPER_S)
    say("note", message=AWAKE if helper.poll() is None else NOT_AWAKE)
    return helper.stdin


def run(arguments: list[str]) -> int:
    """Do what is asked; whatever goes wrong becomes one event and an exit code."""
    try:
        return command(arguments)
    except KeyboardInterrupt:
        return CANCELLED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ImportError as error:
        traceback.print_exc()
        return refuse_import(error, arguments)
    except BaseException as error:  # noqa: BLE001  one place that turns anything into a sentence
        traceback.print_exc()
        say("error", message=f"Internal error ({type(error).__name__}: {one_line(error)}).",
            hint="The log has the details.")
        return 1


def command(arguments: list[str]) -> int:
    """Run pip, an import, or alhvr, and return its exit code."""
    if arguments[:1] == ["--import"]:
        sys.path[:1] = [arguments[2]]
        sys.path += [os.environ["ALHVR_PACKAGES"]] if os.environ.get("ALHVR_PACKAGES") else []
        importlib.import_module(arguments[1])
        return 0
    if arguments[:1] == ["--python"]:
        return tell_python()
    if arguments[:1] == ["--pip"]:
        sys.path[:1] = []
        sys.argv = ["pip", *arguments[1:]]
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
        return 0
    return alhvr(arguments)


def alhvr(arguments: list[str]) -> int:
    """A command of the engine."""
    find_engine()
    sys.argv = ["alhvr", *arguments]
    from alhvr.cli import main as run_alhvr

    return run_alhvr(arguments) or 0


def find_engine() -> None:
    """It comes first in place of this script's folder; our packages last, so that Slicer's own win."""
    sys.path[:1] = [os.environ["ALHVR_ENGINE"]] if os.environ.get("ALHVR_ENGINE") else []
    if os.environ.get("ALHVR_PACKAGES"):
        sys.path.append(os.environ["ALHVR_PACKAGES"])


def tell_python() -> int:
    """One event with the versions of what training needs, all of it loaded; or one error that says what is wrong."""
    version = "{}.{}.{}".format(*sys.version_info[:3])
    if sys.version_info[:2] < LEAST_PYTHON:
        hint = "Python {}.{} or newer is needed.".format(*LEAST_PYTHON)
        say("error", message=f"This is Python {version}.", hint=hint)
        return 2
    sys.path[:1] = []  # not this script's folder, and the engine later: a copy that is installed here is asked first
    try:
        installed = importlib.metadata.version("alhvr")
    except importlib.metadata.PackageNotFoundError:
        installed = ""
    sys.path[:0] = [""]
    find_engine()
    import alhvr
    from alhvr.core.errors import UserError, require_train

    try:
        require_train("Training")
    except UserError as error:
        say("error", message=error.message, hint=error.hint)
        return 2
    import monai
    import torch

    import alhvr.training.run  # noqa: F401  all of it can be loaded
    say("python", version=version, torch=str(torch.__version__), monai=str(monai.__version__), installed=installed,
        alhvr=alhvr.__version__, device=device_of(torch))
    return 0


def device_of(torch: types.ModuleType) -> str:
    """What the networks would run on, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    return "Apple graphics" if torch.backends.mps.is_available() else "processor"


def refuse_import(error: ImportError, arguments: list[str]) -> int:
    """Name the package that is missing or cannot be loaded."""
    name = (error.name or "").partition(".")[0] or (arguments[1] if arguments[:1] == ["--import"] else "")
    hint = "Install the extension ALHVR again." if name == "alhvr" else "The top of the panel offers what is missing."
    if isinstance(error, ModuleNotFoundError) and name == error.name:
        say("error", message=f"The Python package {name} is missing.", hint=hint, package=name)
    else:
        say("error", message=f"The Python package {name} cannot be loaded: {one_line(error)}", hint=hint, package=name)
    return 2


def one_line(error: BaseException) -> str:
    """The text of an error without line breaks."""
    return " ".join(str(error).split())


def watch() -> None:
    """Stop when the cancel file appears; end at once when the work folder or the owner is gone.

    An owner that was killed cannot tidy up, and the work folder may hold a patient's scan: it is removed here.
    """
    work, owner = os.environ.get("ALHVR_WORK"), Owner(os.environ.get("ALHVR_OWNER_PID"))
    while owner.is_there() and not is_gone(work):
        if work and os.path.exists(os.path.join(work, "cancel")):
            ask_to_stop()
            time.sleep(PATIENCE_S)
            break
        time.sleep(POLL_S)
    if work and not owner.is_there():
        for _try in range(REMOVALS):  # the command may be writing
            shutil.rmtree(work, ignore_errors=True)
    end_all()


def is_gone(folder: str) -> bool:
    """Whether the folder was removed; one that cannot be asked about counts as there."""
    try:
        if folder:
            os.stat(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def ask_to_stop() -> None:
    """What Ctrl-C in a terminal does, also where the main thread waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)


@functools.cache
def os_process() -> types.ModuleType:
    """The engine's file about processes, loaded by its path: pip and an import on trial are run without the engine.

    It is beside the installed script's folder Resources, or in the source tree one above it.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    places = [os.path.join(folder, PROCESSES) for folder in (root, os.path.dirname(root))]
    path = next((place for place in places if os.path.isfile(place)), places[0])
    spec = importlib.util.spec_from_file_location("alhvr_processes", path)
    processes = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(processes)
    return processes


def end_workers() -> None:
    """End the processes that this one has started, those in a session of their own too."""
    with contextlib.suppress(Exception):
        os_process().end_all({os.getpid()}, os.environ.get("ALHVR_WORK", ""))


def end_all() -> None:
    """End this process and the workers that it has, silently."""
    end_workers()
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    with contextlib.suppress(Exception):
        for worker in sys.modules["multiprocessing"].active_children():
            worker.kill()
    os._exit(CANCELLED)


class Owner:
    """The process that started this one; without a process ID it is always there."""

    def __init__(self, pid: str | None) -> None:
        self._processes, self._pid = os_process(), int(pid) if pid else 0
        self._start = self._processes.start_of(self._pid)

    def is_there(self) -> bool:
        """Whether it lives; one that has ended and waits to be buried does not."""
        return not self._pid or self._processes.is_running(self._pid, self._start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
