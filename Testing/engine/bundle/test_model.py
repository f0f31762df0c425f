"""Tests of bundle.model: what is written is read back, what is damaged is refused in one line, nothing is executed."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alhvr.bundle.card import model_card
from alhvr.bundle.model import InferenceSettings, ModelDescription, NetworkSpec, default_name, read_model, write_model
from alhvr.core.errors import UserError
from alhvr.data.plan import ChannelPlan, Normalization, Plan
from alhvr.formats.labels import LabelSet

PLAN = Plan(
    dimensions=2, network="unet", target_spacing_mm=None, in_plane_matrix=(32, 48), patch_size=(32, 48), batch_size=4,
    labeled_batch_size=2, modality="MR", normalization=Normalization("zscore", 0.0, 0.0, 0.0, 1.0),
)
TRAINING = {
    "cases": {"labeled": ["x", "y", "z"], "unlabeled": ["u"] * 40, "validation": ["v"]},
    "validation_was_set_aside": True, "date": "2025-03-01", "iterations": 600, "minutes": 5.5, "seed": 7,
    "validation_dice": {"liver": 0.91234, "left kidney": float("nan"), "mean": 0.9}, "licence": "CC BY 4.0",
}
DESCRIPTION = ModelDescription(
    name="abdomen", plan=PLAN, labels=LabelSet.from_names({1: "liver", 4: "left kidney"}),
    network=NetworkSpec("unet", 2, 3), inference=InferenceSettings(fusion="competition", beta=0.7), training=TRAINING,
)
STATE = {
    "a": {"conv.weight": torch.arange(1000.0), "norm.count": torch.tensor(3)},
    "b": {"conv.weight": np.full((2, 2), 7.0, np.float32)},
}


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A written model with small made-up weights."""
    write_model(tmp_path / "model", DESCRIPTION, STATE)
    return tmp_path / "model"


def sign(folder: Path, name: str) -> None:
    """Writes the size and sha256 of a changed file into the manifest, as somebody with intent would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    content = (folder / name).read_bytes()
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def edit_manifest(folder: Path, **values: object) -> None:
    """Changes entries at the top of the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | values))


