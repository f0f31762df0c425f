"""Every setting of the method, of training and of the plan: typed, with a sentence and its unit, checked at birth.

Arguments and ``--config`` files become these dataclasses once, in the command line; nothing else holds settings.
Row numbers refer to the table of differences between the paper and its released code in ``docs/method.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from alhvr.networks.registry import DEFAULT_NETWORK, WIDTHS, accepted, is_accepted
from alhvr.settings import check_choices, from_dict, require, to_dict

__all__ = ["AugmentConfig", "CopyPasteConfig", "DataConfig", "MethodConfig", "PlanConfig", "PresetName",
           "PreviewConfig", "RunConfig", "SegmentingConfig", "TrainingConfig", "from_dict", "to_dict"]

PresetName = Literal["standard", "mixed", "paper", "official"]
BETA_OF_PAPER = {2: 0.8, 3: 0.7}
"""By dimensions: the paper's beta for ACDC (2-D), and for BraTS (3-D)."""


@dataclass(frozen=True)
class MethodConfig:
    """The ALHVR loss: what the paper's equations leave open, and where the released code differs from them."""

    name: str = "alhvr"
    """The method, one of ``alhvr.methods.registry``. What is said of ALHVR's losses below matters to alhvr alone."""
    preset: PresetName = "standard"
    """Where the values come from, see ``alhvr.presets``: our own choices for few labels and short runs, these and
    mixed images, the paper's text taken literally, or the released code's semantics."""
    beta: float | None = 0.8
    """Share of the least confident pixels whose mean is the threshold gamma (Eq. 11), between 0 and 1; None takes the
    paper's, 0.8 in 2-D and 0.7 in 3-D."""
    threshold_scope: Literal["batch", "image"] = "batch"
    """One gamma for the whole unlabelled batch as released, or one for each image as the paper's text (row 6)."""
    temperature: float = 0.1
    """Sharpening temperature T of the competing teacher (Eq. 22), above 0 and at most 1."""
    max_weight: float = 0.1
    """Largest weight lambda of the unsupervised losses (Eq. 10)."""
    warmup_fraction: float = 0.3
    """Share of the run over which lambda rises to its largest value; the paper takes the whole run (1.0)."""
    warmup_shape: Literal["smooth", "staircase"] = "smooth"
    """Lambda rises at every iteration, or in 200 steps as in the released code (row 13)."""
    warmup_iterations: int | None = None
    """Lambda rises over so many iterations, however long the run; None takes warmup_fraction (row 13)."""
    ce_alignment: Literal["aligned", "broadcast"] = "aligned"
    """Pixel by pixel masking of the prototype cross-entropy, or the released code's broadcast over images (row 1)."""
    ce_weight: float = 1.0
    """Weight of the prototype cross-entropy; the released broadcast multiplies it by the unlabelled batch (row 1)."""
    cosine_weight: float = 1.0
    """Weight of the prototype cosine loss (Eq. 20)."""
    mse_weight: float = 1.0
    """Weight of the distance from the competing teacher (Eq. 24)."""
    entropy_weight: float = 1.0
    """Weight of the entropy where both networks are unsure (Eq. 25)."""
    prototype_consistency: bool = True
    """The module CG-CPCL is on: both prototype losses."""
    teacher_competition: bool = False
    """The module DTCT is on: distance from the competing teacher, and entropy. With few labels it does harm (see
    benchmarks/results/training.md), so that it is part of the presets paper and official only."""
    cross_pseudo_regions: tuple[int, ...] = ()
    """Regions (1, 2, 3) in which each network also learns the other's classes, as in the paper's table 1."""
    cross_pseudo_weight: float = 1.0
    """Weight of that cross-entropy."""
    cosine_loss: Literal["target", "all"] = "target"
    """Cosine loss of the target class over the mask, or of all classes over all pixels (row 2)."""
    feature_stride: Literal[8, 4, 1] = 8
    """Decoder level of the features: 1/8 as released, 1/4, or full resolution as the paper's text says (row 3)."""
    absent_class: Literal["zero", "exclude"] = "zero"
    """A class without pixels keeps a cosine of zero in the softmax, or is left out of it (row 5)."""
    prototype_mean: Literal["images", "pixels"] = "images"
    """A prototype is the mean of each image's mean as released, or over all pixels as the paper's text (row 4)."""
    sharpening: Literal["binary", "normalized"] = "binary"
    """Sharpen each class against the rest, or the whole vector to sum one (row 9)."""
    detach_teacher: bool = True
    """The teacher's probabilities receive no gradient (row 10)."""
    detach_prototypes: bool = True
    """The prototypes receive no gradient (row 10)."""
    entropy_mean: Literal["all", "masked"] = "all"
    """Entropy averaged over all pixels, or over the masked ones (row 12)."""
    dice: Literal["standard", "official"] = "standard"
    """Dice loss with factor two, or the released one, half of it plus a half (row 14)."""
    clean_dropout: bool = False
    """The 3-D network's last dropout also acts on the clean output that teaches (row 17)."""
    tie_teacher: Literal["a", "b"] = "a"
    """Which network teaches where both are equally confident (row 8)."""
    perturbed_statistics: bool = False
    """The perturbed pass also updates the running statistics of batch norm, as in the released code."""
    perturb_labeled: bool = False
    """Labelled images are decoded perturbed too; no loss uses them, only batch statistics change."""
    teacher_decay: float = 0.99
    """Of the methods with a mean teacher: decay of the mean of the student's weights that the teacher is."""
    teacher_noise: float = 0.1
    """Of the same: standard deviation of the noise on the teacher's images, in units of the prepared intensities."""
    teacher_passes: int = 8
    """Of ug-mcl: noisy passes of the teacher from whose mean the uncertainty is taken."""

    def __post_init__(self) -> None:
        """Checks the ranges; raises UserError."""
        check_choices(self)
        require(self.beta is None or 0 < self.beta <= 1, "beta", self.beta, "a number above 0 and at most 1")
        require(0 < self.temperature <= 1, "temperature", self.temperature, "a number above 0 and at most 1")
        require(self.max_weight >= 0, "max_weight", self.max_weight, "a number of 0 or more")
        require(0 < self.warmup_fraction <= 1, "warmup_fraction", self.warmup_fraction, "above 0 and at most 1")
        require(self.warmup_iterations is None or self.warmup_iterations >= 1, "warmup_iterations",
                self.warmup_iterations, "a whole number of 1 or more")
        for name in ("ce_weight", "cosine_weight", "mse_weight", "entropy_weight", "cross_pseudo_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "a number of 0 or more")
        require(set(self.cross_pseudo_regions) <= {1, 2, 3}, "cross_pseudo_regions", self.cross_pseudo_regions,
                "any of 1, 2, 3")
        require(0 <= self.teacher_decay < 1, "teacher_decay", self.teacher_decay, "0 to below 1")
        require(self.teacher_noise >= 0, "teacher_noise", self.teacher_noise, "a number of 0 or more")
        require(1 <= self.teacher_passes <= 64, "teacher_passes", self.teacher_passes, "1 to 64")


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of a training patch; image and label move together."""

    mirror: bool | None = None
    """Flip at random along each spatial axis; None: only for slices whose orientation in the body is not known."""
    quarter_turns: bool | None = None
    """Turn by multiples of 90 degrees in the plane of the last two axes; None: as for mirror."""
    rotate_degrees: float = 15.0
    """Largest rotation, in degrees, drawn evenly from both directions."""
    scale: float = 0.15
    """Largest relative change of size."""
    intensity: bool = True
    """Gaussian noise, blur, contrast (gamma) and brightness."""
    law: Literal["independent", "released"] = "independent"
    """Every change is drawn for itself, or as the released code does: half of the slices get quarter turns and a
    mirror, a quarter a rotation without interpolation (2-D); volumes always get turns and a mirror (3-D)."""

    def __post_init__(self) -> None:
        """Checks the ranges; raises UserError."""
        check_choices(self)
        require(0 <= self.rotate_degrees <= 180, "rotate_degrees", self.rotate_degrees, "0 to 180 degrees")
        require(0 <= self.scale < 0.9, "scale", self.scale, "0 to 0.9")


@dataclass(frozen=True)
class CopyPasteConfig:
    """Training images of which one part is a labelled scan and the other one of the archive (Bai et al., CVPR 2023).

    The archive's part is labelled by the mean of the weights where that is confident, else not annotated: the method
    learns there as it does where nobody annotated. It takes the place of the plain batch, at about its cost.
    """

    use: bool = False
    """Mix labelled scans with those of the archive; without it both are in the batch, each image whole."""
    begin: float = 0.35
    """Part of the run, 0 to 1, that learns from the labels alone before it."""
    confidence: float = 0.8
    """Largest probability, 0 to 1, from which on a pixel of the archive takes the class that the mean weights see."""
    side: float = 2 / 3
    """Sides of the box that is cut out, in sides of the patch, 0 to 1; in half of the images it shows the labelled
    scan, in the others the archive."""

    def __post_init__(self) -> None:
        """Checks the ranges; raises UserError."""
        require(0 <= self.begin < 1, "begin", self.begin, "0 to below 1")
        require(0 <= self.confidence <= 1, "confidence", self.confidence, "0 to 1")
        require(0 < self.side < 1, "side", self.side, "a number between 0 and 1")


@dataclass(frozen=True)
class TrainingConfig:
    """One training run: how long, how fast, on what."""

    iterations: int = 6000
    """Number of optimiser steps; ignored when minutes is given."""
    minutes: float | None = None
    """Train for this time instead; warm-up and decay follow the clock. Validation is included."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """AdamW, which gets further in few steps, or stochastic gradient descent with momentum as in the paper; SGD wants a
    learning rate of about 0.01 and a weight decay of about 0.0001."""
    learning_rate: float = 0.001
    """Largest learning rate, at the start or after the warm-up."""
    learning_rate_warmup: float = 0.05
    """Part of the run, 0 to 1, over which the learning rate rises from 0."""
    learning_rate_decay: Literal["constant", "poly"] = "poly"
    """Constant as in the paper, or (1 - progress) ** 0.9."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 0.01
    """L2 penalty of SGD, or the decay of AdamW."""
    ema_decay: float = 0.99
    """Decay of the exponential mean of the weights that is validated and kept; 0 turns it off."""
    batch_norm_statistics: Literal["measured", "running"] = "measured"
    """Batch-norm statistics of the kept weights: measured on recent batches before each validation, or the running ones
    of the networks that learn."""
    statistics_batches: int = 24
    """Batches on which they are measured, at most; fewer before a validation where that would take more than 5 % of the
    time. A batch costs a third of a step."""
    balanced: bool = True
    """Labelled slices and scans with rare structures are shown more often, those without any structure less often."""
    selection: Literal["pair", "network"] = "pair"
    """The best state is that of both networks together, or each network's own, as in the released code."""
    validations: int = 10
    """How many times the model is scored on the validation cases during the run, evenly spaced."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the networks; auto takes bf16 where the hardware has units for it. Losses are always fp32."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the networks run."""
    threads: int = 0
    """CPU threads; 0 takes the cores that are free at the start."""
    memory_gb: float = 2.0
    """Budget in GB for prepared scans held in memory; the rest of the archive is read again when its turn comes."""
    save_every_s: float = 60.0
    """Seconds between checkpoints."""
    seed: int = 0
    """Seed of every random draw."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Random changes of the training patches."""
    copy_paste: CopyPasteConfig = field(default_factory=CopyPasteConfig)
    """Mixing labelled scans with those of the archive."""

    def __post_init__(self) -> None:
        """Checks the ranges; raises UserError."""
        check_choices(self)
        require(self.iterations >= 1, "iterations", self.iterations, "a whole number of 1 or more")
        require(self.minutes is None or 0 < self.minutes < math.inf, "minutes", self.minutes, "a number above 0")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "a number above 0")
        require(0 <= self.learning_rate_warmup < 1, "learning_rate_warmup", self.learning_rate_warmup, "0 to below 1")
        require(0 <= self.momentum < 1, "momentum", self.momentum, "0 to below 1")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "a number of 0 or more")
        require(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "0 to below 1")
        require(self.statistics_batches >= 1, "statistics_batches", self.statistics_batches, "1 or more")
        require(self.validations >= 1, "validations", self.validations, "a whole number of 1 or more")
        require(self.threads >= 0, "threads", self.threads, "0 (automatic) or more")
        require(self.memory_gb > 0, "memory_gb", self.memory_gb, "a number of GB above 0")
        require(self.save_every_s >= 0, "save_every_s", self.save_every_s, "seconds, 0 (after every step) or more")
        require(self.seed >= 0, "seed", self.seed, "a whole number of 0 or more")


