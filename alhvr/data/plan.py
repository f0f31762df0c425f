"""Plan: how scans are prepared and in what patches the networks see them; made once, stored with the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from alhvr.core.errors import UserError, require
from alhvr.data import planning
from alhvr.data.channel_names import Channel, list_channels
from alhvr.data.fingerprint import Fingerprint, fingerprint
from alhvr.data.intensity import Normalization
from alhvr.data.planning import decide_channels
from alhvr.networks.registry import NETWORKS, STANDARD_WIDTH, WIDTHS, accepted, is_accepted
from alhvr.settings import check_choices, from_dict, to_dict

if TYPE_CHECKING:
    from alhvr.config import PlanConfig

LARGEST_SIDE, LARGEST_BATCH = 8192, 65536
"""Pixels of a patch along each axis, and patches of a batch, up to which a plan can be meant."""
SPACINGS_MM = (1e-3, 1e3)
"""Finest and coarsest spacing of a prepared scan."""

__all__ = ["ChannelPlan", "Fingerprint", "Normalization", "Plan", "Reasons", "fingerprint", "make_plan"]


@dataclass(frozen=True)
class Reasons:
    """Why the plan is as it is, in plain words; empty where nobody knows."""

    dimensions: str = ""
    """Why slices or volumes."""
    grid: str = ""
    """Why this spacing or matrix."""
    patch: str = ""
    """Why this patch."""
    normalization: str = ""
    """Why intensities are treated so."""


@dataclass(frozen=True)
class ChannelPlan:
    """One channel of the scans."""

    name: str
    """As people call it, such as "FLAIR"."""
    modality: Literal["CT", "MR", "other"]
    """What was measured."""
    normalization: Normalization
    """How its intensities are brought to one scale."""

    def __post_init__(self) -> None:
        """Checks the modality; raises UserError."""
        check_choices(self)


@dataclass(frozen=True)
class Plan:
    """Everything that training and inference must do alike. Axes are slowest first, of the prepared grid."""

    dimensions: Literal[2, 3]
    """2: slices; 3: volumes."""
    network: str
    """Kind of the networks, one of ``alhvr.networks.registry``."""
    target_spacing_mm: tuple[float, float, float] | None
    """Spacing (K, J, I) of prepared scans in mm; in 2-D the distance of slices, K, is never changed."""
    in_plane_matrix: tuple[int, int] | None
    """2-D without known spacing: pixels (J, I) that a slice is scaled into, its aspect kept."""
    patch_size: tuple[int, ...]
    """Pixels of a patch: (J, I) or (K, J, I); multiples of 16."""
    batch_size: int
    """Patches in a batch."""
    labeled_batch_size: int
    """How many of them are from labelled scans; they come first."""
    modality: Literal["CT", "MR", "other"]
    """What the scans are; of several channels, the first."""
    normalization: Normalization
    """How intensities are brought to one scale; of several channels, the first."""
    reasons: Reasons = field(default_factory=Reasons)
    """Why, for people."""
    channels: tuple[ChannelPlan, ...] = ()
    """All channels in order; empty for one channel that nobody named, as in older models."""
    width: int = STANDARD_WIDTH
    """Channels of the networks at full resolution; older models have 16."""
    stretch: bool = False
    """2-D: every slice is scaled to ``patch_size`` whatever its shape."""

    def __post_init__(self) -> None:
        """Checks that the values fit each other; raises UserError."""
        check_choices(self)
        _require(is_accepted(self.network, self.dimensions), "network", self.network, accepted(self.dimensions))
        self._check_grid()
        low, high = WIDTHS
        _require(low <= self.width <= high, "width", self.width, f"{low} to {high}")
        _require(self.batch_size <= LARGEST_BATCH, "batch_size", self.batch_size, f"up to {LARGEST_BATCH}")
        _require(0 < self.labeled_batch_size <= self.batch_size, "labeled_batch_size", self.labeled_batch_size,
                 f"1 to the batch size of {self.batch_size}")
        _require(not self.stretch or (self.dimensions == 2 and self.target_spacing_mm is None), "stretch", self.stretch,
                 "true only in 2-D and without a target spacing")
        first = [(channel.modality, channel.normalization) for channel in self.channels[:1]]
        _require(first in ([], [(self.modality, self.normalization)]), "channels", self.channels,
                 "channels of which the first has the plan's own modality and normalization")

    def _check_grid(self) -> None:
        """Raises UserError unless patch, matrix and spacing can be meant, and fit each other."""
        _require(_are_sides(self.patch_size, self.dimensions), "patch_size", self.patch_size,
                 f"{self.dimensions} multiples of 16, up to {LARGEST_SIDE}")
        matrix, spacing = self.in_plane_matrix, self.target_spacing_mm
        _require(matrix is None or (self.dimensions == 2 and spacing is None), "in_plane_matrix", matrix,
                 "only in 2-D and without a target spacing")
        good = matrix is None or (len(matrix) == 2 and all(1 <= n <= LARGEST_SIDE for n in matrix))
        _require(good, "in_plane_matrix", matrix, f"two numbers of 1 to {LARGEST_SIDE}")
        low, high = SPACINGS_MM
        good = spacing is None or (len(spacing) == 3 and all(low <= mm <= high for mm in spacing))
        _require(good, "target_spacing_mm", spacing, f"three numbers of {low:g} to {high:g}, in mm")

    @property
    def n_channels(self) -> int:
        """Channels of a scan."""
        return max(1, len(self.channels))

    @property
    def normalizations(self) -> tuple[Normalization, ...]:
        """How the intensities of each channel are brought to one scale."""
        return tuple(channel.normalization for channel in self.channels) or (self.normalization,)

    @property
    def named_channels(self) -> tuple[Channel, ...]:
        """What the channels are called; empty for one that nobody named."""
        return tuple(Channel(channel.name, channel.modality) for channel in self.channels)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """The plan that ``to_dict`` wrote, also after JSON; raises UserError on a missing or unknown entry."""
        required = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
        missing = [name for name in required if not isinstance(values, dict) or name not in values]
        if missing:
            raise UserError(f"plan: {', '.join(missing)} missing.", "Write the model again.")
        return from_dict(cls, values, "plan")

    def describe(self) -> list[str]:
        """The plan as sentences for a clinician, with units and reasons."""
        return [_tell_dimensions(self), _tell_grid(self), _tell_patch(self), _tell_batch(self), _tell_intensity(self)]


def make_plan(labeled: Sequence[Fingerprint], unlabeled: Sequence[Fingerprint], config: PlanConfig, *,
              memory_gb: float, channels: Sequence[Channel] = ()) -> Plan:
    """The plan for these scans; what ``config`` fixes is kept. ``memory_gb``: memory that a training step may take.

    ``channels``: what files call them; of several, ``config.modality`` is that of the first where no file says. Raises
    UserError when there are no scans or the settings contradict each other or the scans.
    """
    scans = [*labeled, *unlabeled]
    if not scans:
        raise UserError("There are no scans to plan for.", "Name a folder with cases.")
    dimensions = planning.decide_dimensions(scans, config)
    axes = planning.measure_axes(scans, dimensions.value)
    grid = planning.decide_grid(scans, axes, dimensions.value, config)
    prepared = planning.prepared_sizes(axes, grid.value, dimensions.value, config)
    batch = planning.decide_batch(prepared, dimensions.value, config, memory_gb)
    patch_size, batch_size = batch.value
    found = decide_channels(scans, channels, _by_dimensions(config, dimensions.value))
    stretch = config.stretch and dimensions.value == 2 and grid.value.target_spacing_mm is None
    return Plan(
        dimensions=dimensions.value,
        network=planning.decide_network(config, dimensions.value, patch_size),
        target_spacing_mm=grid.value.target_spacing_mm,
        in_plane_matrix=patch_size if grid.value.in_plane_matrix or stretch else None,
        patch_size=patch_size,
        batch_size=batch_size,
        labeled_batch_size=batch_size // 2,
        modality=found[0].modality,
        normalization=found[0].normalization.value,
        reasons=Reasons(dimensions.reason, grid.reason, batch.reason, _joined(c.normalization.reason for c in found)),
        channels=tuple(ChannelPlan(c.name, c.modality, c.normalization.value) for c in found if c.name),
        width=config.width or STANDARD_WIDTH,
        stretch=stretch,
    )


def _by_dimensions(config: PlanConfig, dimensions: int) -> PlanConfig:
    """``config`` with the released code's normalization named, which differs by ``dimensions``."""
    if config.normalization != "released":
        return config
    return replace(config, normalization={2: "minmax", 3: "nonzero"}[dimensions])


