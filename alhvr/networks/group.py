"""NetworkGroup: the networks of one run or one model, by name; all of one structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, Unpack

import torch
from torch import nn

from alhvr.networks.blocks import SegmentationNetwork
from alhvr.networks.registry import NetworkOptions, build_network

PAIR = ("a", "b")


class NetworkShape(Protocol):
    """What has to be known to build the networks."""

    kind: str
    dimensions: int
    n_classes: int
    feature_stride: int
    clean_dropout: bool
    in_channels: int
    width: int
    names: Sequence[str]


class NetworkGroup(nn.Module):
    """Networks of one structure, each an attribute of its name, initialised one after the other so that they differ.

    Beside them there may be modules of any structure that only training needs, such as a second decoder.
    """

    def __init__(self, kind: str, dimensions: int, n_classes: int, names: Sequence[str] = PAIR,
                 **options: Unpack[NetworkOptions]) -> None:
        """``names`` of the networks in order; the other arguments are those of ``build_network``, as is ValueError."""
        super().__init__()
        self.names = tuple(names)
        self.auxiliary: tuple[str, ...] = ()
        """Names of the modules that are no networks of the group's structure; no part of a finished model."""
        for name in self.names:
            self.add_module(name, build_network(kind, dimensions, n_classes, **options))

    @classmethod
    def build(cls, spec: NetworkShape, names: Sequence[str] | None = None) -> NetworkGroup:
        """The networks that ``spec`` describes, freshly initialised; ``names`` in place of those that it names."""
        return cls(spec.kind, spec.dimensions, spec.n_classes, spec.names if names is None else names,
                   in_channels=spec.in_channels, feature_stride=spec.feature_stride,
                   clean_dropout=spec.clean_dropout, width=spec.width)

    def only(self, names: Sequence[str]) -> NetworkGroup:
        """A group of the networks of these names alone, the same ones and no copies."""
        found = NetworkGroup.__new__(NetworkGroup)
        nn.Module.__init__(found)
        found.names, found.auxiliary = tuple(names), ()
        for name in found.names:
            found.add_module(name, self[name])
        found.training = self.training
        return found

    def add_auxiliary(self, name: str, module: nn.Module) -> None:
        """Takes in a module of any structure, found by its ``name`` like a network; ``items`` leaves it out."""
        self.add_module(name, module)
        self.auxiliary = (*self.auxiliary, name)

    def __getitem__(self, name: str) -> SegmentationNetwork:
        """The network, or the auxiliary module, of this name; raises KeyError."""
        if name not in (*self.names, *self.auxiliary):
            raise KeyError(name)
        return getattr(self, name)

    def items(self) -> Iterator[tuple[str, SegmentationNetwork]]:
        """Name and network, in order; without what is auxiliary."""
        return ((name, self[name]) for name in self.names)

    @property
    def first(self) -> SegmentationNetwork:
        """Any of them where only their structure matters."""
        return self[self.names[0]]

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels last in the networks' number of dimensions: ``group.to(memory_format=group.memory_format)``."""
        return self.first.memory_format
