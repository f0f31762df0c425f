"""Model info: what a model folder says of itself, from its two JSON files; no weight is opened, no code is run."""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ALHVRLib.models.untrusted_files import ModelError, is_safe_name, one_line, read_inside, read_json
from ALHVRLib.scene.label_images import labels_from

FORMAT, FORMAT_VERSION = "alhvr-model", 1
MANIFEST, DESCRIPTION = "manifest.json", "alhvr.json"
NEEDED = (DESCRIPTION, "models/model.pt", "docs/README.md")
GRAPHS = tuple(f"models/{network}_{half}.onnx" for network in "ab" for half in ("encoder", "decoder"))
MAX_FILES = 200
MAX_BYTES = 4 << 30
MAX_CHANNELS = 20
KINDS = {"unet": "U-Net", "vnet": "V-Net"}


@dataclass(frozen=True)
class Manifest:
    """The files of a model."""

    sizes: dict
    """Bytes by name, relative to the folder, with forward slashes; the manifest itself is not among them."""
    digests: dict
    """sha256 in hexadecimal digits by name."""

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes.values())

    @property
    def has_graphs(self) -> bool:
        """Whether the networks are there as ONNX, so that segmenting needs no PyTorch."""
        return set(GRAPHS) <= self.sizes.keys()


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in the bytes of manifest.json; raises ModelError for anything that no engine of ours wrote."""
    values = read_json(data, MANIFEST)
    if values.get("format") != FORMAT:
        raise ModelError(_("This is not an ALHVR model."))
    version = values.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelError(_("{file} has no model format.").format(file=MANIFEST))
    if version > FORMAT_VERSION:
        text = _("The model has format {version} and this extension reads up to {known}: update the extension.")
        raise ModelError(text.format(version=one_line(version, 20), known=FORMAT_VERSION))
    files = values.get("files")
    if not isinstance(files, dict) or not set(NEEDED) <= files.keys():
        raise ModelError(_("{file} is damaged: it does not list the files of a model.").format(file=MANIFEST))
    return _checked(files)


def _checked(files: Mapping[str, Any]) -> Manifest:
    if len(files) > MAX_FILES:
        raise ModelError(_("{file} lists more files than any model has.").format(file=MANIFEST))
    for name, entry in files.items():
        size = entry.get("bytes") if isinstance(entry, dict) else None
        if not is_safe_name(name) or type(size) is not int or size < 0:
            text = _("{file} is damaged: it has the entry \"{name}\".")
            raise ModelError(text.format(file=MANIFEST, name=one_line(name)))
    if len({name.casefold() for name in files} | {MANIFEST}) <= len(files):
        raise ModelError(_("{file} is damaged: it lists a file twice.").format(file=MANIFEST))
    manifest = Manifest(
        {name: entry["bytes"] for name, entry in files.items()},
        {name: str(entry.get("sha256")) for name, entry in files.items()},
    )
    if manifest.total > MAX_BYTES:
        raise ModelError(_("{file} lists more data than any model has.").format(file=MANIFEST))
    return manifest


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
    def n_channels(self) -> int:
        """How many volumes the model wants."""
        return max(1, len(self.channel_names))


def describe(folder: Path | str) -> InstalledModel:
    """What a folder holds; one that cannot be used says why in `problem`. Files are not compared with their sha256."""
    folder = Path(folder)
    title = one_line(folder.name)
    try:
        return read_description(folder)
    except ModelError as error:
        return InstalledModel(folder.name, folder, title, problem=str(error))
    except OSError:
        return InstalledModel(folder.name, folder, title, problem=_("The folder cannot be read."))


def read_description(folder: Path) -> InstalledModel:
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
        raise ModelError(_("The model has no networks in ONNX format, so it needs PyTorch, which is not installed."))
    return model


def _require_size(folder: Path, name: str, size: int) -> None:
    try:
        seen = (folder / name).stat().st_size
    except OSError:
        raise ModelError(_("{file} is missing.").format(file=one_line(name))) from None
    if seen != size:
        text = _("{file} is damaged: it has {seen} bytes instead of {size}.")
        raise ModelError(text.format(file=one_line(name), seen=seen, size=size))


def _from_values(folder: Path, values: dict[str, Any], manifest: Manifest) -> InstalledModel:
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


def _counts(cases: dict[str, Any]) -> dict[str, int]:
    """Numbers of scans: the record has them as numbers or as lists of names."""
    counts = {}
    for part in ("labeled", "unlabeled", "validation"):
        seen = cases.get(part)
        if type(seen) is int or isinstance(seen, list):
            counts[part] = seen if type(seen) is int else len(seen)
    return counts


def _scores(scores: dict[str, Any]) -> dict[str, float]:
    """Dice by name; what is no number is left out."""
    numbers = {one_line(name): value for name, value in scores.items() if type(value) in (int, float)}
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}
