"""For the tests of models: small whole model folders, damaged in all manners of ways, as folders and zip files."""

from __future__ import annotations

import hashlib
import json
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
from support import ROOT

SAMPLE_ZIP = ROOT / "alhvr" / "phantom" / "model.zip"
TISSUE = {"scheme": "SCT", "value": "85756007", "meaning": "Tissue"}
CODES = {"category": TISSUE, "type": TISSUE, "modifier": None}
"""What every label has besides value, name and colour."""
DESCRIPTION: dict[str, Any] = {
    "name": "Liver and spleen",
    "plan": {"dimensions": 2, "modality": "MR", "channels": []},
    "labels": {
        "labels": [
            {"value": 1, "name": "liver", "colour_rgb": [0.8, 0.4, 0.1], **CODES},
            {"value": 3, "name": "spleen", "colour_rgb": [0.0, 0.4, 0.7], **CODES},
        ]
    },
    "network": {"kind": "unet", "dimensions": 2},
    "training": {
        "cases": {"labeled": ["a", "b"], "unlabeled": 40, "validation": 5},
        "validation_dice": {"liver": 0.9123, "spleen": 0.85, "mean": 0.88},
        "date": "2026-11-23",
        "licence": "CC BY 4.0",
    },
}
"""What alhvr.json says, as far as the panel reads it; the engine wants more, see engine_model."""
WEIGHTS = ("models/model.pt", *(f"models/{name}.onnx" for name in ("a_encoder", "a_decoder", "b_encoder", "b_decoder")))


def write_model_folder(folder: pathlib.Path, changes: Mapping[str, Any] | None = None, *,
                       without: tuple[str, ...] = ()) -> pathlib.Path:
    """A folder that the panel takes for a model; `changes` replace top entries of its description, whose networks fit.

    Its weights are no weights: the panel never opens them.
    """
    values = {**DESCRIPTION, **(changes or {})}
    with suppress(KeyError, TypeError, AttributeError):  # a damaged description stays as it is
        n_labels, n_channels = len(values["labels"]["labels"]), len(values["plan"]["channels"])
        values["network"] = {"n_classes": n_labels + 1, "in_channels": n_channels or 1, **values["network"]}
    files = {"alhvr.json": json.dumps(values).encode(), "docs/README.md": b"# M\n"}
    files |= {name: f"content of {name}".encode() for name in WEIGHTS if name not in without}
    write_files(folder, files)
    return write_manifest(folder, files)


def write_files(folder: pathlib.Path, files: Mapping[str, bytes]) -> None:
    """Files by their names in a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def write_manifest(folder: pathlib.Path, files: Mapping[str, bytes], **changes: Any) -> pathlib.Path:
    """A manifest that lists these files; `changes` replace its top entries."""
    entries = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    manifest = {"format": "alhvr-model", "format_version": 1, "files": entries, **changes}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def change_manifest(folder: pathlib.Path, change: Callable[[dict], None]) -> None:
    """Change the manifest of a model in place."""
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def sign(folder: pathlib.Path, *names: str) -> None:
    """Makes the manifest agree with files that were changed, as somebody with intent would."""
    def agree(values: dict) -> None:
        for name in names:
            content = (folder / name).read_bytes()
            values["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    change_manifest(folder, agree)


def zipped(folder: pathlib.Path, path: pathlib.Path, *, below: str = "", more: Mapping[str, bytes] | None = None,
           without: tuple[str, ...] = ()) -> pathlib.Path:
    """A zip file of a folder's files below a folder of the archive, with `more` entries of any names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_file() and name not in without:
                archive.write(file, below + name)
        for name, content in (more or {}).items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def engine_model(folder: pathlib.Path, seed: int = 0) -> pathlib.Path:
    """A small model called M that the engine wrote and verifies, with ONNX networks; another one for each seed.

    The sample model where it ships with this source tree; otherwise random weights, and without PyTorch the test is
    skipped, saying so.
    """
    if SAMPLE_ZIP.is_file():
        with zipfile.ZipFile(SAMPLE_ZIP) as archive:
            archive.extractall(folder)
        return renamed(folder, "M", seed)
    pytest.importorskip("torch", reason="PyTorch is not installed, and this source tree has no sample model")
    from untrained import write_untrained

    from alhvr.training.checked_graphs import add_graphs

    write_untrained(folder, seed)
    add_graphs(folder)
    return folder


def renamed(folder: pathlib.Path, name: str, seed: int = 0) -> pathlib.Path:
    """The model under another name, as if it had been trained with another seed; its manifest agrees."""
    values = json.loads((folder / "alhvr.json").read_text())
    values["name"], values["training"]["seed"] = name, seed
    (folder / "alhvr.json").write_text(json.dumps(values))
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return write_manifest(folder, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