@dataclass(frozen=True)
class PlanConfig:
    """What of the plan is fixed by the user; None leaves it to the scans."""

    dimensions: Literal[2, 3] | None = None
    """2 trains on slices, 3 on volumes."""
    network: str | None = None
    """One of ``alhvr.networks.registry``, such as unet; None takes the U-Net in 2-D and ``network_3d`` in 3-D."""
    network_3d: str = DEFAULT_NETWORK
    """The network of a 3-D plan where ``network`` says nothing: the U-Net learns faster in short runs (see
    benchmarks/results/training.md); the presets paper and official take the paper's V-Net."""
    target_spacing_mm: tuple[float, ...] | None = None
    """Spacing of the prepared scans, slowest axis first (K, J, I), in mm."""
    patch_size: tuple[int, ...] | None = None
    """Pixels of a patch, slowest axis first: (J, I) in 2-D, (K, J, I) in 3-D; multiples of 16."""
    batch_size: int | None = None
    """Patches in a batch, labelled and unlabelled together; half of them are labelled."""
    modality: Literal["CT", "MR", "other"] | None = None
    """CT is read in HU and clipped to stored percentiles; everything else is normalised scan by scan."""
    normalization: Literal["ct", "zscore", "percentile", "minmax", "nonzero", "released"] | None = None
    """How intensities are brought to one scale; None follows the modality. released: as the released code does, by
    the extremes of each scan in 2-D (minmax), by its voxels above zero in 3-D (nonzero)."""
    stretch: bool = False
    """2-D: every slice is scaled to the patch's size whatever its shape, as the released code does."""
    width: int | None = None
    """Channels of the networks at full resolution, 2 to 64; None takes the paper's 16. Fewer: smaller and faster."""

    def __post_init__(self) -> None:
        """Checks the ranges; raises UserError."""
        check_choices(self)
        low, high = WIDTHS
        require(self.width is None or low <= self.width <= high, "width", self.width, f"{low} to {high}")
        if self.patch_size is not None:
            good = len(self.patch_size) in (2, 3) and all(n >= 16 and n % 16 == 0 for n in self.patch_size)
            require(good, "patch_size", self.patch_size, "2 or 3 multiples of 16, such as 128,128 or 96,96,96")
            if self.dimensions is not None:
                require(len(self.patch_size) == self.dimensions, "patch_size", self.patch_size,
                         f"{self.dimensions} numbers for a {self.dimensions}-D plan")
        if self.batch_size is not None:
            require(self.batch_size >= 2, "batch_size", self.batch_size, "a whole number of 2 or more")
        if self.target_spacing_mm is not None:
            good = len(self.target_spacing_mm) == 3 and all(s > 0 for s in self.target_spacing_mm)
            require(good, "target_spacing_mm", self.target_spacing_mm, "three numbers above 0, in mm")
        for name, dimensions in (("network", self.dimensions), ("network_3d", 3)):
            value = getattr(self, name)
            where = f" for a {dimensions}-D plan" if dimensions else ""
            require(value is None or is_accepted(value, dimensions), name, value, f"{accepted(dimensions)}{where}")


