"""Tests of a model folder with MONAI's own tools: metadata, network, and inference on a folder of scans."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import monai.bundle
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from scipy import ndimage
from support import ROOT

from alhvr.bundle.model import InferenceSettings, ModelDescription, NetworkSpec, read_model, write_model
from alhvr.bundle_monai import FusedNetwork, ReadScan, list_scans
from alhvr.data.plan import ChannelPlan, Normalization, Plan
from alhvr.data.reading import read_label, read_scan
from alhvr.formats.labels import LabelSet
from alhvr.inference.backends import choose_backend
from alhvr.inference.dual_forward import fuse
from alhvr.inference.predictor import Predictor
from alhvr.inference.torch_backend import TorchBackend
from alhvr.methods.alhvr import forward_views
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks

PLAN = Plan(
    dimensions=2, network="unet", target_spacing_mm=None, in_plane_matrix=(32, 32), patch_size=(32, 32), batch_size=4,
    labeled_batch_size=2, modality="CT", normalization=Normalization("ct", -100.0, 300.0, 40.0, 80.0),
)
DESCRIPTION = ModelDescription(
    name="tiny", plan=PLAN, labels=LabelSet.from_names({1: "liver", 3: "spleen"}), network=NetworkSpec("unet", 2, 3),
    inference=InferenceSettings(), training={"date": "2025-03-01", "validation_dice": {"liver": 0.9, "mean": 0.9}},
)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two untrained 2-D networks, with graphs; no head has a bias, so that every class wins somewhere."""
    torch.manual_seed(0)
    networks = NetworkGroup("unet", 2, 3)
    torch.nn.init.zeros_(networks.a.head.bias)
    torch.nn.init.zeros_(networks.b.head.bias)
    folder = tmp_path_factory.mktemp("written") / "model"
    state = {"a": networks.a.state_dict(), "b": networks.b.state_dict()}
    write_model(folder, DESCRIPTION, state, export_networks(networks))
    return folder


def config_files(model: Path) -> dict[str, str]:
    """The arguments that MONAI's commands take."""
    configs = model / "configs"
    return {"config_file": str(configs / "inference.json"), "meta_file": str(configs / "metadata.json")}


def write_scan(path: Path, seed: int) -> None:
    """A small oblique scan of smooth noise in HU."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(40, 800, (3, 40, 36)), (0, 2, 2))
    image = sitk.GetImageFromArray(noise.astype(np.float32))
    image.SetSpacing((0.8, 0.9, 5.0))
    turn = sitk.Euler3DTransform((0, 0, 0), 0.1, 0.2, 2.0)
    image.SetDirection(turn.GetMatrix())
    image.SetOrigin((-20.0, 13.5, 100.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def verify_metadata(metadata: Path, scratch: Path) -> None:
    """MONAI's check against our copy of the specification, laid where MONAI would have put its download."""
    schema = Path(shutil.copy(ROOT / "Testing/reference/bundle_metadata_schema.json", scratch / "schema.json"))
    digest = hashlib.sha256(schema.read_bytes()).hexdigest()
    monai.bundle.verify_metadata(meta_file=str(metadata), filepath=str(schema), hash_val=digest, hash_type="sha256")


def test_monai_accepts_the_metadata(model_folder, tmp_path):
    verify_metadata(model_folder / "configs/metadata.json", tmp_path)
    values = json.loads((model_folder / "configs/metadata.json").read_text())
    assert values["network_data_format"]["outputs"]["pred"]["channel_def"] == {
        "0": "background", "1": "liver", "2": "spleen"}  # fmt: skip


