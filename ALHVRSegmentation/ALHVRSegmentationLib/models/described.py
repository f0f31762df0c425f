"""Described: what a model folder says of itself, read from its two JSON files; no weight is opened, no code is run."""

import hashlib
import importlib.util
import math
from dataclasses import dataclass, replace
from pathlib import Path

from slicer.i18n import tr as _

from ALHVRSegmentationLib.models.manifest import DESCRIPTION, MANIFEST, parse_manifest
from ALHVRSegmentationLib.models.safe_files import ModelError, one_line, read_inside, read_json
from ALHVRSegmentationLib.scene.labels import labels_from

MAX_CHANNELS = 20
KINDS = {"unet": "U-Net", "vnet": "V-Net"}


@dataclass(frozen=True)
class InstalledModel:
    """A model folder. Texts are of one line and may hold any visible letters: escape them in rich text."""

    name: str
    """Name of the folder, which is the value of the parameter "model"."""
    folder: Path
    title: str = ""
    """Name for people."""
    labels: tuple = ()
    """ModelLabel of each structure, in the order of the model's classes."""
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
    def n_channels(self):
        """How many volumes the model wants."""
        return max(1, len(self.channel_names))


def describe(folder):
    """What a folder holds; one that cannot be used says why in `problem`. Files are not compared with their sha256."""
    folder = Path(folder)
    title = one_line(folder.name)
    try:
        return read_description(folder)
    except ModelError as error:
        return InstalledModel(folder.name, folder, title, problem=str(error))
    except OSError:
        return InstalledModel(folder.name, folder, title, problem=_("The folder cannot be read."))


def read_description(folder):
    """As describe, but raises ModelError for a model that cannot be used."""
    manifest = parse_manifest(read_inside(folder, MANIFEST))
    for name, size in manifest.sizes.items():
        _require_size(folder, name, size)
    data = read_inside(folder, DESCRIPTION)
    if hashlib.sha256(data).hexdigest() != manifest.digests[DESCRIPTION]:
        raise ModelError(_("{file} was changed after the model was written.").format(file=DESCRIPTION))
    try:
        model = _from_values(folder, read_json(data, DESCRIPTION), manifest)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        text = _("{file} is damaged: it does not describe a model.")
        raise ModelError(text.format(file=DESCRIPTION)) from None
    if not manifest.has_graphs and importlib.util.find_spec("torch") is None:
        raise ModelError(_("The model has no networks in ONNX format, so that it needs PyTorch, which is not there."))
    return model


def _require_size(folder, name, size):
    try:
        seen = (folder / name).stat().st_size
    except OSError:
        raise ModelError(_("{file} is missing.").format(file=one_line(name))) from None
    if seen != size:
        text = _("{file} is damaged: it has {seen} bytes instead of {size}.")
        raise ModelError(text.format(file=one_line(name), seen=seen, size=size))


def _from_values(folder, values, manifest):
    plan, network, training = values["plan"], values["network"], values["training"]
    channels = plan.get("channels") or ()
    if len(channels) > MAX_CHANNELS:
        raise ValueError
    return InstalledModel(
        name=folder.name,
        folder=folder,
        title=one_line(values["name"]) or one_line(folder.name),
        labels=tuple(replace(label, name=one_line(label.name)) for label in labels_from(values)),
        modality=one_line(plan["modality"], 20),
        channel_names=tuple(one_line(channel["name"], 30) for channel in channels),
        network=f"{int(network['dimensions'])}-D {KINDS[network['kind']]}",
        cases=_counts(training.get("cases") or {}),
        set_aside=bool(training.get("validation_was_set_aside")),
        scores=_scores(training.get("validation_dice") or {}),
        forced=tuple(one_line(kind, 40) for kind in training.get("forced") or ())[:10],
        date=one_line(training.get("date", ""), 30),
        licence=one_line(training.get("licence", ""), 300),
        n_bytes=manifest.total,
        has_graphs=manifest.has_graphs,
    )


def _counts(cases):
    """Numbers of scans: the record has them as numbers or as lists of names."""
    counts = {}
    for part in ("labeled", "unlabeled", "validation"):
        seen = cases.get(part)
        if type(seen) is int or isinstance(seen, list):
            counts[part] = seen if type(seen) is int else len(seen)
    return counts


def _scores(scores):
    """Dice by name; what is no number is left out."""
    numbers = {one_line(name): value for name, value in scores.items() if type(value) in (int, float)}
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}
