"""The settings of ``alhvr train``: a file, then a preset, then single options, each overruling what came before."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from alhvr.config import RunConfig, from_dict, to_dict, with_preset
from alhvr.core.errors import UserError
from alhvr.core.json_file import read_json


def run_config(options: argparse.Namespace) -> RunConfig:
    """All settings that the arguments ask for; raises UserError for a file or a value that is not accepted."""
    config = _config_file(options.config) if options.config else RunConfig()
    if options.preset:
        config = with_preset(config, options.preset)
    method = _with(config.method, options, "beta", "temperature")
    return RunConfig(
        method=method if options.method is None else replace(method, name=options.method),
        training=_with(config.training, options, "iterations", "minutes", "seed", "device"),
        plan=_with(config.plan, options, "network", "batch_size", "patch_size"),
        data=_with(config.data, options, "not_annotated"), segmenting=config.segmenting,
        name=config.name if options.name is None else options.name)


def _with(config: Any, options: argparse.Namespace, *names: str) -> Any:
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return replace(config, **given)


def _config_file(path: Path) -> RunConfig:
    """The settings in a file; what it leaves out is that of the preset that it names, else the default."""
    try:
        values = read_json(path)
    except (OSError, UserError) as error:
        reason = error.message.removesuffix(".") if isinstance(error, UserError) else error.strerror or error
        raise UserError(f"The settings file {path} cannot be read ({reason}).",
                        f"Give a JSON file with the parts {', '.join(to_dict(RunConfig()))}.") from error
    method = values.get("method") if isinstance(values, dict) else None
    preset = method.get("preset") if isinstance(method, dict) else None
    base = with_preset(RunConfig(), preset) if preset in ("paper", "official") else RunConfig()
    return from_dict(RunConfig, values, "settings", base=base)
