"""What a model folder says of itself to MONAI's tools: configs/metadata.json and configs/inference.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import alhvr
from alhvr.bundle.card import NOT_A_DEVICE, PAPER, UNKNOWN, count_cases, what_it_is
from alhvr.bundle.description import ModelDescription

SCHEMA_URL = "https://project-monai.github.io/schema/meta_schema_20240725.json"
_MONAI_MODULE = "alhvr.bundle_monai"
PAIR = ("a", "b")
"""Names of the networks that need not be named."""
_PLACES = {
    "imports": ["$import torch"],
    "bundle_root": ".",
    "dataset_dir": "scans",
    "output_dir": "$@bundle_root + '/eval'",
    "output_ext": ".nii.gz",
    "ckpt_path": "$@bundle_root + '/models/model.pt'",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
}
"""What the caller of ``monai.bundle run`` may set on the command line."""


def metadata(description: ModelDescription) -> dict[str, Any]:
    """Content of configs/metadata.json: every key of the MONAI Bundle specification, required and optional.

    ``required_packages_version`` stands in for ``optional_packages_version``, which MONAI no longer wants.
    """
    training, names = description.training, ("background", *description.labels.names)
    values = {
        **_versions(training.get("date", UNKNOWN)),
        "name": description.name,
        "task": f"Segmentation of {', '.join(description.labels.names)}",
        "description": f"{what_it_is(description)} {NOT_A_DEVICE}",
        "authors": training.get("authors", UNKNOWN),
        "copyright": training.get("licence", UNKNOWN),
        "data_source": _data_source(description),
        "data_type": "NIfTI, NRRD, MetaImage or DICOM",
        "image_classes": _image_classes(description),
        "label_classes": "; ".join(f"{label.value} is {label.name}" for label in description.labels.labels),
        "pred_classes": f"{len(names)} channels of probabilities: {', '.join(names)}",
        "eval_metrics": training.get("validation_dice", {}),
        "intended_use": NOT_A_DEVICE,
        "references": [PAPER],
        "network_data_format": {
            "inputs": {"image": _image_format(description)},
            "outputs": {"pred": _prediction_format(description, names)},
        },
    }
    return _inert(values)


def inference_config(description: ModelDescription) -> dict[str, Any]:
    """Content of configs/inference.json, which ``python -m monai.bundle run`` runs on a folder of scans.

    The parts have MONAI's usual names; reading, preparation and segmenting are the engine's own, so that the result
    is the same as that of ``alhvr segment``.
    """
    spec = description.network
    return {
        **_PLACES,
        "network_def": {
            "_target_": f"{_MONAI_MODULE}.FusedNetwork",
            "kind": spec.kind,
            "dimensions": spec.dimensions,
            "n_classes": spec.n_classes,
            "in_channels": spec.in_channels,
            "feature_stride": spec.feature_stride,
            "width": spec.width,
            "fusion": description.inference.fusion,
            **({"names": list(spec.names)} if spec.names != PAIR else {}),
        },
        "network": "$@network_def.to(@device)",
        "datalist": {"_target_": f"{_MONAI_MODULE}.list_scans", "folder": "@dataset_dir", "channels": spec.in_channels},
        "preprocessing": {"_target_": f"{_MONAI_MODULE}.ReadScan"},
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "inferer": {"_target_": f"{_MONAI_MODULE}.ScanInferer", "bundle_root": "@bundle_root", "device": "@device"},
        "postprocessing": {
            "_target_": f"{_MONAI_MODULE}.SaveSegmentation",
            "output_dir": "@output_dir",
            "extension": "@output_ext",
        },
        "evaluator": {
            "_target_": f"{_MONAI_MODULE}.FolderEvaluator",
            "dataset": "@dataset",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "initialize": ["$@network.load_state_dict(torch.load(@ckpt_path, map_location=@device, weights_only=True))"],
        "run": ["$@evaluator.run()"],
    }


def _versions(date: str) -> dict[str, Any]:
    """The part of the metadata that is about versions."""
    return {
        "schema": SCHEMA_URL,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"trained; date: {date}"},
        "monai_version": _installed("monai"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {
            "alhvr": alhvr.__version__,
            "SimpleITK": _installed("SimpleITK"),
        },
        "supported_apps": {},
    }


def _data_source(description: ModelDescription) -> str:
    counts = [count_cases(description, part) for part in ("labeled", "unlabeled")]
    return UNKNOWN if UNKNOWN in counts else f"{counts[0]} labelled and {counts[1]} unlabelled scans"


def _image_classes(description: ModelDescription) -> str:
    channels = description.plan.named_channels
    if len(channels) < 2:
        return "one channel, intensities normalised as alhvr.json says under plan.normalization"
    names = ", ".join(channel.name for channel in channels)
    return f"{len(channels)} channels ({names}), intensities normalised as alhvr.json says under plan.channels"


def _image_format(description: ModelDescription) -> dict[str, Any]:
    modality, channels = description.plan.modality, description.plan.named_channels
    if len({channel.modality for channel in channels}) > 1:
        modality = "mixed"
    return {
        "type": "image",
        "format": "hounsfield" if modality == "CT" else "magnitude",
        "modality": modality if modality in ("CT", "MR") else "n/a",
        "num_channels": description.plan.n_channels,
        "spatial_shape": list(description.plan.patch_size),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": {str(index): channel.name for index, channel in enumerate(channels)} or {"0": "image"},
    }


def _prediction_format(description: ModelDescription, names: Sequence[str]) -> dict[str, Any]:
    return {
        **_image_format(description),
        "format": "labels",
        "num_channels": len(names),
        "value_range": [0, 1],
        "channel_def": {str(index): name for index, name in enumerate(names)},
    }


def _inert(value: Any) -> Any:
    """The same values, where no text begins with a sign that MONAI's parser would evaluate ($), look up (@, %)."""
    if isinstance(value, dict):
        return {key: _inert(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_inert(entry) for entry in value]
    return f" {value}" if isinstance(value, str) and value.startswith(("$", "@", "%")) else value


def _installed(package: str) -> str:
    """Version of an installed package without its build tag; "unknown" where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # here, because reading a model needs none of it

    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return "unknown"
