"""Tests of the ONNX files in a model folder: written, verified, and added to a model that is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_cases import LABELS, tiny_plan

from alhvr.bundle.model import ModelDescription, NetworkSpec, graph_names, read_model, write_graphs, write_model
from alhvr.core.errors import UserError

ABOUT = ModelDescription("tiny", tiny_plan(2, (32, 32)), LABELS, NetworkSpec("unet", 2, 3))
STATE = {"a": {"x": torch.arange(3.0)}, "b": {"x": torch.ones(3)}}
CONTENT = {name: f"graph {name}".encode() for name in graph_names(("a", "b"))}


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A model as it was written before there were graphs."""
    write_model(tmp_path / "model", ABOUT, STATE)
    return tmp_path / "model"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_graphs_are_files_of_the_model_like_any_other(tmp_path: Path) -> None:
    write_model(tmp_path / "m", ABOUT, STATE, CONTENT)
    model = read_model(tmp_path / "m")
    assert {name: path.read_bytes() for name, path in model.graph_files().items()} == CONTENT
    assert "segmenting with them needs no PyTorch" in model.card()


def test_a_graph_that_was_changed_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "m", ABOUT, STATE, CONTENT)
    (tmp_path / "m/models/b_decoder.onnx").write_bytes(CONTENT["a_decoder"])
    with pytest.raises(UserError, match=r"b_decoder\.onnx was changed after"):
        read_model(tmp_path / "m")


def test_a_model_without_graphs_is_read_and_has_none(bare: Path) -> None:
    model = read_model(bare)
    assert model.graph_files() == {} and "onnx" not in model.card()


def test_graphs_that_nobody_listed_are_not_the_models(bare: Path) -> None:
    for name, content in CONTENT.items():
        (bare / f"models/{name}.onnx").write_bytes(content)
    assert read_model(bare).graph_files() == {}


def test_graphs_added_later_leave_every_other_file_as_it_was(bare: Path) -> None:
    (bare / "notes.txt").write_text("mine")
    before = contents(bare)
    model = write_graphs(read_model(bare), CONTENT)
    after = contents(bare)
    assert {name: after.pop(f"models/{name}.onnx") for name in graph_names(("a", "b"))} == CONTENT
    assert before.pop("manifest.json") != after.pop("manifest.json") and before == after
    assert len(model.graph_files()) == 4 and model.file("notes.txt") is None


def test_graphs_that_are_not_complete_leave_the_model_as_it_was(bare: Path) -> None:
    before = contents(bare)
    with pytest.raises(KeyError):
        write_graphs(read_model(bare), {"a_encoder": b"x"})
    assert contents(bare) == before and [path.name for path in bare.parent.iterdir()] == ["model"]
