"""Bundle: the model folder (MONAI Bundle layout), written in one piece, verified on reading, never executed.

    MODEL/alhvr.json                    plan, labels, networks, how to segment, training record
    MODEL/manifest.json                 size and sha256 of every other file; read_model trusts nothing that is not in it
    MODEL/configs/metadata.json         what MONAI's tools want to know
    MODEL/configs/inference.json        for ``python -m monai.bundle run``
    MODEL/models/model.pt               state of the networks, keys a.* and b.*, loads with weights_only=True
    MODEL/models/a_encoder.onnx, ...    the same networks for segmenting without torch; older models lack them
    MODEL/docs/README.md, LICENSE       for people
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alhvr.bundle.card import licence_text, model_card
from alhvr.bundle.description import InferenceSettings, ModelDescription, default_name
from alhvr.bundle.metadata import inference_config, metadata
from alhvr.core.errors import ModelError, UserError
from alhvr.core.files import read_bytes, read_json, shown, to_json
from alhvr.core.torch_file import is_plain, write_tensors
from alhvr.formats.model_description import NetworkSpec, rules_of
from alhvr.formats.model_folder import (
    CARD,
    COPY_AGAIN,
    DESCRIPTION,
    WEIGHTS,
    copy_files,
    graph_file,
    graph_names,
    replaced_in_one_piece,
    require_replaceable,
    verified_files,
    write_file,
    write_manifest,
)

__all__ = ["InferenceSettings", "Model", "ModelDescription", "NetworkSpec", "default_name", "graph_names",
           "read_model", "rules_of", "write_graphs", "write_model"]

LARGEST_CARD_BYTES = 1_000_000


@dataclass(frozen=True)
class Model:
    """A verified model folder."""

    description: ModelDescription
    folder: Path
    files: tuple[str, ...]
    """Verified files, relative to the folder, with forward slashes."""

    def file(self, name: str) -> Path | None:
        """Path of a verified file such as "models/model.pt"; None when the model has no such file."""
        return self.folder / name if name in self.files else None

    def graph_files(self) -> dict[str, Path]:
        """The verified ONNX files by ``graph_names``; empty for a model that was written without them."""
        found = {name: self.file(graph_file(name)) for name in graph_names(self.description.network.names)}
        return {} if None in found.values() else found

    def card(self) -> str:
        """The model card for people, Markdown; what could steer a terminal is escaped."""
        text = read_bytes(self.folder / CARD, at_most=LARGEST_CARD_BYTES).decode("utf-8", errors="replace")
        return "\n".join(shown(line) for line in text.replace("\r\n", "\n").split("\n"))

    def load_state(self) -> dict[str, dict[str, Any]]:
        """{"a": {name: tensor}, "b": ...} on the CPU, for ``load_state_dict``; needs torch, runs no code of the file.

        Raises UserError when torch is not there, ModelError when the file holds anything else, or NaN.
        """
        try:
            import torch
        except ImportError as error:
            raise UserError("These weights need PyTorch, which is not installed.",
                            "Install it: pip install 'alhvr[train]'.") from error
        names = self.description.network.names
        state: dict[str, dict[str, Any]] = {network: {} for network in names}
        for key, tensor in self._plain_weights(torch).items():
            network, _, name = key.partition(".")
            if network not in state:
                raise ModelError(f"{shown(self.folder / WEIGHTS)} holds {key!r:.100}; keys "
                                 f"{' and '.join(f'{known}.*' for known in names)} are known.", COPY_AGAIN)
            state[network][name] = tensor
        return state

    def _plain_weights(self, torch: Any) -> dict[str, Any]:
        """Tensors of finite numbers by name, as they are in the file of weights; raises ModelError for all else."""
        path = shown(self.folder / WEIGHTS)
        try:
            flat = torch.load(self.folder / WEIGHTS, map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  what torch raises for a file that is none of its own has no list
            raise ModelError(f"{path} holds no plain weights.", COPY_AGAIN) from error
        if not isinstance(flat, dict) or not all(isinstance(key, str) and is_plain(value)
                                                 for key, value in flat.items()):
            raise ModelError(f"{path} holds something else than weights by name.", COPY_AGAIN)
        for key, value in flat.items():
            if not torch.isfinite(value).all():
                raise ModelError(f"{path}: {shown(key):.100} holds NaN or infinity, so the networks give no numbers.",
                                 "Copy the model again, or train it anew.")
        return flat


def write_model(folder: Path, description: ModelDescription, state: Mapping[str, Mapping[str, Any]],
                graphs: Mapping[str, bytes] | None = None) -> None:
    """Writes the model folder; an existing model there is kept until the new one is complete.

    ``state`` is {"a": {name: tensor or array}, "b": ...}, ``graphs`` the content of the ONNX files
    by ``graph_names``, if any.
    The files are gathered in a hidden folder beside ``folder``, flushed to the disk, and moved. Raises UserError when
    ``folder`` holds something else than a model or cannot be written.
    """
    folder = Path(folder).resolve()
    require_replaceable(folder)
    with replaced_in_one_piece(folder) as partial:
        _write_texts(partial, description, with_graphs=bool(graphs))
        _write_weights(partial / WEIGHTS, {name: state[name] for name in description.network.names})
        if graphs:
            _write_graphs(partial, graphs)
        files = [path for path in partial.rglob("*") if path.is_file()]
        write_manifest(partial, (path.relative_to(partial).as_posix() for path in files))


def write_graphs(model: Model, graphs: Mapping[str, bytes]) -> Model:
    """Gives a model that is there the ONNX files ``graphs``, by ``graph_names``; its other files stay byte for byte.

    The folder is replaced in one piece as by ``write_model``; UserError where the disk refuses, KeyError where one of
    the graphs is missing.
    """
    graphs = {name: graphs[name] for name in graph_names(model.description.network.names)}
    folder = model.folder.resolve()
    with replaced_in_one_piece(folder) as partial:
        copy_files(folder, partial)
        _write_graphs(partial, graphs)
        write_manifest(partial, {*model.files, *map(graph_file, graphs)})
    return read_model(folder)


def read_model(folder: Path) -> Model:
    """Verifies every file against the manifest and reads the description; the weights are read by ``load_state``.

    The manifest finds damage and incomplete copies; it is no signature. Raises ModelError for a missing folder, a
    folder that is no ALHVR model, a newer format, a description that nobody can mean, and a file that is missing, cut
    short, changed, no plain file, or a link out of the folder.
    """
    folder = Path(folder)
    files = verified_files(folder)
    try:
        description = ModelDescription.from_dict(read_json(folder / DESCRIPTION))
    except UserError as error:
        raise ModelError(f"{shown(folder / DESCRIPTION)}: {error.message}", error.hint or COPY_AGAIN) from error
    return Model(description, folder, files)


def _write_texts(folder: Path, description: ModelDescription, *, with_graphs: bool) -> None:
    texts = {
        DESCRIPTION: to_json(description.to_dict()),
        "configs/metadata.json": to_json(metadata(description)),
        "configs/inference.json": to_json(inference_config(description)),
        CARD: model_card(description, with_graphs=with_graphs),
        "LICENSE": licence_text(description),
    }
    for name, text in texts.items():
        write_file(folder / name, text.encode("utf-8"))


def _write_weights(path: Path, state: Mapping[str, Mapping[str, Any]]) -> None:
    import torch

    flat = {
        f"{network}.{name}": torch.as_tensor(value).detach().cpu().clone(memory_format=torch.contiguous_format)
        for network, weights in state.items()
        for name, value in weights.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, flat)


def _write_graphs(folder: Path, graphs: Mapping[str, bytes]) -> None:
    for name, graph in graphs.items():
        write_file(folder / graph_file(name), graph)
