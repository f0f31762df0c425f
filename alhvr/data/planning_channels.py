"""Planning the channels: what each one is and how its intensities are brought to one scale, with the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from alhvr.core.errors import UserError
from alhvr.data.channel_names import Channel, list_channels, name_channels
from alhvr.data.fingerprint import Fingerprint
from alhvr.data.intensity import Normalization, Statistics
from alhvr.data.planning import Decision

if TYPE_CHECKING:
    from alhvr.config import PlanConfig

AIR_HU = -200
"""Scans that hold intensities below this, other than as padding, are in HU."""


class ChannelDecision(NamedTuple):
    """What was decided for one channel."""

    name: str
    """As people call it; empty where nobody does."""
    modality: str
    """CT, MR or other."""
    normalization: Decision
    """How its intensities are brought to one scale."""


def decide_channels(scans: Sequence[Fingerprint], channels: Sequence[Channel], config: PlanConfig,
                    ) -> list[ChannelDecision]:
    """Modality and normalisation of each channel; one channel without a name has the name "".

    Raises UserError when the scans do not all have as many channels.
    """
    counts = sorted({len(scan.channels) for scan in scans})
    if len(counts) > 1 or len(channels) not in (0, counts[0]):
        raise UserError(f"The scans have {' or '.join(map(str, counts))} channels; needed: "
                        f"{list_channels(channels or counts[0])}.", "Give all scans the same channels.")
    if counts[0] == 1:
        modality = decide_modality(scans, config)
        name = channels[0].name if channels else ""
        return [ChannelDecision(name, modality, decide_normalization(scans, modality, config))]
    found = []
    for number, channel in enumerate(channels or name_channels(counts[0])):
        prints = [scan.channels[number] for scan in scans]
        modality = channel.modality
        if modality == "other":
            modality = decide_modality(prints, config) if number == 0 else _seen_modality(prints)
        found.append(ChannelDecision(channel.name, modality, decide_normalization(prints, modality, config)))
    return found


def decide_modality(scans: Sequence[Fingerprint], config: PlanConfig) -> str:
    """CT or MR when all scans whose modality is known agree, else other."""
    known = {scan.modality for scan in scans} - {"other"}
    return config.modality or (known.pop() if len(known) == 1 else "other")


def decide_normalization(scans: Sequence[Fingerprint], modality: str, config: PlanConfig) -> Decision:
    """HU bounds for CT, measured inside the labelled structures where there are labels; else scan by scan."""
    kind = config.normalization or ("ct" if modality == "CT" else "zscore")
    chosen = "chosen by you" if config.normalization else ""
    if kind != "ct":
        return Decision(Normalization(kind), chosen or "the intensities of such scans have no common unit")
    inside = [scan.foreground for scan in scans if scan.foreground is not None]
    measured = inside or [scan.intensity for scan in scans if scan.intensity is not None]
    if not measured:
        raise UserError("CT normalization needs intensities, but no scan was measured.", "Add a labelled case.")
    where = "inside the labelled structures" if inside else "over whole scans"
    return Decision(_pool(measured), chosen or f"CT has one unit (HU); the range was measured {where}")


def _seen_modality(prints: Sequence[Fingerprint]) -> str:
    """What the headers say of one channel where they agree, else CT where most scans hold HU of air."""
    known = {seen.modality for seen in prints} - {"other"}
    airy = sum(seen.intensity is not None and seen.intensity.lower < AIR_HU for seen in prints)
    return known.pop() if len(known) == 1 else "CT" if not known and airy * 2 > len(prints) else "other"


def _pool(measured: Sequence[Statistics]) -> Normalization:
    """Median bounds of all scans; mean and deviation of their voxels together, each scan counted alike."""
    lower, upper = (float(np.median([getattr(s, name) for s in measured])) for name in ("lower", "upper"))
    mean = float(np.mean([s.mean for s in measured]))
    variance = float(np.mean([s.std**2 + s.mean**2 for s in measured])) - mean**2
    return Normalization("ct", lower, max(upper, lower + 1.0), mean, max(math.sqrt(max(variance, 0.0)), 1.0))
