"""What a model folder says of itself: MONAI's metadata and inference configuration, the model card, the licence."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import alhvr
from alhvr.bundle_description import ModelDescription

SCHEMA_URL = "https://project-monai.github.io/schema/meta_schema_20240725.json"
NOT_A_DEVICE = "Research software, not a medical device: not for diagnosis or treatment. Check every result by eye."
PAPER = (
    "Lei et al., Adaptive Learning of High-Value Regions for Semi-Supervised Medical Image Segmentation, "
    "IEEE/CVF International Conference on Computer Vision (ICCV), 2025."
)
_MONAI_MODULE = "alhvr.bundle_monai"
_UNKNOWN = "not recorded"


def metadata(description: ModelDescription) -> dict[str, Any]:
    """Content of configs/metadata.json: every key of the MONAI Bundle specification, required and optional."""
    training, names = description.training, ("background", *description.labels.names)
    structures = ", ".join(description.labels.names)
    date = training.get("date", _UNKNOWN)
    packages = {name: _installed(name) for name in ("SimpleITK", "scipy")}
    return {
        "schema": SCHEMA_URL,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"trained; date: {date}"},
        "monai_version": _installed("monai"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {"alhvr": alhvr.__version__, **packages},
        "optional_packages_version": {},
        "supported_apps": {},
        "name": description.name,
        "task": f"Segmentation of {structures}",
        "description": f"{_what_it_is(description)} {NOT_A_DEVICE}",
        "authors": training.get("authors", _UNKNOWN),
        "copyright": training.get("licence", _UNKNOWN),
        "data_source": _data_source(description),
        "data_type": "NIfTI, NRRD, MetaImage or DICOM",
        "image_classes": "one channel, intensities normalised as alhvr.json says under plan.normalization",
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


def inference_config(description: ModelDescription) -> dict[str, Any]:
    """Content of configs/inference.json, which ``python -m monai.bundle run`` runs on a folder of scans.

    The parts have MONAI's usual names; reading, preparation and segmenting are the engine's own, so that the result
    is the same as that of ``alhvr segment``.
    """
    spec = description.network
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "dataset_dir": "scans",
        "output_dir": "$@bundle_root + '/eval'",
        "output_ext": ".nii.gz",
        "ckpt_path": "$@bundle_root + '/models/model.pt'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": f"{_MONAI_MODULE}.FusedNetwork",
            "kind": spec.kind,
            "dimensions": spec.dimensions,
            "n_classes": spec.n_classes,
            "feature_stride": spec.feature_stride,
            "fusion": description.inference.fusion,
        },
        "network": "$@network_def.to(@device)",
        "datalist": {"_target_": f"{_MONAI_MODULE}.list_scans", "folder": "@dataset_dir"},
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


def model_card(description: ModelDescription) -> str:
    """Content of docs/README.md, for people."""
    sections = [
        f"# {description.name}",
        f"> {NOT_A_DEVICE}",
        _what_it_is(description),
        f"## Structures\n\n{_label_table(description)}",
        f"## Training\n\n{_training_table(description)}",
        f"## Scores\n\n{_score_table(description)}",
        f"## Use\n\n{_USE}",
        "## Limits\n\nThe scores say how the model does on scans like those it was validated on. Another scanner, "
        "protocol, age group or disease can make it worse without any warning; score it on labelled scans of your own.",
        f"## Licence\n\n{description.training.get('licence', _UNKNOWN)}",
        f"## Reference\n\n{PAPER}",
    ]
    return "\n\n".join(sections) + "\n"


def licence_text(description: ModelDescription) -> str:
    """Content of LICENSE: the licence named in the training record."""
    licence = description.training.get("licence", _UNKNOWN)
    return (
        f"Licence of this model: {licence}\n\nThe weights were learnt from scans; "
        "the terms of those scans hold for the weights as well.\nThere is no warranty of any kind.\n"
    )


_USE = """In 3D Slicer: the module ALHVR Segmentation, with this folder as the model. On a command line:

    alhvr segment --model MODEL SCAN --out RESULTS

With MONAI, on a folder of scans:

    python -m monai.bundle run --config_file MODEL/configs/inference.json --meta_file MODEL/configs/metadata.json \\
        --bundle_root MODEL --dataset_dir SCANS --output_dir RESULTS"""


def _what_it_is(description: ModelDescription) -> str:
    plan, kinds = description.plan, {"unet": "U-Nets", "vnet": "V-Nets"}
    scans = f"{plan.modality} scans" if plan.modality in ("CT", "MR") else "scans"
    return (
        f"Segments {', '.join(description.labels.names)} in {scans}. "
        f"Two {plan.dimensions}-D {kinds[plan.network]} that taught each other on scans without labels (ALHVR)."
    )


def _label_table(description: ModelDescription) -> str:
    rows = [("value", "name", "code", "colour")]
    for label in description.labels.labels:
        codes = [label.type] if label.modifier is None else [label.type, label.modifier]
        coded = ", ".join(f"{code.meaning} ({code.scheme} {code.value})" for code in codes)
        colour = "#" + "".join(f"{round(channel * 255):02x}" for channel in label.colour_rgb)
        rows.append((str(label.value), label.name, coded, colour))
    return _table(rows)


def _training_table(description: ModelDescription) -> str:
    training = description.training
    aside = " (set aside from the labelled ones)" if training.get("validation_was_set_aside") else ""
    return _table(
        [
            ("what", "value"),
            ("labelled scans", _count(description, "labeled")),
            ("unlabelled scans", _count(description, "unlabeled")),
            ("validation scans", _count(description, "validation") + aside),
            *[(name, str(training.get(name, _UNKNOWN))) for name in ("date", "iterations", "minutes", "seed")],
        ]
    )


def _score_table(description: ModelDescription) -> str:
    scores = description.training.get("validation_dice") or {}
    if not scores:
        return "Not scored: there were no validation scans."
    rows = [(name, f"{value:.3f}" if isinstance(value, (int, float)) else _UNKNOWN) for name, value in scores.items()]
    return "Dice on the validation scans, which also chose the best moment of training.\n\n" + _table(
        [("structure", "Dice"), *rows]
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _count(description: ModelDescription, part: str) -> str:
    cases = description.training.get("cases", {}).get(part)
    if cases is None:
        return _UNKNOWN
    return str(cases if isinstance(cases, int) else len(cases))


def _data_source(description: ModelDescription) -> str:
    return f"{_count(description, 'labeled')} labelled and {_count(description, 'unlabeled')} unlabelled scans"


def _image_format(description: ModelDescription) -> dict[str, Any]:
    modality = description.plan.modality
    return {
        "type": "image",
        "format": "hounsfield" if modality == "CT" else "magnitude",
        "modality": modality if modality in ("CT", "MR") else "n/a",
        "num_channels": 1,
        "spatial_shape": list(description.plan.patch_size),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": {"0": "image"},
    }


def _prediction_format(description: ModelDescription, names: Sequence[str]) -> dict[str, Any]:
    return {
        **_image_format(description),
        "format": "labels",
        "num_channels": len(names),
        "value_range": [0, 1],
        "channel_def": {str(index): name for index, name in enumerate(names)},
    }


def _installed(package: str) -> str:
    """Version of an installed package without its build tag; "unknown" where it is not installed."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return "unknown"