def _tell_dimensions(plan: Plan) -> str:
    name = NETWORKS[plan.network].title
    unit = "slice by slice" if plan.dimensions == 2 else "as volumes"
    size = "" if plan.width == STANDARD_WIDTH else f" of {plan.width} instead of {STANDARD_WIDTH} channels"
    return f"Scans are segmented {unit} with a {plan.dimensions}-D {name}{size}{_because(plan.reasons.dimensions)}."


def _tell_grid(plan: Plan) -> str:
    why = _because(plan.reasons.grid)
    if plan.stretch:
        return f"Each slice is scaled to {_times(plan.patch_size)} pixels, whatever its shape{why}."
    if plan.in_plane_matrix is not None:
        return f"Each slice is scaled, its shape kept, to fit {_times(plan.in_plane_matrix)} pixels{why}."
    if plan.target_spacing_mm is None:
        return f"Scans keep their own voxel grid{why}."
    if plan.dimensions == 2:
        return (f"Each slice is resampled to pixels of {_times(plan.target_spacing_mm[1:])} mm{why}; "
                "the distance between slices stays as it is.")
    return f"Scans are resampled to voxels of {_times(plan.target_spacing_mm)} mm{why}."


def _tell_patch(plan: Plan) -> str:
    unit = "pixels" if plan.dimensions == 2 else "voxels"
    extent = ""
    if plan.target_spacing_mm is not None:
        spacing = plan.target_spacing_mm[-plan.dimensions:]
        millimetres = [round(n * s) for n, s in zip(plan.patch_size, spacing, strict=True)]
        extent = f", that is {_times(millimetres)} mm"
    return f"The networks see {_times(plan.patch_size)} {unit} at a time{extent}{_because(plan.reasons.patch)}."


