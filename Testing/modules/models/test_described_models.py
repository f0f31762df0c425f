"""What a model folder says of itself in the panel, and what is not believed."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import pytest
from model_worlds import CODES, DESCRIPTION, WEIGHTS, change_manifest, write_files, write_manifest, write_model_folder

from alhvr.networks.registry import NETWORKS


def problem(folder: pathlib.Path) -> str:
    from ALHVRLib.models.model_info import describe

    return describe(folder).problem


def rewritten(folder: pathlib.Path, description: bytes) -> pathlib.Path:
    """The model with another text as its description, which its manifest lists correctly."""
    write_model_folder(folder)
    (folder / "alhvr.json").write_bytes(description)
    names = ("alhvr.json", "docs/README.md", *WEIGHTS)
    return write_manifest(folder, {name: (folder / name).read_bytes() for name in names})


def test_a_model_tells_its_labels_scans_scores_and_licence(tmp_path: pathlib.Path) -> None:
    from ALHVRLib.models.model_info import describe

    model = describe(write_model_folder(tmp_path / "m"))
    assert (model.name, model.title, model.problem) == ("m", "Liver and spleen", "")
    assert [(label.value, label.name) for label in model.labels] == [(1, "liver"), (3, "spleen")]
    assert model.cases == {"labeled": 2, "unlabeled": 40, "validation": 5}
    assert (model.scores["liver"], model.date, model.licence) == (0.9123, "2026-11-23", "CC BY 4.0")
    assert (model.modality, model.network, model.n_channels, model.has_graphs) == ("MR", "2-D U-Net", 1, True)


def test_the_channels_of_a_model_are_named(tmp_path: pathlib.Path) -> None:
    from ALHVRLib.models.model_info import describe

    plan = {**DESCRIPTION["plan"], "channels": [{"name": "T1"}, {"name": "FLAIR"}]}
    assert describe(write_model_folder(tmp_path / "m", {"plan": plan})).channel_names == ("T1", "FLAIR")


@pytest.mark.parametrize(("kind", "title"), [(name, kind.title) for name, kind in NETWORKS.items()])
def test_every_network_that_the_engine_trains_is_shown(tmp_path: pathlib.Path, kind: str, title: str) -> None:
    from ALHVRLib.models.model_info import describe

    plan, network = ({**DESCRIPTION[part], "dimensions": 3} for part in ("plan", "network"))
    model = describe(write_model_folder(tmp_path / "m", {"plan": plan, "network": {**network, "kind": kind}}))
    assert (model.problem, model.network) == ("", f"3-D {title}")


def test_a_model_of_one_network_needs_the_graphs_of_that_one_only(tmp_path: pathlib.Path) -> None:
    from ALHVRLib.models.model_info import describe

    folder = write_model_folder(tmp_path / "m", {"network": {**DESCRIPTION["network"], "names": ["a"]}},
                                without=("models/b_encoder.onnx", "models/b_decoder.onnx"))
    assert (describe(folder).problem, describe(folder).has_graphs) == ("", True)


def test_a_model_of_the_engine_has_no_problem(tmp_path: pathlib.Path) -> None:
    from model_worlds import engine_model

    from ALHVRLib.models.model_info import describe

    model = describe(engine_model(tmp_path / "m"))
    assert (model.problem, model.title, model.has_graphs) == ("", "M", True)


@pytest.mark.parametrize("name", ["alhvr.json", "manifest.json", "models/a_encoder.onnx", "docs/README.md"])
def test_a_missing_file_is_named(tmp_path: pathlib.Path, name: str) -> None:
    folder = write_model_folder(tmp_path / "m")
    (folder / name).unlink()
    assert problem(folder) == f"{name} is missing."


def test_a_file_that_was_cut_short_is_named_with_both_sizes(tmp_path: pathlib.Path) -> None:
    folder = write_model_folder(tmp_path / "m")
    (folder / "models/model.pt").write_bytes(b"short")
    assert problem(folder) == "models/model.pt has 5 bytes instead of 26."


def test_a_changed_description_is_found_by_its_digest(tmp_path: pathlib.Path) -> None:
    folder = write_model_folder(tmp_path / "m")
    text = (folder / "alhvr.json").read_text()
    (folder / "alhvr.json").write_text(text.replace("spleen", "kidney"))
    assert problem(folder) == "alhvr.json was changed after the model was written."


def test_a_newer_format_asks_for_an_update(tmp_path: pathlib.Path) -> None:
    folder = write_model_folder(tmp_path / "m")
    change_manifest(folder, lambda values: values.update(format_version=2))
    assert problem(folder).endswith("has model format 2; this version of ALHVR reads up to 1.")


@pytest.mark.parametrize("values", [{"format": "other"}, {"format_version": True}, {"format_version": "1"},
                                    {"files": []}, {"files": {}}])
def test_a_foreign_manifest_is_refused(tmp_path: pathlib.Path, values: dict[str, Any]) -> None:
    folder = write_model_folder(tmp_path / "m")
    change_manifest(folder, lambda manifest: manifest.update(values))
    assert problem(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "C:/x", "con", "a\\b", "a\nb", "x. ", ""])
def test_an_unsafe_name_in_the_manifest_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    folder = write_model_folder(tmp_path / "m")
    change_manifest(folder, lambda values: values["files"].update({name: {"bytes": 1, "sha256": ""}}))
    assert problem(folder).startswith("manifest.json has a bad entry")


@pytest.mark.parametrize("size", [-1, 1.5, True, "7", None, 1 << 60])
def test_a_size_that_no_file_has_is_refused(tmp_path: pathlib.Path, size: object) -> None:
    folder = write_model_folder(tmp_path / "m")
    change_manifest(folder, lambda values: values["files"]["models/model.pt"].update(bytes=size))
    assert problem(folder).startswith("manifest.json")


@pytest.mark.parametrize("text", [
    b"[" * 200000, b'{"a":' * 5000, b'{"name": "x"}', b"[]", b"null", b"", b"\xff\xfe", b"{" + b" " * (5 << 20) + b"}",
    b'{"a": ' + b"9" * 5000 + b"}",
], ids=["deep list", "deep object", "empty", "list", "null", "nothing", "no text", "huge", "long number"])
def test_json_that_describes_no_model_ends_in_a_sentence(tmp_path: pathlib.Path, text: bytes) -> None:
    assert problem(rewritten(tmp_path / "m", text)).startswith("alhvr.json ")


@pytest.mark.parametrize(("entry", "value"), [
    ("labels", {"labels": []}), ("labels", {"labels": [{"value": 0, "name": "x", "colour_rgb": [0, 0, 0], **CODES}]}),
    ("labels", {"labels": [{"value": 1, "name": "", "colour_rgb": [0, 0, 0], **CODES}]}),
    ("labels", {"labels": [{"value": 1, "name": "x", "colour_rgb": [0, float("nan"), 0], **CODES}]}),
    ("labels", {"labels": [{"value": 1, "name": "x", "colour_rgb": [0, 0, 0], **CODES}] * 2}),
    ("labels", 7), ("plan", None), ("network", {"kind": "gan", "dimensions": 2}), ("training", []),
])
def test_a_description_with_a_bad_entry_ends_in_a_sentence(tmp_path: pathlib.Path, entry: str, value: Any) -> None:
    folder = write_model_folder(tmp_path / "m", {entry: value})
    assert problem(folder).startswith("alhvr.json")


def test_scores_that_are_no_numbers_are_left_out(tmp_path: pathlib.Path) -> None:
    from ALHVRLib.models.model_info import describe

    training = {"validation_dice": {"liver": float("inf"), "spleen": "0.9", "mean": 0.5}}
    assert describe(write_model_folder(tmp_path / "m", {"training": training})).scores == {"mean": 0.5}


@pytest.mark.parametrize("name", ["alhvr.json", "manifest.json"])
def test_a_link_out_of_the_folder_is_not_followed(tmp_path: pathlib.Path, name: str) -> None:
    folder = write_model_folder(tmp_path / "m")
    (folder / name).rename(tmp_path / "secret")
    (folder / name).symlink_to(tmp_path / "secret")
    assert problem(folder) == f"{name} is a link to a place outside of the model folder."


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_in_place_of_a_file_does_not_hang_the_panel(tmp_path: pathlib.Path) -> None:
    folder = write_model_folder(tmp_path / "m")
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    assert problem(folder) == "manifest.json is a pipe; a file is expected."


def test_links_in_a_circle_end_in_a_sentence(tmp_path: pathlib.Path) -> None:
    folder = write_model_folder(tmp_path / "m")
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to(folder / "manifest.json")
    assert problem(folder).startswith("manifest.json ")


def test_invisible_letters_and_lines_are_taken_out_of_names(tmp_path: pathlib.Path) -> None:
    from ALHVRLib.models.model_info import describe

    model = describe(write_model_folder(tmp_path / "m", {"name": "a\u202eb\n\n\x00c" + "x" * 5000}))
    assert model.title.startswith("ab cxxx")
    assert len(model.title) == 60


def test_without_onnx_networks_a_model_needs_pytorch(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    folder = write_model_folder(tmp_path / "m", without=("models/b_decoder.onnx",))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "PyTorch" in problem(folder)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "there")
    assert problem(folder) == ""


def test_pickled_weights_are_never_opened(tmp_path: pathlib.Path) -> None:
    trap = tmp_path / "trapped"
    pickled = f"cos\nsystem\n(S'touch {trap}'\ntR.".encode()
    folder = write_model_folder(tmp_path / "m")
    write_files(folder, {"models/model.pt": pickled})
    names = ("alhvr.json", "docs/README.md", *WEIGHTS)
    write_manifest(folder, {name: (folder / name).read_bytes() for name in names})
    assert problem(folder) == ""
    assert not trap.exists()


