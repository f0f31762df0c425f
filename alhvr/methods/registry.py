"""The registry of methods: what there is. A new method is one file with a Method and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from alhvr.core.errors import UserError

if TYPE_CHECKING:
    from alhvr.config import MethodConfig
    from alhvr.methods.base import Method


@dataclass(frozen=True)
class MethodType:
    """What is known of a method without loading it."""

    title: str
    """Its name for people."""
    source: str
    """The class that implements it, "package.file:Class"; imported when a run begins, as it needs torch."""
    networks: tuple[str, ...] = ("a", "b")
    """Names of the networks that are there while training."""
    predicting: tuple[str, ...] = ("a", "b")
    """Those of them that segment with the finished model: one or two."""
    uses_archive: bool = True
    """Whether it learns from scans without labels."""


METHODS: Mapping[str, MethodType] = MappingProxyType({
    "alhvr": MethodType("ALHVR", "alhvr.methods.alhvr:Alhvr"),
    "labels-only": MethodType("labels only", "alhvr.methods.labels_only:LabelsOnly", uses_archive=False),
})
"""By the name that settings and models use."""
DEFAULT_METHOD = "alhvr"


def method_type(name: str) -> MethodType:
    """What is known of the method ``name``; raises UserError for one that there is not."""
    if name not in METHODS:
        raise UserError(f"method.name is {name!r:.100}.", f"Accepted: {', '.join(METHODS)}.")
    return METHODS[name]


def build_method(config: MethodConfig, seed: int) -> Method:
    """The method that ``config`` names, for a run with this ``seed``; raises UserError as ``method_type``."""
    module, _, name = method_type(config.name).source.partition(":")
    return getattr(import_module(module), name)(config, seed)
