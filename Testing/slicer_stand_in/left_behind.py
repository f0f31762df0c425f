"""What a test may not leave behind: slot errors, dialogs, observers of the scene, child processes."""

from __future__ import annotations

import collections
import gc
import os
import pathlib
import re
import sys
import time
import uuid

import slicer
from slicer_stand_in.dialogs import dialogs, left_open
from slicer_stand_in.qt_signals import note_slot_error, slot_errors

PROC = pathlib.Path("/proc")
MARK = "HARNESS_PROCESS_MARK"
PATIENCE_S = 2.0


def observer_counts() -> collections.Counter:
    """How many observers the scene has by event."""
    events = re.findall(r"vtkObserver .*?\n\s*Event: (\d+)\s*\n\s*EventName: (\w+)", str(slicer.mrmlScene))
    return collections.Counter(number if name == "NoEvent" else name for number, name in events)


def child_processes() -> dict[int, str]:
    """The living processes that this one started, by process ID, also those whose parent has ended: their names."""
    if not PROC.is_dir():
        return {}
    parents, names, marked = {}, {}, set()
    mark = f"{MARK}={os.environ.get(MARK)}".encode()
    for folder in PROC.glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            if rest.split()[0] == "Z":
                continue
            if mark in (folder / "environ").read_bytes():
                marked.add(int(folder.name))
        except OSError:  # gone meanwhile, or not ours
            continue
        parents[int(folder.name)], names[int(folder.name)] = int(rest.split()[1]), name
    found = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} | marked
        if more <= found:
            break
        found |= more
    return {pid: names[pid] for pid in found - {os.getpid()}}


def clear_scene() -> None:
    """Empty the scene, the modules' parameter nodes too."""
    scene = slicer.mrmlScene
    scene.Clear(0)
    for node in list(slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")):
        scene.RemoveNode(node)


class Watch:
    """Looks before and after a test."""

    def __init__(self) -> None:
        os.environ.setdefault(MARK, uuid.uuid4().hex)
        self._hook = sys.excepthook

    def begin(self) -> None:
        """Make everything fresh and remember how it is."""
        clear_scene()
        slicer.app.processEvents()
        dialogs.reset()
        dialogs.active = True
        slot_errors.clear()
        self._observers = observer_counts()
        self._processes = child_processes()
        self._hook = sys.excepthook
        sys.excepthook = lambda kind, exception, trace: note_slot_error(exception)  # observers of VTK end here

    def complaints(self) -> list[str]:
        """One sentence for everything that is wrong; all is fresh again afterwards."""
        slicer.app.processEvents()
        found = [f"a slot or observer raised: {error.text}" for error in slot_errors]
        found += [f"unexpected dialog: {text}" for text in dialogs.unexpected]
        found += [f"a prepared answer was not asked for: {answer!r}" for answer in dialogs.answers]
        found += [f"dialog left open: {text}" for text in left_open()]
        found += self._observers_left()
        found += [f"child process left: {name} ({pid})" for pid, name in self._processes_left().items()]
        sys.excepthook = self._hook
        slot_errors.clear()
        dialogs.reset()
        clear_scene()
        return found

    def _processes_left(self) -> dict[int, str]:
        """Those that are still there after a while: a process that was told to end needs a moment."""
        patience_until = time.monotonic() + PATIENCE_S
        while True:
            left = {pid: name for pid, name in child_processes().items() if pid not in self._processes}
            if not left or time.monotonic() > patience_until:
                return left
            time.sleep(0.05)

    def _observers_left(self) -> list[str]:
        if observer_counts() - self._observers:
            gc.collect()  # widgets in reference cycles end their observers only now
        more = observer_counts() - self._observers
        found = [f"{count} observer(s) of {event} left on the scene" for event, count in more.items()]
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")  # these do not print their observers
        fresh = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        if not fresh.HasObserver("ModifiedEvent"):
            held = [node.GetName() for node in nodes if node.HasObserver("ModifiedEvent")]
            found += [f"an observer left on the parameter node {name}" for name in held]
        return found
