"""Making the sample scan and model in a child process, once, then loading the one and installing the other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.core.files import read_json
from alhvr.formats.model_folder import is_safe_name
from ALHVRLib import paths
from ALHVRLib.child_process import ChildProcess
from ALHVRLib.models import store
from ALHVRLib.models.import_model import ImportResult, ModelImport
from ALHVRLib.models.untrusted_files import reason

if TYPE_CHECKING:
    from ALHVRLib.child_events import Event, ExitStatus

INDEX = "sample.json"
FOLDER = "generated"
MODEL_NAME = "ALHVR sample"
WINDOW_LEVEL_HU = (350, 40)
"""As radiologists look at an abdomen."""
ATTRIBUTE = "ALHVR.Sample"
"""A loaded sample scan carries its file name, so that it is found again however the scene was saved."""


@dataclass(frozen=True)
class CachedSample:
    """What the engine's command "sample" made."""

    scans: tuple
    """Paths of the scans, of which the first is loaded."""
    model: Path
    """Folder of the small model."""


def cached_sample() -> CachedSample | None:
    """The sample that was made before; None where there is none, or not all of it any more."""
    folder = paths.samples_folder() / FOLDER
    try:
        index = read_json(folder / INDEX)
        sizes = {name: int(size) for name, size in index["scans"].items()}
        whole = all(is_safe_name(name) and (folder / name).stat().st_size == size for name, size in sizes.items())
        model = index["model"]
        if not whole or not sizes or not is_safe_name(model) or not (folder / model).is_dir():
            return None
    except (UserError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return CachedSample(tuple(folder / name for name in sizes), folder / model)


def new_sample_folder() -> Path:
    """An empty hidden folder to make a sample in, as its folder FOLDER; raises OSError."""
    making = paths.samples_folder() / f".{FOLDER}.{os.getpid()}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    return making


def cache_sample(making: Path, scans: Sequence[Path], model: Path) -> CachedSample | None:
    """Makes what is complete in a hidden folder the sample; raises OSError, or ValueError for paths outside it."""
    made, folder = making / FOLDER, paths.samples_folder() / FOLDER
    index = {
        "scans": {_name_in(made, scan): Path(scan).stat().st_size for scan in scans},
        "model": _name_in(made, model),
    }
    (made / INDEX).write_text(json.dumps(index, indent=1), encoding="ascii")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(made, folder)
    return cached_sample()


def _name_in(folder: Path, path: Path) -> str:
    return Path(path).resolve().relative_to(folder.resolve()).as_posix()


@dataclass(frozen=True)
class SampleOutcome:
    """What became of a click."""

    kind: str
    """made, failed or cancelled."""
    sentence: str
    """One sentence for the panel."""
    volume_id: str = ""
    model: str = ""
    """Name of the installed model."""


class SampleMaker:
    """One click on the button. What was made before, is installed or loaded already is taken as it is."""

    def __init__(self, *, onDone: Callable[[SampleOutcome], None],
                 onProgress: Callable[[str, float | None], None]) -> None:
        self._onDone, self._onProgress = onDone, onProgress
        self._child = None
        self._import = None
        self._making = None
        self._workFolder = None
        self._scans, self._models = [], []
        self._sample = None

    def start(self) -> None:
        """Begin; onDone is called once with a SampleOutcome."""
        self._sample = cached_sample()
        if self._sample is not None:
            self._install()
            return
        self._onProgress(_("Making the sample"), None)
        try:
            self._making, self._workFolder = new_sample_folder(), paths.work_folder("sample")
        except OSError as error:
            self._fail(_unwritable(error))
            return
        arguments = ["sample", "--out", str(self._making / FOLDER), "--progress", "json"]
        self._child = ChildProcess(arguments, onEvent=self._onEvent, onLog=lambda line: None, onEnd=self._onMade,
                                   workFolder=self._workFolder)
        self._child.start()

    def cancel(self) -> None:
        """Stop as soon as possible; onDone is still called."""
        for work in (self._child, self._import):
            if work is not None:
                work.cancel()

    def discard(self) -> None:
        """Stop at once, leave nothing half made, without any callback."""
        for work in (self._child, self._import):
            if work is not None:
                work.discard()
        self._tidy()

    def _onEvent(self, event: Event) -> None:
        progress = self._child.progress
        if event.kind == "artifact" and event.text("kind") == "scan":
            self._scans.append(Path(event.text("path")))
        elif event.kind == "artifact" and event.text("kind") == "model":
            self._models.append(Path(event.text("path")))
        elif event.kind == "progress" and progress is not None and progress.total:
            self._onProgress(_("Making the sample"), progress.done / progress.total)

    def _onMade(self, exit_status: ExitStatus) -> None:
        if exit_status.kind == "cancelled":
            self._end(SampleOutcome("cancelled", _("Making the sample was cancelled.")))
        elif exit_status.kind != "finished":
            self._fail(exit_status.message)
        elif not self._scans or not self._models:
            self._fail(_("The engine reported no scan or no model."))
        else:
            self._keep()

    def _keep(self) -> None:
        try:
            self._sample = cache_sample(self._making, self._scans, self._models[0])
        except OSError as error:
            self._fail(_unwritable(error))
            return
        except ValueError:
            self._fail(_("The engine put its files elsewhere."))
            return
        if self._sample is None:
            self._fail(_("The files of the sample are not complete."))
        else:
            self._install()

    def _install(self) -> None:
        self._child = None
        self._import = ModelImport(
            self._sample.model, onDone=self._onInstalled, onProgress=self._onProgress, name=MODEL_NAME
        )
        self._import.start()

    def _onInstalled(self, result: ImportResult) -> None:
        if not result.name:
            self._end(SampleOutcome(result.kind, result.sentence))
            return
        try:
            volume = loaded(self._sample.scans[0]) or load(self._sample.scans[0])
        except RuntimeError:
            self._fail(_("The scan {path} could not be loaded.").format(path=self._sample.scans[0]), result.name)
            return
        model = store.find(result.name)
        text = _("The sample scan {scan} is loaded and the model {title} selected: press Segment.")
        sentence = text.format(scan=volume.GetName(), title=result.name if model is None else model.title)
        self._end(SampleOutcome("made", sentence, volume.GetID(), result.name))

    def _fail(self, why: str, model: str = "") -> None:
        self._end(SampleOutcome("failed", _("The sample was not made: {why}").format(why=why), model=model))

    def _end(self, outcome: SampleOutcome) -> None:
        self._tidy()
        self._onDone(outcome)

    def _tidy(self) -> None:
        if self._making is not None:
            shutil.rmtree(self._making, ignore_errors=True)
        if self._workFolder is not None:
            paths.remove_folder(self._workFolder)


def _unwritable(error: Exception) -> str:
    return _("{folder} cannot be written: {why}.").format(folder=paths.samples_folder(), why=reason(error))


def loaded(path: Path) -> slicer.vtkMRMLVolumeNode | None:
    """The volume of the scene that was loaded from a sample scan, or None."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return next((volume for volume in volumes if volume.GetAttribute(ATTRIBUTE) == path.name), None)


def load(path: Path) -> slicer.vtkMRMLVolumeNode:
    """Load a sample scan; raises RuntimeError."""
    volume = slicer.util.loadVolume(str(path))
    volume.SetAttribute(ATTRIBUTE, path.name)
    display = volume.GetDisplayNode()
    if display is not None:
        display.AutoWindowLevelOff()
        display.SetWindowLevel(*WINDOW_LEVEL_HU)
    return volume
