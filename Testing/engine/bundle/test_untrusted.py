"""A model folder from a stranger: whatever its manifest agrees to, nothing outside of it is read; one line says why."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_worlds import change_manifest, engine_model, sign

from alhvr.bundle.model import Model, read_model, write_graphs
from alhvr.core.errors import ModelError, UserError
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Scan
from alhvr.formats import model_folder
from alhvr.inference.backends import choose_backend
from alhvr.inference.predictor import Predictor

DEEP = "[" * 100_000
ODD_JSON = {"nested too deeply": DEEP.encode(), "no JSON": b"{name: 1", "not UTF-8": b'{"name": "\xff"}', "empty": b"",
            "a number of 5,000 digits": b"9" * 5000, "a list": b"[1]", "a text": b'"x"', "nothing": b"null"}
GRID = Geometry((48, 40, 3), (4.0, 4.0, 5.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
ODD_NUMBERS = (-5, 0, 0.5, 1e18, 10**400, float("inf"), float("nan"), "x", None, [], {}, True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole small model."""
    return engine_model(tmp_path / "model")


def list_file(folder: Path, name: str, entry: Any) -> None:
    change_manifest(folder, lambda values: values["files"].update({name: entry}))


def refused(folder: Path, *parts: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(folder)
    line = str(caught.value)
    assert "\n" not in line and line.isprintable() and len(line) < 600, line
    for part in parts:
        assert part in line


def test_a_listed_file_that_is_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "docs/README.md").unlink()
    (folder / "docs/README.md").symlink_to(tmp_path / "secret")
    sign(folder, "docs/README.md")
    refused(folder, "README.md is a link to a place outside of the model folder")


def test_a_folder_of_the_model_that_is_a_link_out_of_it_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "models").rename(tmp_path / "elsewhere")
    (folder / "models").symlink_to(tmp_path / "elsewhere")
    refused(folder, "is a link to a place outside of the model folder")


def test_a_manifest_that_is_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "manifest.json").rename(tmp_path / "manifest.json")
    (folder / "manifest.json").symlink_to(tmp_path / "manifest.json")
    refused(folder, "manifest.json is a link to a place outside")


def test_a_link_within_the_folder_and_a_folder_that_is_reached_by_a_link_are_read(folder: Path, tmp_path: Path) -> None:
    (folder / "docs/README.md").rename(folder / "docs/card.md")
    (folder / "docs/README.md").symlink_to("card.md")
    (tmp_path / "link").symlink_to(folder)
    assert read_model(tmp_path / "link").card()


def test_links_in_a_ring_are_refused(folder: Path) -> None:
    (folder / "LICENSE").unlink()
    (folder / "LICENSE").symlink_to("LICENSE")
    refused(folder, "LICENSE cannot be read")


@pytest.mark.parametrize("name", ["manifest.json", "alhvr.json", "models/model.pt", "docs/README.md"])
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(UserError, match="is a pipe; a file is expected"):
        read_model(folder)


@pytest.mark.parametrize("name", ["manifest.json", "alhvr.json"])
@pytest.mark.parametrize("content", ODD_JSON)
def test_json_that_is_odd_is_refused(folder: Path, name: str, content: str) -> None:
    (folder / name).write_bytes(ODD_JSON[content])
    if name != "manifest.json":
        sign(folder, name)
    refused(folder)


@pytest.mark.parametrize("name", ["a\x00b", "/etc/hostname", "../x", "a/../../x", "C:x", "a\\..\\x", "", ".", "\ud800",
                                  "a\x1b[2Jb", "b" * 300, "/".join(["d"] * 3000)])
def test_a_name_that_is_no_path_within_the_folder_is_refused(folder: Path, name: str) -> None:
    list_file(folder, name, {"bytes": 1, "sha256": ""})
    refused(folder)


@pytest.mark.parametrize("entry", [None, [], "x", {}, {"bytes": "x"}, {"bytes": -1, "sha256": 5},
                                   {"bytes": [DEEP[:9]]}])
def test_an_entry_that_tells_neither_size_nor_content_is_refused(folder: Path, entry: Any) -> None:
    list_file(folder, "LICENSE", entry)
    refused(folder)


@pytest.mark.parametrize("version", [99, "x" * 10_000, None, [1], 1e400])
def test_a_format_version_that_is_not_known_is_refused(folder: Path, version: Any) -> None:
    values = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(values | {"format_version": version}))
    refused(folder, "format")


def test_a_model_that_is_too_large_is_not_even_hashed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(folder / "huge", "wb") as file:
        file.truncate(10**13)
    list_file(folder, "huge", {"bytes": 10**13, "sha256": ""})
    refused(folder, "more than 16 GB")


def test_a_manifest_of_too_many_files_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "MOST_FILES", 3)
    refused(folder, "at most 3 are accepted")


def test_the_card_cannot_steer_a_terminal(folder: Path) -> None:
    (folder / "docs/README.md").write_bytes("# \x1b[2JM\u202eN\n\nüber\xff\n".encode("latin-1", "backslashreplace"))
    sign(folder, "docs/README.md")
    card = read_model(folder).card()
    assert "\x1b" not in card and "\u202e" not in card and "# " in card and card.count("\n") == 3