@pytest.mark.parametrize("key", ["monai_version", "task", "network_data_format"])
def test_the_check_of_the_metadata_would_notice_a_missing_key(model_folder, tmp_path, key):
    values = json.loads((model_folder / "configs/metadata.json").read_text())
    del values[key]
    (tmp_path / "metadata.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=f"'{key}' is a required property"):
        verify_metadata(tmp_path / "metadata.json", tmp_path)


def test_monai_builds_the_network_and_finds_its_shapes_as_described(model_folder):
    monai.bundle.verify_net_in_out(net_id="network_def", device="cpu", **config_files(model_folder))
    with pytest.raises(ValueError, match="channel number `3` doesn't match: `5`"):
        wrong = {"_meta_#network_data_format#outputs#pred#num_channels": 5}
        monai.bundle.verify_net_in_out(net_id="network_def", device="cpu", **config_files(model_folder), **wrong)


def test_a_label_name_is_never_evaluated_by_monai(tmp_path):
    labels = LabelSet.from_names({1: "$open('/nowhere')", 2: "%missing.json"})
    write_model(tmp_path / "model", replace(DESCRIPTION, labels=labels, name="@device"), {"a": {}, "b": {}})
    parser = ConfigParser()
    parser.read_meta(config_files(tmp_path / "model")["meta_file"])
    meaning = parser.get_parsed_content("_meta_#network_data_format#outputs#pred#channel_def")
    assert meaning == {"0": "background", "1": " $open('/nowhere')", "2": " %missing.json"}
    assert parser.get_parsed_content("_meta_#name") == " @device"


def test_monai_builds_a_3d_model_too(tmp_path):
    plan = replace(PLAN, dimensions=3, network="vnet", in_plane_matrix=None, patch_size=(16, 32, 16))
    description = replace(DESCRIPTION, plan=plan, network=NetworkSpec("vnet", 3, 3))
    write_model(tmp_path / "model", description, {"a": {}, "b": {}})
    monai.bundle.verify_net_in_out(net_id="network_def", device="cpu", **config_files(tmp_path / "model"))


def test_the_config_has_every_part_that_monai_expects_of_inference(model_folder, tmp_path):
    files = config_files(model_folder)
    parts = {"bundle_root": str(model_folder), "dataset_dir": str(tmp_path)}
    write_scan(tmp_path / "scan.nii.gz", 0)
    workflow = ConfigWorkflow(workflow_type="inference", logging_file=False, **files, **parts)
    workflow.initialize()
    assert workflow.check_properties() == []


def test_monai_runs_the_model_on_a_folder_of_scans(model_folder, tmp_path):
    for seed, name in enumerate(("first", "second")):
        write_scan(tmp_path / f"scans/{name}.nii.gz", seed)
    folders = {"dataset_dir": str(tmp_path / "scans"), "output_dir": str(tmp_path / "out"), "device": "cpu"}
    monai.bundle.run(bundle_root=str(model_folder), logging_file=False, **config_files(model_folder), **folders)
    model = read_model(model_folder)
    about = model.description
    backend = choose_backend(model, backend="torch", device="cpu")
    predictor = Predictor(backend, about.plan, about.labels, about.inference)
    for name in ("first", "second"):
        scan, found = read_scan(tmp_path / f"scans/{name}.nii.gz"), read_label(tmp_path / f"out/{name}.nii.gz")
        assert found.geometry.difference(scan.geometry) == ""
        assert np.array_equal(found.array, predictor.segment(scan).segmentation.array)
        assert len(np.unique(found.array)) > 1


@pytest.mark.parametrize("rule", ["mean", "competition"])
def test_the_fused_network_says_what_the_engine_fuses(model_folder, rule):
    network = FusedNetwork("unet", 2, 3, fusion=rule).eval()
    network.load_state_dict(torch.load(model_folder / "models/model.pt", weights_only=True))
    images = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        views = forward_views(network, images, 2, None)
        both = {name: getattr(views, name).clean_logits.softmax(1).numpy() for name in ("a", "b")}
        expected = fuse(both, rule)
        assert np.allclose(network(images).numpy(), expected, atol=1e-6)


def test_monai_runs_a_narrow_model_of_two_channels(tmp_path):
    channels = tuple(ChannelPlan(name, PLAN.modality, PLAN.normalization) for name in ("plain", "contrast"))
    spec = NetworkSpec("unet", 2, 3, in_channels=2, width=4)
    about = replace(DESCRIPTION, plan=replace(PLAN, channels=channels, width=4), network=spec)
    torch.manual_seed(0)
    networks = NetworkGroup.build(about.network)
    write_model(tmp_path / "model", about, {"a": networks.a.state_dict(), "b": networks.b.state_dict()})
    verify_metadata(tmp_path / "model/configs/metadata.json", tmp_path)
    monai.bundle.verify_net_in_out(net_id="network_def", device="cpu", **config_files(tmp_path / "model"))
    for number in range(2):
        write_scan(tmp_path / f"scans/first_{number:04d}.nii.gz", number)
    folders = {"dataset_dir": str(tmp_path / "scans"), "output_dir": str(tmp_path / "out"), "device": "cpu"}
    monai.bundle.run(bundle_root=str(tmp_path / "model"), logging_file=False, **config_files(tmp_path / "model"),
                     **folders)
    scan = ReadScan()(list_scans(str(tmp_path / "scans"), channels=2)[0])
    predictor = Predictor(TorchBackend(networks, "cpu", "fp32"), about.plan, about.labels, about.inference)
    found = read_label(tmp_path / "out/first.nii.gz")
    assert np.array_equal(found.array, predictor.segment(scan).segmentation.array)
