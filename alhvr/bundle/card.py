"""What a model folder says of itself to people: the model card and the licence."""

from __future__ import annotations

from collections.abc import Sequence

from alhvr.bundle.description import ModelDescription
from alhvr.data.channel_names import list_channels
from alhvr.formats.model_description import case_counts
from alhvr.networks.registry import NETWORKS

NOT_A_DEVICE = "Research software, not a medical device: not for diagnosis or treatment. Check every result by eye."
PAPER = (
    "Lei et al., Adaptive Learning of High-Value Regions for Semi-Supervised Medical Image Segmentation, "
    "IEEE/CVF International Conference on Computer Vision (ICCV), 2025."
)
UNKNOWN = "not recorded"
"""Stands for what the training record does not hold."""


def model_card(description: ModelDescription, *, with_graphs: bool = False) -> str:
    """Content of docs/README.md, for people; ``with_graphs`` tells whether the model has its networks as ONNX."""
    sections = [
        f"# {description.name}",
        f"> {NOT_A_DEVICE}",
        what_it_is(description),
        *([f"## Channels\n\n{_channel_table(description)}"] if description.plan.n_channels > 1 else []),
        f"## Structures\n\n{_label_table(description)}",
        f"## Training\n\n{_training_table(description)}{_archive(description)}{_forced(description)}",
        f"## Scores\n\n{_score_table(description)}",
        f"## Use\n\n{_USE}" + (f"\n\n{_GRAPHS}" if with_graphs else ""),
        "## Limits\n\nThe scores say how the model does on scans like those it was validated on. Another scanner, "
        "protocol, age group or disease can make it worse without any warning; score it on labelled scans of your own.",
        f"## Licence\n\n{description.training.get('licence', UNKNOWN)}",
        f"## Reference\n\n{PAPER}",
    ]
    return "\n\n".join(sections) + "\n"


def licence_text(description: ModelDescription) -> str:
    """Content of LICENSE: the licence named in the training record."""
    licence = description.training.get("licence", UNKNOWN)
    return (
        f"Licence of this model: {licence}\n\nThe weights were learnt from scans; "
        "the terms of those scans hold for the weights as well.\nThere is no warranty of any kind.\n"
    )


_USE = """In 3D Slicer: the module ALHVR Segmentation, with this folder as the model. On a command line:

    alhvr segment --model MODEL SCAN --out RESULTS

With MONAI, on a folder of scans:

    python -m monai.bundle run --config_file MODEL/configs/inference.json --meta_file MODEL/configs/metadata.json \\
        --bundle_root MODEL --dataset_dir SCANS --output_dir RESULTS"""
_GRAPHS = (
    "The files models/*.onnx are the encoder and the decoder of each network, batch norm folded, for ONNX Runtime and "
    "OpenVINO: segmenting with them needs no PyTorch. They were checked against models/model.pt when they were written."
)


def what_it_is(description: ModelDescription) -> str:
    """Two sentences: structures and scans, networks and method."""
    plan = description.plan
    modalities = {plan.modality, *(channel.modality for channel in plan.channels)}
    scans = f"{plan.modality} scans" if modalities in ({"CT"}, {"MR"}) else "scans"
    if plan.n_channels > 1:
        scans += f" of {list_channels(plan.named_channels)}"
    taught = "taught each other on scans without labels (ALHVR)"
    if count_cases(description, "unlabeled") == "0":
        taught = "learnt from labelled scans only"
    elif _archive_record(description).get("max_weight") == 0:
        taught = "learnt from labelled scans, beside scans without labels that took part in the batch statistics only"
    kind = NETWORKS[plan.network].title
    networks = f"Two {plan.dimensions}-D {kind}s that {taught}."
    if len(description.network.names) == 1:
        networks = f"A {plan.dimensions}-D {kind} that learnt from labels and an archive ({_method(description)})."
    return f"Segments {', '.join(description.labels.names)} in {scans}. {networks}"


def _method(description: ModelDescription) -> str:
    """The method that the training record names; ALHVR in records from before there were others."""
    settings = description.training.get("settings")
    method = settings.get("method") if isinstance(settings, dict) else None
    return str(method.get("name", "alhvr")) if isinstance(method, dict) else "alhvr"


def _channel_table(description: ModelDescription) -> str:
    rows = [(f"NAME_{number:04d}", channel.name, channel.modality, channel.normalization.kind)
            for number, channel in enumerate(description.plan.channels)]
    asked = ("Each scan needs all of them, as files of these names side by side or as cases.json lists them; those on "
             "another grid are resampled to the first.")
    return f"{asked}\n\n{_table([('file', 'channel', 'modality', 'intensities'), *rows])}"


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
            ("labelled scans", count_cases(description, "labeled")),
            ("unlabelled scans", count_cases(description, "unlabeled")),
            ("validation scans", count_cases(description, "validation") + aside),
            *[(name, str(training.get(name, UNKNOWN))) for name in ("date", "iterations", "minutes", "seed")],
        ]
    )


def _archive_record(description: ModelDescription) -> dict:
    found = description.training.get("archive")
    return found if isinstance(found, dict) else {}


def _archive(description: ModelDescription) -> str:
    """A sentence where validation fell while the model learnt from scans without labels."""
    reduced, left = _archive_record(description).get("reduced"), _archive_record(description).get("share_left")
    if not reduced or not isinstance(left, (int, float)):
        return ""
    return ("\n\n**Validation Dice fell while the scans without labels were learnt from, so they counted for less from "
            f"then on: {left:.0%} of their weight at the end.** A model from the labels alone may be as good; compare.")


def _forced(description: ModelDescription) -> str:
    """A sentence where the model was trained despite faults in its data."""
    kinds = ", ".join(str(kind).replace("_", " ") for kind in description.training.get("forced") or ())
    return f"\n\n**Trained despite faults that the check of the data found: {kinds}.**" if kinds else ""


def _score_table(description: ModelDescription) -> str:
    scores = description.training.get("validation_dice") or {}
    if not scores:
        return "Not scored: there were no validation scans."
    rows = [(name, f"{value:.3f}" if isinstance(value, (int, float)) else UNKNOWN) for name, value in scores.items()]
    return "Dice on the validation scans, which also chose the best moment of training.\n\n" + _table(
        [("structure", "Dice"), *rows]
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def count_cases(description: ModelDescription, part: str) -> str:
    """Number of "labeled", "unlabeled" or "validation" cases in the training record, or UNKNOWN."""
    return str(case_counts(description.training).get(part, UNKNOWN))