@dataclass(frozen=True)
class DataConfig:
    """How the label files are to be understood."""

    not_annotated: int = 255
    """Label value of voxels that are not annotated; they take no part in the supervised loss. No structure has it."""
    series: tuple[str, ...] = ()
    """Which DICOM series are wanted, one rule each as for --series; empty: as cases.json says, else all."""

    def __post_init__(self) -> None:
        """Checks the range; raises UserError."""
        require(1 <= self.not_annotated <= 65535, "not_annotated", self.not_annotated, "a label value of 1 to 65535")
        require(len(self.series) <= 20, "series", self.series, "up to 20 rules")


@dataclass(frozen=True)
class SegmentingConfig:
    """How the finished model segments; kept in the model."""

    fusion: Literal["auto", "mean", "competition", "a", "b"] = "auto"
    """Mean of both networks' probabilities, the more confident one pixel by pixel, or one network alone; auto: the best
    on validation, the mean where another is not clearly better."""
    largest_component: Literal["auto", "on", "off"] = "auto"
    """Keep only the largest connected part of each class; auto: where it is better on validation."""
    mirror: bool = False
    """Average over mirrored copies of the scan; 4 times (2-D) or 8 times (3-D) slower."""

    def __post_init__(self) -> None:
        """Checks the choices; raises UserError."""
        check_choices(self)


