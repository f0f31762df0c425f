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
    citation: str
    """Who published it, where and when."""
    source: str
    """The class that implements it, "package.file:Class"; imported when a run begins, as it needs torch."""
    networks: tuple[str, ...] = ("a", "b")
    """Names of the networks that are there while training."""
    predicting: tuple[str, ...] = ("a", "b")
    """Those of them that segment with the finished model: one or two."""
    uses_archive: bool = True
    """Whether it learns from scans without labels."""


_TEACHER = {"networks": ("student", "teacher"), "predicting": ("student",)}
_ONE = {"networks": ("a",), "predicting": ("a",)}
METHODS: Mapping[str, MethodType] = MappingProxyType({
    "alhvr": MethodType("ALHVR", "Lei et al., ICCV 2025", "alhvr.methods.alhvr:Alhvr"),
    "labels-only": MethodType("labels only", "cross-entropy and Dice, two networks",
                              "alhvr.methods.labels_only:LabelsOnly", uses_archive=False),
    "supervised": MethodType("labels only, one network", "cross-entropy and Dice, one network",
                             "alhvr.methods.labels_only:LabelsOnly", **_ONE, uses_archive=False),
    "mean-teacher": MethodType("Mean Teacher", "Tarvainen and Valpola, NeurIPS 2017",
                               "alhvr.methods.mean_teacher:MeanTeacher", **_TEACHER),
    "cps": MethodType("Cross Pseudo Supervision", "Chen et al., CVPR 2021",
                      "alhvr.methods.cps:CrossPseudoSupervision"),
    "mc-net": MethodType("MC-Net", "Wu et al., MICCAI 2021", "alhvr.methods.mc_net:McNet", **_ONE),
    "mcf": MethodType("MCF", "Wang et al., CVPR 2023", "alhvr.methods.mcf:Mcf", **_ONE),
    "ac-mt": MethodType("AC-MT", "Xu et al., Medical Image Analysis 2023", "alhvr.methods.ac_mt:AcMt", **_TEACHER),
    "ug-mcl": MethodType("UG-MCL", "Zhang et al., Artificial Intelligence in Medicine 2023",
                         "alhvr.methods.ug_mcl:UgMcl", **_TEACHER),
    "evil": MethodType("EVIL", "Chen et al., ISBI 2023", "alhvr.methods.evil:Evil"),
    "aau": MethodType("AAU", "Adiga et al., Medical Image Analysis 2024", "alhvr.methods.aau:Aau", **_TEACHER),
    "mlrp": MethodType("MLRP", "Su et al., Medical Image Analysis 2024", "alhvr.methods.mlrp:Mlrp", **_ONE),
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