def test_a_write_never_goes_through_a_link_at_the_name_of_its_own_folder(folder: Path, tmp_path: Path) -> None:
    model = read_model(folder)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    for name in (".model.partial", ".model.old"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    write_graphs(model, {name: path.read_bytes() for name, path in model.graph_files().items()})
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["thesis.txt"]
    assert read_model(folder).graph_files() and not list(tmp_path.glob(".model.*"))


def test_graphs_are_not_added_to_a_folder_that_holds_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    model = read_model(folder)
    with pytest.raises(UserError, match="is a pipe"):
        write_graphs(model, {name: path.read_bytes() for name, path in model.graph_files().items()})


def numbers(values: Any, place: tuple = ()) -> Iterator[tuple]:
    """Places of all numbers, of the first two entries where there is a list."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from numbers(value, (*place, key))
    elif isinstance(values, list):
        for index, value in enumerate(values[:2]):
            yield from numbers(value, (*place, index))
    elif isinstance(values, (int, float)) and not isinstance(values, bool):
        yield place


def with_value(values: Any, place: tuple, value: Any) -> Any:
    changed = json.loads(json.dumps(values))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def segments_or_refuses(model: Callable[[], Model]) -> None:
    """Fails for anything but a result or a UserError."""
    rng = np.random.default_rng(0)
    scan = Scan("s", rng.normal(50, 60, (3, 40, 48)).astype(np.float32), GRID,
                "CT", Path("s"))
    try:
        found = model()
        backend = choose_backend(found, backend="onnxruntime", threads=1)
        about = found.description
        predictor = Predictor(backend, about.plan, about.labels, about.inference)
        predictor.require_memory(scan.geometry, regions=True)
        predictor.segment(scan, regions=True)
    except UserError as error:
        assert str(error).isprintable() and len(str(error)) < 600


def test_no_number_of_the_description_is_so_odd_that_it_is_neither_refused_nor_harmless(folder: Path) -> None:
    values = json.loads((folder / "alhvr.json").read_text())
    places = [place for place in numbers(values) if place[0] != "training"]
    places += [("training", "seed"), ("training", "iterations"), ("training",), ("name",), ("plan",), ("labels",)]
    places += [("plan", "in_plane_matrix"), ("plan", "modality"), ("plan", "reasons", "grid"), ("network", "kind")]
    assert len(places) > 30
    for place in places:
        for odd in ODD_NUMBERS:
            (folder / "alhvr.json").write_text(json.dumps(with_value(values, place, odd)))
            sign(folder, "alhvr.json")
            segments_or_refuses(lambda: read_model(folder))


@pytest.mark.parametrize(("place", "value", "sentence"), [
    (("inference", "perturbation_seed"), -5, "perturbation_seed is -5"),
    (("inference", "window_overlap"), 0.9999, "window_overlap is 0.9999"),
    (("network", "n_classes"), 7, "network.n_classes is 7. Accepted: 5"),
    (("network", "kind"), "transformer", "kind is 'transformer'"),
    (("plan", "patch_size"), [10**9, 16], "patch_size is (1000000000, 16)"),
    (("plan", "modality"), "PET", "modality is 'PET'"),
    (("plan", "target_spacing_mm"), [1e-9, 1, 1], "target_spacing_mm is (1e-09"),
    (("labels", "labels", 0, "colour_rgb", 0), 1e300, "colour_rgb of 'liver'"),
    (("labels", "labels", 0, "type", "meaning"), 5, "a code of 'liver' is 5"),
    (("name",), ["M"], "name is ['M']"),
])
def test_a_value_out_of_range_is_named_with_those_that_are_accepted(folder: Path, place: tuple, value: Any,
                                                                     sentence: str) -> None:
    values = json.loads((folder / "alhvr.json").read_text())
    (folder / "alhvr.json").write_text(json.dumps(with_value(values, place, value)))
    sign(folder, "alhvr.json")
    refused(folder, sentence, "alhvr.json")


ODD_WEIGHTS: dict[str, Any] = {
    "a list": [1, 2], "a number": 5, "a text": "x", "a tensor": torch.ones(3), "numbers": {"a.x": 5},
    "lists": {"a.x": [1.0]}, "no names": {5: torch.ones(2)}, "other names": {"c.x": torch.ones(2)},
    "NaN": {"a.x": torch.tensor([1.0, float("nan")])}, "infinity": {"b.x": torch.tensor([float("inf")])},
    "one number repeated a million million times": {"a.x": torch.ones(1).expand(10**12)},
    "sparse": {"a.x": torch.eye(3).to_sparse()}, "not in memory": {"a.x": torch.empty(10**10, device="meta")},
}


@pytest.mark.parametrize("kind", ODD_WEIGHTS)
def test_weights_that_are_no_finite_tensors_by_name_are_refused(folder: Path, kind: str) -> None:
    torch.save(ODD_WEIGHTS[kind], folder / "models/model.pt")
    sign(folder, "models/model.pt")
    with pytest.raises(ModelError, match="model.pt"):
        read_model(folder).load_state()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut", b"\x80\x02}q\x00."])
def test_a_file_that_torch_cannot_load_is_refused(folder: Path, content: bytes) -> None:
    (folder / "models/model.pt").write_bytes(content)
    sign(folder, "models/model.pt")
    with pytest.raises(ModelError, match=r"model\.pt holds"):
        read_model(folder).load_state()
