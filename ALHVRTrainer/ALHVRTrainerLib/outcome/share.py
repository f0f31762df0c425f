"""Share: packs a model into a zip file that ALHVR Segmentation adds again, in a thread."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from slicer.i18n import tr as _

from alhvr.core.errors import ModelError
from alhvr.formats.model_folder import MANIFEST, open_inside, read_manifest
from ALHVRLib.models.untrusted_files import reason
from ALHVRLib.watched_thread import WatchedThread

TICK_MS, TURN_S = 40, 0.02
CHUNK = 1 << 20


class ModelPacking:
    """One model on its way into a zip file; for a BusyBar.

    Args:
        onDone: called once with a sentence and whether it worked.
    """

    def __init__(self, folder: Path, target: Path, *, onProgress: Callable[[str, float | None], None],
                 onDone: Callable[[str, bool], None]) -> None:
        self._folder, self._target = folder, target
        self._onProgress, self._onDone = onProgress, onDone
        self._thread = WatchedThread(self._onTick, TICK_MS, TURN_S)
        self._stopped = False
        self._done = self._total = 0
        self._problem = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start(self._pack)

    def cancel(self) -> None:
        """Stop as soon as possible; onDone is still called."""
        self._stopped = True

    def discard(self) -> None:
        """Stop without any callback."""
        self._stopped = True
        self._thread.unwatch()
        self._thread.join()

    def _pack(self) -> None:
        """In the thread: no Qt, no scene. The file is whole or not there."""
        part = self._target.with_name(f".part-{self._target.name}")
        try:
            manifest = read_manifest(self._folder)
            self._total = manifest.n_bytes
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
                for name in (MANIFEST, *manifest.sizes):
                    self._add(archive, name)
            if not self._stopped:
                os.replace(part, self._target)
        except (ModelError, OSError) as error:
            self._problem = str(error) if isinstance(error, ModelError) else reason(error)
        finally:
            part.unlink(missing_ok=True)

    def _add(self, archive: zipfile.ZipFile, name: str) -> None:
        with open_inside(self._folder, name) as source, archive.open(f"{self._target.stem}/{name}", "w") as packed:
            while (chunk := source.read(CHUNK)) and not self._stopped:
                packed.write(chunk)
                self._done += len(chunk)

    def _onTick(self) -> None:
        if not self._thread.isOver:
            fraction = min(1.0, self._done / self._total) if self._total else None
            self._onProgress(_("Packing {name}").format(name=self._target.name), fraction)
            return
        self._thread.unwatch()
        if self._problem:
            self._onDone(_("The model was not packed: {why}.").format(why=self._problem), False)
        elif self._stopped:
            self._onDone(_("Packing was cancelled."), False)
        else:
            text = _("{name} holds the networks, their description and checksums; no scan, and no name of a patient "
                     "or a file. ALHVR Segmentation adds it by Add zip file.")
            self._onDone(text.format(name=self._target.name), True)