def cut_weights(folder: Path) -> None:
    content = (folder / "models/model.pt").read_bytes()
    (folder / "models/model.pt").write_bytes(content[: len(content) // 2])


def tamper(folder: Path) -> None:
    text = (folder / "alhvr.json").read_text()
    (folder / "alhvr.json").write_text(text.replace("0.7", "0.8"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights cut short": (cut_weights, r"model\.pt has \d+ bytes instead of \d+"),
    "text changed": (tamper, "alhvr.json was changed after"),
    "file gone": (lambda folder: (folder / "docs/README.md").unlink(), "docs/README.md is missing"),
    "manifest gone": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
    "manifest cut short": (lambda folder: (folder / "manifest.json").write_text('{"for'), "manifest.json is not valid"),
    "another format": (lambda folder: edit_manifest(folder, format="other"), "is that of no ALHVR model"),
    "newer format": (lambda folder: edit_manifest(folder, format_version=99), "format 99; .* reads up to 1. Update"),
    "nothing listed": (lambda folder: edit_manifest(folder, files={}), "lists no alhvr.json, models/model.pt or"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_refused_in_one_clear_line(model_folder, damage):
    spoil, sentence = DAMAGES[damage]
    spoil(model_folder)
    with pytest.raises(UserError, match=sentence) as caught:
        read_model(model_folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="no model folder .*nowhere"):
        read_model(tmp_path / "nowhere")


def test_a_folder_of_other_things_is_no_model(tmp_path):
    (tmp_path / "notes.txt").write_text("shopping")
    with pytest.raises(UserError, match="is no ALHVR model"):
        read_model(tmp_path)


def test_a_manifest_that_points_outside_the_folder_is_refused(model_folder):
    manifest = json.loads((model_folder / "manifest.json").read_text())
    edit_manifest(model_folder, files=manifest["files"] | {"../secret": {"bytes": 1, "sha256": ""}})
    with pytest.raises(UserError, match="bad entry: '../secret'"):
        read_model(model_folder)


def test_the_description_is_read_back_as_it_was_written(model_folder):
    found = read_model(model_folder).description
    assert replace(found, training={}) == replace(DESCRIPTION, training={})


def test_the_training_record_is_kept_and_nan_becomes_null(model_folder):
    found = read_model(model_folder).description.training
    assert found["seed"] == 7 and found["validation_dice"] == {"liver": 0.91234, "left kidney": None, "mean": 0.9}


def test_the_weights_of_both_networks_are_read_back(model_folder):
    state = read_model(model_folder).load_state()
    assert torch.equal(state["a"]["conv.weight"], STATE["a"]["conv.weight"]) and state["a"]["norm.count"] == 3
    assert state["b"]["conv.weight"].dtype == torch.float32 and (state["b"]["conv.weight"] == 7).all()


def test_the_weights_file_is_one_flat_state_that_torch_loads_safely(model_folder):
    flat = torch.load(model_folder / "models/model.pt", weights_only=True)
    assert sorted(flat) == ["a.conv.weight", "a.norm.count", "b.conv.weight"]


def test_weights_that_would_run_code_are_refused_even_when_the_manifest_agrees(model_folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    (model_folder / "models/model.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    sign(model_folder, "models/model.pt")
    with pytest.raises(UserError, match="holds no plain weights"):
        read_model(model_folder).load_state()
    assert not (tmp_path / "exploded").exists()


def test_reading_a_model_imports_neither_torch_nor_monai(model_folder):
    code = "import sys; from pathlib import Path; from alhvr.bundle.model import read_model\n"
    code += "read_model(Path(sys.argv[1]));"
    code += "sys.exit(sum(name in sys.modules for name in ('torch', 'monai', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code, str(model_folder)], check=False).returncode == 0


def test_a_file_that_was_added_later_is_not_part_of_the_model(model_folder):
    (model_folder / "models/planted.onnx").write_bytes(b"x")
    model = read_model(model_folder)
    assert model.file("models/planted.onnx") is None
    assert model.file("models/model.pt") == model_folder / "models/model.pt"


def test_a_failed_write_keeps_the_old_model_and_leaves_nothing_behind(model_folder):
    with pytest.raises(KeyError):
        write_model(model_folder, replace(DESCRIPTION, name="new"), {"a": STATE["a"]})
    assert read_model(model_folder).description.name == "abdomen"
    assert [path.name for path in model_folder.parent.iterdir()] == ["model"]


def test_a_new_model_replaces_the_old_one_as_a_whole(model_folder):
    (model_folder / "models/old.onnx").write_bytes(b"x")
    write_model(model_folder, replace(DESCRIPTION, name="new"), STATE)
    assert read_model(model_folder).description.name == "new"
    assert not (model_folder / "models/old.onnx").exists()
    assert [path.name for path in model_folder.parent.iterdir()] == ["model"]


def test_a_model_left_by_an_interrupted_replacement_is_pointed_out(model_folder):
    model_folder.rename(model_folder.with_name(".model.old"))
    with pytest.raises(UserError, match=r"interrupted; the model from before is in .*\.model\.old"):
        read_model(model_folder)


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds other files than a model"):
        write_model(tmp_path, DESCRIPTION, STATE)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_card_tells_people_what_they_need(model_folder):
    card = read_model(model_folder).card()
    for part in ("not a medical device", "| labelled scans | 3 |", "| unlabelled scans | 40 |", "| liver | 0.912 |",
                 "| 4 | left kidney | Kidney (SCT 64033007), Left (SCT 7771000)", "2025-03-01", "CC BY 4.0"):
        assert part in card


def test_the_card_of_a_model_without_an_archive_says_so(tmp_path):
    cases = {"labeled": 5, "unlabeled": 0, "validation": 1}
    write_model(tmp_path / "m", replace(DESCRIPTION, training={"cases": cases}), STATE)
    assert "learnt from labelled scans only" in read_model(tmp_path / "m").card()


def test_the_card_says_where_validation_fell_while_the_archive_was_learnt_from():
    reduced = [{"iteration": 400, "best_dice": 0.6, "dice": 0.5, "share_left": 0.5}]
    record = {**TRAINING, "archive": {"max_weight": 0.1, "share_left": 0.5, "reduced": reduced}}
    card = model_card(replace(DESCRIPTION, training=record), with_graphs=True)
    assert "Validation Dice fell while the scans without labels were learnt from" in card
    assert "50% of their weight" in card
    assert "Validation Dice fell" not in model_card(DESCRIPTION, with_graphs=True)


def test_the_card_does_not_claim_that_the_archive_taught_where_lambda_was_zero():
    record = {**TRAINING, "archive": {"max_weight": 0, "share_left": 1.0, "reduced": []}}
    card = model_card(replace(DESCRIPTION, training=record), with_graphs=True)
    assert "batch statistics only" in card and "taught each other" not in card


def test_a_model_without_a_training_record_has_a_card_too(tmp_path):
    write_model(tmp_path / "m", replace(DESCRIPTION, training={}), STATE)
    card = (tmp_path / "m/docs/README.md").read_text(encoding="utf-8")
    assert "Not scored" in card and "| labelled scans | not recorded |" in card


@pytest.mark.parametrize(("names", "modality", "expected"), [
    (["hippocampus"], "MR", "Hippocampus in MR"), (["a", "b"], "CT", "A and b in CT"),
    (["a", "b", "c", "d", "e"], "other", "A, b and 3 more"), (["x" * 50], "CT", f"X{'x' * 39}... in CT")])
def test_a_model_that_nobody_named_is_named_after_its_structures_and_modality(names, modality, expected):
    labels = LabelSet.from_names(dict(enumerate(names, 1)))
    assert default_name(replace(PLAN, modality=modality), labels) == expected


def test_settings_out_of_range_are_refused():
    with pytest.raises(UserError, match="fusion is 'vote'. Accepted: mean, competition, a, b"):
        ModelDescription.from_dict({**DESCRIPTION.to_dict(), "inference": {"fusion": "vote"}})


def test_a_model_of_one_network_has_no_other_fusion_than_its_own() -> None:
    about = DESCRIPTION.to_dict()
    alone = {**about, "network": {**about["network"], "names": ["student"]}, "inference": {}}
    assert ModelDescription.from_dict(alone).network.names == ("student",)
    with pytest.raises(UserError, match="fusion is 'competition'. Accepted: mean."):
        ModelDescription.from_dict({**alone, "inference": {"fusion": "competition"}})


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a", "b", "c"], ["../a"], ["mean"], ["A"]])
def test_networks_whose_names_make_no_files_are_refused(names: list[str]) -> None:
    with pytest.raises(UserError, match="network.names"):
        ModelDescription.from_dict({**DESCRIPTION.to_dict(), "network": {**DESCRIPTION.to_dict()["network"],
                                                                          "names": names}})


def test_the_card_and_the_metadata_tell_the_channels_of_a_model(tmp_path: Path) -> None:
    channels = (ChannelPlan("T1", "MR", PLAN.normalization), ChannelPlan("low dose", "CT", Normalization("ct")))
    network = NetworkSpec("unet", 2, 3, in_channels=2)
    write_model(tmp_path / "m", replace(DESCRIPTION, plan=replace(PLAN, channels=channels), network=network), STATE)
    model = read_model(tmp_path / "m")
    assert model.description.plan.channels == channels and model.description.network.in_channels == 2
    assert "in scans of 2 channels (T1, low dose)." in model.card()
    assert "| NAME_0001 | low dose | CT | ct |" in model.card()
    metadata = json.loads((tmp_path / "m" / "configs" / "metadata.json").read_text())
    assert metadata["network_data_format"]["inputs"]["image"]["modality"] == "n/a"
    assert metadata["image_classes"].startswith("2 channels (T1, low dose), ")


def test_a_model_from_before_there_were_widths_is_16_wide_and_sharpens_as_it_was_trained(model_folder: Path) -> None:
    values = json.loads((model_folder / "alhvr.json").read_text())
    del values["network"]["width"], values["plan"]["width"], values["inference"]["temperature"]
    about = ModelDescription.from_dict(values)
    assert (about.network.width, about.plan.width, about.inference.temperature) == (16, 16, 0.1)
    values["training"]["settings"] = {"method": {"temperature": 0.4}}
    assert ModelDescription.from_dict(values).inference.temperature == 0.4


def test_a_model_of_a_width_that_there_is_not_is_refused(model_folder: Path) -> None:
    values = json.loads((model_folder / "alhvr.json").read_text())
    values["network"]["width"] = 10**6
    with pytest.raises(UserError, match=r"width is 1000000\. Accepted: 2 to 64"):
        ModelDescription.from_dict(values)


def test_a_model_from_before_there_were_channels_has_one(model_folder: Path) -> None:
    values = json.loads((model_folder / "alhvr.json").read_text())
    del values["network"]["in_channels"], values["plan"]["channels"]
    (model_folder / "alhvr.json").write_text(json.dumps(values))
    sign(model_folder, "alhvr.json")
    about = read_model(model_folder).description
    assert (about.plan, about.network) == (PLAN, DESCRIPTION.network) and about.plan.n_channels == 1
    assert "Channels" not in read_model(model_folder).card()
