"""Released weights: their names become ours, the model segments, and what does not fit is said in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from tiny_cases import Listener
from tiny_runs import SHAPE, make_scan, write_scan

from alhvr.bundle.model import read_model
from alhvr.core.errors import UserError
from alhvr.inference.run import SegmentRequest, segment
from alhvr.networks.group import NetworkGroup
from alhvr.networks.released import from_released
from alhvr.training.import_weights import ImportRequest, import_weights

CONVS = {"conv_conv.0": "first.conv", "conv_conv.1": "first.norm", "conv_conv.4": "second.conv",
         "conv_conv.5": "second.norm"}
UNET = {f"encoder.in_conv.{theirs}": f"encoder.0.{ours}" for theirs, ours in CONVS.items()}
UNET |= {f"encoder.down{k}.maxpool_conv.1.{theirs}": f"encoder.{k}.{ours}"
         for k in (1, 2, 3, 4) for theirs, ours in CONVS.items()}
UNET |= {f"decoder.up{k}.conv.{theirs}": f"decoder.{k - 1}.block.{ours}"
         for k in (1, 2, 3, 4) for theirs, ours in CONVS.items()}
UNET |= {f"decoder.up{k}.conv1x1": f"decoder.{k - 1}.reduce" for k in (1, 2, 3, 4)} | {"decoder.out_conv": "head"}
DOWN, UP = ("one", "two", "three", "four"), ("five", "six", "seven", "eight")
VNET = {f"encoder.block_{word}.conv.{3 * i + j}": f"encoder.{k}.{i}.{part}"
        for k, (word, n) in enumerate([("one", 1), ("two", 2), ("three", 3), ("four", 3), ("five", 3)])
        for i in range(n) for j, part in enumerate(("conv", "norm"))}
VNET |= {f"encoder.block_{word}_dw.conv.{j}": f"down.{k}.{part}" for k, word in enumerate(DOWN)
         for j, part in enumerate(("conv", "norm"))}
VNET |= {f"decoder.block_{word}_up.conv.{j}": f"up.{k}.{part}" for k, word in enumerate(UP)
         for j, part in enumerate(("conv", "norm"))}
VNET |= {f"decoder.block_{word}.conv.{3 * i + j}": f"decoder.{k}.{i}.{part}"
         for k, (word, n) in enumerate([("six", 3), ("seven", 3), ("eight", 2), ("nine", 1)])
         for i in range(n) for j, part in enumerate(("conv", "norm"))} | {"decoder.out_conv": "head"}


def released(kind: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights of a small network of ours under the released names."""
    torch.manual_seed(seed)
    network = NetworkGroup(kind, {"unet": 2, "vnet": 3}[kind], 3, ("a",), width=2).a
    theirs = {ours: name for name, ours in {"unet": UNET, "vnet": VNET}[kind].items()}
    return {f"{theirs[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value
            for name, value in network.state_dict().items()}


@pytest.mark.parametrize("kind", ["unet", "vnet"])
def test_every_layer_is_found_under_our_name(kind: str) -> None:
    state = released(kind)
    found = from_released({f"module.{name}": value for name, value in state.items()})
    torch.manual_seed(0)
    network = NetworkGroup(kind, found.dimensions, found.n_classes, ("a",), width=found.width).a
    assert (found.kind, found.n_classes, found.in_channels, found.width) == (kind, 3, 1, 2)
    expected = network.state_dict()
    assert found.weights.keys() == expected.keys()
    assert all(torch.equal(found.weights[name], expected[name]) for name in expected)


def saved(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


def test_both_networks_of_a_run_become_a_model_that_segments(tmp_path: Path) -> None:
    files = tuple(saved(tmp_path / f"{seed}.pth", released("unet", seed)) for seed in (0, 1))
    model = read_model(import_weights(ImportRequest(files, ("liver", "spleen"), tmp_path / "model"), Listener()))
    assert model.description.network.names == ("a", "b") and len(model.graph_files()) == 4
    scan = write_scan(tmp_path / "new.nii.gz", make_scan(1)[0])
    segment(SegmentRequest(model.folder, (scan,), tmp_path / "out", file_format="nii.gz"), Listener())
    found = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(tmp_path / "out" / "new.nii.gz"))
    assert found.shape == SHAPE and set(np.unique(found)) <= {0, 1, 2}


def without_head() -> dict[str, torch.Tensor]:
    return {name: value for name, value in released("unet").items() if "out_conv" not in name}


@pytest.mark.parametrize(("change", "said"), [
    (lambda: {**released("unet"), "encoder.down2.maxpool_conv.1.conv_conv.0.weight": torch.zeros(7, 4, 3, 3)},
     r"encoder.2.first.conv.weight here is of shape \(7, 4, 3, 3\); \(8, 4, 3, 3\) fits"),
    (lambda: {**released("unet"), "encoder.down9.maxpool_conv.1.conv_conv.0.bias": torch.zeros(1)},
     "would be encoder.9.first.conv.bias, which is not there here"),
    (without_head, "the first or the last layer is missing"),
    (lambda: {**released("unet"), "transformer.0.weight": torch.zeros(1)}, "'transformer.0.weight', which is no layer"),
    (lambda: {**released("vnet"), "encoder.block_ten.conv.0.weight": torch.zeros(1)}, "which is no layer"),
    (lambda: {"state": released("unet")}, "something else than weights by name"),
    (lambda: {**released("unet"), "decoder.out_conv.bias": torch.full((3,), torch.nan)}, "something else than weights"),
    (lambda: {name: value.repeat(2, *[1] * (value.ndim - 1)) if name.startswith("decoder.out_conv") else value
              for name, value in released("unet").items()}, "has 5 structures; 2 are named"),
    (lambda: [1, 2], "holds a list in place of named values"),
])
def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path: Path, change, said: str) -> None:
    file = saved(tmp_path / "w.pth", change())
    with pytest.raises(UserError, match=said):
        import_weights(ImportRequest((file,), ("liver", "spleen"), tmp_path / "model"), Listener())
    assert not (tmp_path / "model").exists()


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "w.pth", {"weights": print})
    with pytest.raises(UserError, match="cannot be read"):
        import_weights(ImportRequest((file,), ("liver", "spleen"), tmp_path / "model"), Listener())