@dataclass(frozen=True)
class PreviewConfig:
    """What is shown while a training runs; the model is the same with and without."""

    write: bool = False
    """At each validation, segment one held-out case and one scan of the archive, with their regions, into
    RUN/previews; the last 10 are kept, and a tenth of the time is the most that they take."""
    held_out: str | None = None
    """Name of the held-out case to show; None: the first one."""
    archive: str | None = None
    """Name of the scan of the archive to show; None: the first one."""


LONGEST_NAME = 100


@dataclass(frozen=True)
class RunConfig:
    """All settings of ``alhvr train``; written to the run folder and into the model."""

    method: MethodConfig = field(default_factory=MethodConfig)
    """The loss."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The run."""
    plan: PlanConfig = field(default_factory=PlanConfig)
    """What of the plan is fixed beforehand."""
    data: DataConfig = field(default_factory=DataConfig)
    """How the label files are to be understood."""
    segmenting: SegmentingConfig = field(default_factory=SegmentingConfig)
    """How the finished model segments."""
    preview: PreviewConfig = field(default_factory=PreviewConfig)
    """What is shown while it runs."""
    name: str | None = None
    """Name of the model for people; None: its structures and modality, never the name of a folder."""

    def __post_init__(self) -> None:
        """Checks the name; raises UserError."""
        good = self.name is None or (self.name.strip() and self.name.isprintable() and len(self.name) <= LONGEST_NAME)
        require(good, "name", self.name, f"a text of 1 to {LONGEST_NAME} letters on one line")

    @classmethod
    def of(cls, **parts: Any) -> RunConfig:
        """The settings of which only some differ: ``RunConfig.of(training={"iterations": 2000})``.

        Names and values are those of RUN/config.json; UserError for one that is not known or not accepted.
        """
        return from_dict(cls, parts)
