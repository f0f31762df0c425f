"""Model info: what a model folder says of itself, from its two JSON files; no weight is opened, no code is run."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

from slicer.i18n import tr as _

from alhvr.core.errors import ModelError
from alhvr.formats.model_description import read_summary
from alhvr.formats.model_folder import DESCRIPTION, read_manifest, require_content
from ALHVRLib.models.untrusted_files import one_line


@dataclass(frozen=True)
class InstalledModel:
    """A model folder. Texts are of one line and may hold any visible letters: escape them in rich text."""

    name: str
    """Name of the folder, which is the value of the parameter "model"."""
    folder: Path
    title: str = ""
    """Name for people."""
    labels: tuple = ()
    """Label of each structure, in the order of the model's classes."""
    modality: str = ""
    """"CT", "MR" or "other"."""
    channel_names: tuple = ()
    """Names of the channels; empty for one channel that nobody named."""
    network: str = ""
    """Such as "2-D U-Net"."""
    cases: dict | None = None
    """Numbers of "labeled", "unlabeled" and "validation" scans, as far as they are recorded."""
    set_aside: bool = False
    """The validation scans were taken from the labelled ones."""
    scores: dict | None = None
    """Validation Dice by structure, and "mean"."""
    forced: tuple = ()
    """Faults of the training data that were let pass."""
    date: str = ""
    licence: str = ""
    n_bytes: int = 0
    has_graphs: bool = True
    """The networks are there as ONNX; without, segmenting needs PyTorch."""
    problem: str = ""
    """Why it cannot be used, in one sentence; "" for a good one."""

    @property
    def n_channels(self) -> int:
        """How many volumes the model wants."""
        return max(1, len(self.channel_names))


def describe(folder: Path | str) -> InstalledModel:
    """What a folder holds; one that cannot be used says why in `problem`. Files are not compared with their sha256."""
    folder = Path(folder)
    try:
        return read_description(folder)
    except ModelError as error:
        return InstalledModel(folder.name, folder, one_line(folder.name), problem=error.message)


def read_description(folder: Path) -> InstalledModel:
    """As describe, but raises ModelError for a model that cannot be used."""
    manifest = read_manifest(folder)
    require_content(folder, DESCRIPTION, manifest)
    summary = read_summary(folder)
    training, has_graphs = summary.training, manifest.has_graphs(summary.network.names)
    if not has_graphs and importlib.util.find_spec("torch") is None:
        raise ModelError(_("The model has no networks in ONNX format, so it needs PyTorch, which is not installed."))
    return InstalledModel(
        name=folder.name,
        folder=folder,
        title=one_line(summary.name) or one_line(folder.name),
        labels=tuple(replace(label, name=one_line(label.name)) for label in summary.labels.labels),
        modality=one_line(summary.modality, 20),
        channel_names=tuple(one_line(name, 30) for name in summary.channel_names),
        network=summary.network.title,
        cases=summary.cases,
        set_aside=bool(training.get("validation_was_set_aside")),
        scores={one_line(name): score for name, score in summary.scores.items()},
        forced=tuple(one_line(_plain(kind), 40) for kind in _listed(training.get("forced")))[:10],
        date=one_line(_plain(training.get("date")), 30),
        licence=one_line(_plain(training.get("licence")), 300),
        n_bytes=manifest.n_bytes,
        has_graphs=has_graphs,
    )


def _listed(value: object) -> list:
    return value if isinstance(value, list) else []


def _plain(value: object) -> object:
    """A text or a number; "" for what may be nested too deeply to be written out."""
    return value if isinstance(value, (str, int, float)) else ""
