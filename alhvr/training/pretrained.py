"""Starting from a finished model: its plan and weights are taken over, its head only where the classes are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from alhvr.bundle.model import Model, read_model
from alhvr.config import PlanConfig
from alhvr.core.errors import UserError
from alhvr.data.channel_names import Channel, check_names, list_channels
from alhvr.data.plan import Plan
from alhvr.formats.labels import LabelSet, folded
from alhvr.formats.model_folder import MANIFEST
from alhvr.networks.group import NetworkGroup

HEAD = "head."


@dataclass(frozen=True)
class Pretrained:
    """The model that a run begins with."""

    model: Model

    def plan_for(self, config: PlanConfig, channels: Sequence[Channel] = ()) -> Plan:
        """The model's plan; only patch and batch may differ, anything else raises UserError.

        ``channels``: what the scans have, empty for one that nobody named.
        """
        plan = self.model.description.plan
        self._require_channels(channels)
        fixed = {"dimensions": plan.dimensions, "network": plan.network, "width": plan.width, "modality": plan.modality,
                 "normalization": plan.normalization.kind, "target_spacing_mm": plan.target_spacing_mm}
        for name, kept in fixed.items():
            wanted = getattr(config, name)
            if wanted is not None and wanted != kept:
                raise UserError(f"{name} {wanted} differs from the model's {kept}.",
                                "Leave it out: a fine-tuned model keeps the preparation it was trained with.")
        patch = config.patch_size or plan.patch_size
        if len(patch) != plan.dimensions:
            raise UserError(f"patch-size {patch} has {len(patch)} numbers; the model is {plan.dimensions}-D.",
                            "Give as many numbers, or leave it out.")
        batch = config.batch_size or plan.batch_size
        return replace(plan, patch_size=tuple(patch), batch_size=batch, labeled_batch_size=batch // 2)

    def override_plan(self, config: PlanConfig) -> PlanConfig:
        """``config`` with the modality and the normalisation of the model, which a check of the data goes by."""
        plan = self.model.description.plan
        return replace(config, modality=plan.modality, normalization=plan.normalization.kind)

    def _require_channels(self, channels: Sequence[Channel]) -> None:
        """Raises UserError when the scans have another number of channels than the model, or another order."""
        about = self.model.description
        if max(1, len(channels)) != about.plan.n_channels:
            raise UserError(f"The scans have {list_channels(channels or 1)}; the model {about.name} has "
                            f"{list_channels(about.plan.named_channels or 1)}.",
                            "Give scans with the model's channels in their order, or train without --from.")
        check_names("the labelled folder", channels, about.plan.named_channels)

    def keeps_head(self, labels: LabelSet) -> bool:
        """True when the classes are the model's own, by name, whatever their order and values."""
        return self._old_classes(labels) is not None

    def _old_classes(self, labels: LabelSet) -> list[int] | None:
        """The model's class index for each class of ``labels``, background first; None where the names differ."""
        old = [folded(name) for name in self.model.description.labels.names]
        new = [folded(name) for name in labels.names]
        same = len(set(new)) == len(new) and sorted(old) == sorted(new)
        return [0, *(1 + old.index(name) for name in new)] if same else None

    def say_what_is_kept(self, labels: LabelSet, modality: str) -> list[str]:
        """Sentences for the user about the head, and about new scans of another modality."""
        name, old = self.model.description.name, self.model.description.plan.modality
        if self.keeps_head(labels):
            kept = f"Fine-tuning {name}: all weights are kept, the classes are the same."
            before = {folded(label.name): label.value for label in self.model.description.labels.labels}
            moved = [f"{label.name} is {label.value}, in the model {before[folded(label.name)]}"
                     for label in labels.labels if before[folded(label.name)] != label.value]
            kept += f" They are matched by name: {'; '.join(moved)}." if moved else ""
        else:
            kept = (f"Fine-tuning {name}: its classes ({', '.join(self.model.description.labels.names)}) are not those "
                    f"of the new labels ({', '.join(labels.names)}), so the output layer is new; all other weights are "
                    "kept.")
        if "other" in (old, modality) or old == modality:
            return [kept]
        return [kept, f"The model was trained on {old}, the new scans are {modality}; they are prepared as {old}."]

    def load_into(self, networks: NetworkGroup, labels: LabelSet) -> None:
        """Copies the weights, those of the heads class by class; the heads stay as drawn where the classes differ.

        A network of a name that the model has not begins as the model's first one.
        """
        state, classes = self.model.load_state(), self._old_classes(labels)
        first = self.model.description.network.names[0]
        for name, network in networks.items():
            weights = {k: torch.as_tensor(v) for k, v in state.get(name, state[first]).items()
                       if classes is not None or not k.startswith(HEAD)}
            if classes not in (None, sorted(classes or ())):
                weights |= {k: v[classes] for k, v in weights.items() if k.startswith(HEAD)}
            try:
                missing, unexpected = network.load_state_dict(weights, strict=False)
            except RuntimeError as error:
                raise self._misfit() from error
            if unexpected or any(not key.startswith(HEAD) for key in missing):
                raise self._misfit()

    def _misfit(self) -> UserError:
        return UserError(f"The weights of {self.model.folder} do not fit its own description.",
                         "The model is damaged; copy it again from where it came.")


def load_pretrained(folder: Path | None) -> Pretrained | None:
    """Reads the model to start from; None without one."""
    return None if folder is None else Pretrained(read_model(folder))


def identity_of(folder: Path) -> str:
    """How a training record names the model that a run began with: by its content, as a folder may name a patient."""
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError:
        return "a model that was no longer there at the end"
    return f"the model whose {MANIFEST} has the SHA-256 {hashlib.sha256(content).hexdigest()}"
