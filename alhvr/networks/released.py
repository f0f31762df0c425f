"""Weights of the authors' released networks under our names: their U-Net and V-Net are ours, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

PARALLEL = "module."
"""Before every name where the network was trained on several graphics cards."""
STAGES = {"one": 0, "two": 1, "three": 2, "four": 3, "five": 4, "six": 0, "seven": 1, "eight": 2, "nine": 3}
"""Of the V-Net by the number of its block: five levels of the encoder, then four stages of the decoder."""
_PAIR = ("conv", "norm")
_SEQUENCE = {"0": "first.conv", "1": "first.norm", "4": "second.conv", "5": "second.norm"}
_RULES = {
    "unet": (
        (r"encoder\.in_conv\.conv_conv\.(\d)", lambda m: f"encoder.0.{_SEQUENCE[m[1]]}"),
        (r"encoder\.down(\d)\.maxpool_conv\.1\.conv_conv\.(\d)", lambda m: f"encoder.{m[1]}.{_SEQUENCE[m[2]]}"),
        (r"decoder\.up(\d)\.conv1x1", lambda m: f"decoder.{int(m[1]) - 1}.reduce"),
        (r"decoder\.up(\d)\.conv\.conv_conv\.(\d)", lambda m: f"decoder.{int(m[1]) - 1}.block.{_SEQUENCE[m[2]]}"),
        (r"decoder\.out_conv", lambda m: "head"),
    ),
    "vnet": (
        (r"encoder\.block_(\w+)_dw\.conv\.(\d)", lambda m: f"down.{STAGES[m[1]]}.{_PAIR[int(m[2])]}"),
        (r"decoder\.block_(\w+)_up\.conv\.(\d)", lambda m: f"up.{(STAGES[m[1]] + 1) % 5}.{_PAIR[int(m[2])]}"),
        (r"(encoder|decoder)\.block_(\w+)\.conv\.(\d)",
         lambda m: f"{m[1]}.{STAGES[m[2]]}.{int(m[3]) // 3}.{_PAIR[int(m[3]) % 3]}"),
        (r"decoder\.out_conv", lambda m: "head"),
    ),
}
FIRST = {"unet": "encoder.0.first.conv.weight", "vnet": "encoder.0.0.conv.weight"}


@dataclass(frozen=True)
class ReleasedNetwork:
    """One network as its weights describe it."""

    kind: str
    """One of the registry."""
    dimensions: int
    n_classes: int
    """Classes C, background included."""
    in_channels: int
    width: int
    """Channels at full resolution."""
    weights: dict[str, Tensor]
    """By our names."""


def from_released(state: Mapping[str, Tensor]) -> ReleasedNetwork:
    """The network whose ``state_dict`` the authors' code wrote; raises ValueError, which says what does not fit."""
    state = {name.removeprefix(PARALLEL): value for name, value in state.items()}
    kind = "vnet" if any(name.startswith("encoder.block_") for name in state) else "unet"
    weights = {_renamed(name, kind): value for name, value in state.items()}
    first, head = weights.get(FIRST[kind]), weights.get("head.weight")
    dimensions = {"unet": 2, "vnet": 3}[kind]
    if first is None or head is None:
        raise ValueError("it holds neither of the released networks: the first or the last layer is missing")
    if first.ndim != dimensions + 2 or head.ndim != dimensions + 2:
        raise ValueError(f"its first layer has shape {tuple(first.shape)}, its last {tuple(head.shape)}; "
                         f"{dimensions + 2} axes are expected")
    return ReleasedNetwork(kind, dimensions, len(head), first.shape[1], len(first), weights)


def _renamed(name: str, kind: str) -> str:
    layer, _, last = name.rpartition(".")
    for pattern, ours in _RULES[kind]:
        found = re.fullmatch(pattern, layer)
        if found:
            try:
                return f"{ours(found)}.{last}"
            except (KeyError, IndexError):
                break
    raise ValueError(f"it holds {name!r:.100}, which is no layer of the released networks")