def _tell_batch(plan: Plan) -> str:
    rest = plan.batch_size - plan.labeled_batch_size
    return (f"Each training step uses {plan.batch_size} such patches: {plan.labeled_batch_size} from labelled scans "
            f"and {rest} from scans without labels.")


def _tell_intensity(plan: Plan) -> str:
    if plan.n_channels == 1:
        return f"{_tell_rule(plan.normalization, plan.modality)}{_because(plan.reasons.normalization)}."
    told = "; ".join(f"{c.name}: {_tell_rule(c.normalization, c.modality)}" for c in plan.channels)
    return f"Each scan has {list_channels(plan.named_channels)}. {told}{_because(plan.reasons.normalization)}."


def _tell_rule(rule: Normalization, modality: str) -> str:
    unit = " HU" if modality == "CT" else ""
    return {
        "ct": f"Intensities are clipped to {rule.lower:.0f} to {rule.upper:.0f}{unit}, then centred on "
              f"{rule.mean:.0f}{unit} and divided by {rule.std:.0f}{unit}",
        "zscore": "Intensities are brought to mean 0 and deviation 1 scan by scan, air and extreme voxels left out",
        "percentile": "Intensities are scaled to 0 to 1 scan by scan, extreme voxels clipped",
        "minmax": "Intensities are scaled to 0 to 1 scan by scan",
        "nonzero": "Intensities are brought to mean 0 and deviation 1 scan by scan, by their voxels above 0",
    }[rule.kind]


def _joined(reasons: Iterable[str]) -> str:
    """Reasons without those that were said before."""
    return "; ".join(dict.fromkeys(reasons))


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)


def _are_sides(sizes: Sequence[int], count: int) -> bool:
    return len(sizes) == count and all(16 <= n <= LARGEST_SIDE and n % 16 == 0 for n in sizes)


def _require(good: bool, name: str, seen: Any, accepted: str) -> None:
    require(good, f"plan: {name}", seen, accepted)
