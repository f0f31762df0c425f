"""Predictor: from a scan to its segmentation and regions on the scan's own grid; training and users run this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import prod

import numpy as np

from alhvr.bundle.model import InferenceSettings, Model, rules_of
from alhvr.core.errors import Cancelled, OutOfMemory
from alhvr.core.progress import Countdown, Reporter, SilentReporter
from alhvr.core.system import memory_as_user_error
from alhvr.data.axes import AxisTransform
from alhvr.data.geometry import Geometry
from alhvr.data.plan import Plan
from alhvr.data.preprocess import PreparedPlanes, axis_transform
from alhvr.data.scan import Scan, Segmentation
from alhvr.formats.labels import LabelSet
from alhvr.formats.region_tables import RegionMaps, certainty_levels, make_region_maps
from alhvr.inference.backends import Backend, choose_backend
from alhvr.inference.dual_forward import (
    SLOTS,
    DualForward,
    DualOutput,
    competing_confidence,
    fuse,
    networks_for,
    uncertainties,
)
from alhvr.inference.memory import UNMEASURED, MemoryForecast, SegmentWorkload, forecast, in_gb, require
from alhvr.inference.output_grid import ClassMap, ConfidenceMap
from alhvr.inference.postprocess import clear_small_components
from alhvr.inference.sliding_window import MULTIPLE, Blender, Window, WindowSource, pad, tile
from alhvr.networks.registry import NETWORKS

WHOLE_SLICE_PIXELS = 1024 * 1024
"""Slices up to this many pixels go through the networks whole; larger ones in windows of 1024 at most per side."""
LARGEST_SIDE = 1024
TEACHER = "teacher"
BATCH_PIXELS = 8 * 256 * 256
"""Pixels of the windows that go through the networks at once; a larger window goes alone."""


@dataclass(frozen=True)
class Prediction:
    """What the model says about one scan, on the scan's own grid."""

    segmentation: Segmentation
    """Label values."""
    regions: RegionMaps | None
    """Confidence maps and high-value regions; None when they were not asked for."""
    uncertainty: PlainUncertainty | None = None
    """None when it was not asked for."""
    probability: np.ndarray | None = None
    """uint8 [K, J, I], 255 = 1: of the label at each voxel; None when it was not asked for."""


@dataclass(frozen=True)
class PlainUncertainty:
    """How unsure the mean of the networks' probabilities is, uint16 [K, J, I] on the scan's own grid."""

    entropy: np.ndarray
    """65535 = that of C equal probabilities."""
    probability: np.ndarray
    """1 - the largest probability, 65535 = 1."""


@dataclass(frozen=True)
class _Watch:
    """Who hears about progress, and who may stop the work."""

    stage: str
    reporter: Reporter
    should_stop: Callable[[], bool]

    def check(self) -> None:
        """Raises Cancelled when somebody asked to stop."""
        if self.should_stop():
            raise Cancelled("Segmenting was cancelled.")


@dataclass(frozen=True)
class _Maps:
    """What is gathered of one scan, on its own grid."""

    classes: dict[str, ClassMap]
    """By fusion rule."""
    confidences: dict[str, ConfidenceMap]
    """Both confidences, that of the teacher, then what PlainUncertainty holds where it was asked for; empty without
    regions."""

    def add(self, planes: Sequence[np.ndarray]) -> None:
        """Takes the next plane of the prepared grid, float32 [C, J, I] of each map."""
        for found, plane in zip((*self.classes.values(), *self.confidences.values()), planes, strict=True):
            found.add(plane)


class Predictor:
    """Segments scans with one model: prepare, cut into windows, run both networks, fuse, blend, restore."""

    def __init__(self, backend: Backend, plan: Plan, labels: LabelSet, settings: InferenceSettings) -> None:
        self._backend, self._plan, self._labels, self._settings = backend, plan, labels, settings
        self._batch_pixels = BATCH_PIXELS
        self._pixels_before = 0

    @classmethod
    def from_model(cls, model: Model, *, device: str = "auto", threads: int | None = None) -> Predictor:
        """The predictor of a model folder that ``alhvr.read_model`` read, with the model's own settings.

        ``device``: auto, cpu, cuda or mps; ``threads`` on the CPU, None for as many as there are free cores. Raises
        UserError where the device is not there, ModelError where the networks cannot be run.
        """
        about = model.description
        return cls(choose_backend(model, device=device, threads=threads), about.plan, about.labels, about.inference)

    @property
    def ran_with(self) -> str:
        """What ran the networks, and in which arithmetic: "onnxruntime in fp32"."""
        return f"{self._backend.name} in {self._backend.arithmetic}"

    def forecast(self, geometry: Geometry, *, regions: bool = False, voxel_bytes: int = 4, reading_bytes: int = 0,
                 ) -> MemoryForecast:
        """Memory that reading and segmenting a scan on this grid takes, beside what the program takes already.

        ``voxel_bytes``: of all channels in memory, as ``reading.probe`` knows it from the headers; ``reading_bytes``:
        what reading takes at its peak where that is more than twice the scan.
        """
        transform = axis_transform(geometry, self._plan)
        window = self._window(transform.shape)
        return forecast(SegmentWorkload(
            shape=transform.arranged_shape, prepared_shape=transform.shape, window=window,
            batch=max(1, self._batch_pixels // prod(window)), overlap=self._settings.window_overlap,
            n_classes=self._labels.n_classes, n_channels=self._plan.n_channels, voxel_bytes=voxel_bytes,
            reading_bytes=reading_bytes,
            label_bytes=self._labels.to_values(np.zeros(0, np.uint8)).itemsize, regions=regions,
            mirror=self._settings.mirror, largest_component=self._settings.largest_component, width=self._plan.width,
            memory=getattr(self._backend, "memory", UNMEASURED),
            memory_factor=NETWORKS[self._plan.network].memory_factor, pixels_before=self._pixels_before))

    def require_memory(self, geometry: Geometry, *, regions: bool = False, voxel_bytes: int = 4,
                       reading_bytes: int = 0) -> int:
        """Bytes of ``forecast``; raises UserError with the figures when so much is not free now."""
        how = {"voxel_bytes": voxel_bytes, "reading_bytes": reading_bytes}
        needed = self.forecast(geometry, regions=regions, **how)
        less = self.forecast(geometry, **how)
        advice = f"leave out the regions ({in_gb(less.total)} then), or " if regions else ""
        require(needed, geometry.shape_kji, advice=f"Close other programs, {advice}segment a part of the scan.")
        return needed.total

    def segment(self, scan: Scan, *, regions: bool = False, uncertainty: bool = False, probabilities: bool = False,
                reporter: Reporter | None = None, should_stop: Callable[[], bool] = lambda: False) -> Prediction:
        """The segmentation of ``scan`` as the model's settings want it, and with ``regions`` its region maps.

        ``uncertainty``, beside the regions: also what plain measures say, for comparing.
        ``probabilities``: keep that of the label at each voxel, one byte each.

        Progress goes to ``reporter``; ``should_stop`` is asked often, and Cancelled raised when it says so.
        Raises UserError for another number of channels than the model's, and OutOfMemory where even one window at a
        time is too much.
        """
        watch = _Watch(f"segmenting {scan.name}", reporter or SilentReporter(), should_stop)
        planes = PreparedPlanes(scan, self._plan)
        values = self._labels.to_values(np.arange(self._labels.n_classes))
        maps = _Maps({self._settings.fusion: ClassMap(planes.transform, values, probabilities=probabilities)},
                     self._confidence_maps(planes.transform, uncertainty=uncertainty) if regions else {})
        with memory_as_user_error("cpu"):
            self._run(planes, maps, watch)
        array = maps.classes[self._settings.fusion].array
        if self._settings.largest_component:
            clear_small_components(array, self._labels.values, watch.check)
        watch.check()
        found, unsure = None, None
        if regions:
            a, b, teacher, *rest = (found.array for found in maps.confidences.values())
            found = make_region_maps(a, b, teacher, self._settings, scan.geometry)
            unsure = PlainUncertainty(*rest) if rest else None
        return Prediction(Segmentation(scan.name, array, scan.geometry, self._labels), found, unsure,
                          maps.classes[self._settings.fusion].probability)

    def segment_all(self, scan: Scan, *, rules: Sequence[str] | None = None, reporter: Reporter | None = None,
                    should_stop: Callable[[], bool] = lambda: False) -> dict[str, np.ndarray]:
        """Class indices uint8 [K, J, I] on the scan's own grid by each fusion rule, from one pass of the networks.

        ``rules`` None: all that there are for the networks.

        For comparing rules: the largest component is not applied. Raises Cancelled and OutOfMemory as ``segment``.
        """
        watch = _Watch(f"segmenting {scan.name}", reporter or SilentReporter(), should_stop)
        planes = PreparedPlanes(scan, self._plan)
        indices = np.arange(self._labels.n_classes, dtype=np.uint8)
        rules = rules_of(self._backend.networks) if rules is None else rules
        maps = _Maps({rule: ClassMap(planes.transform, indices) for rule in rules}, {})
        with memory_as_user_error("cpu"):
            self._run(planes, maps, watch)
        return {rule: found.array for rule, found in maps.classes.items()}

    def _confidence_maps(self, transform: AxisTransform, *, uncertainty: bool) -> dict[str, ConfidenceMap]:
        """Empty maps of what regions need, in the order in which ``_blend`` gives them."""
        slots = {str(slot): ConfidenceMap(transform) for slot in range(SLOTS)}
        plain = {measure.name: ConfidenceMap(transform) for measure in fields(PlainUncertainty)} if uncertainty else {}
        return {**slots, TEACHER: ConfidenceMap(transform, certainty_levels(self._settings.temperature)), **plain}

    def _run(self, planes: PreparedPlanes, maps: _Maps, watch: _Watch) -> None:
        """Runs the networks on every window of the prepared scan and gathers what they say in ``maps``."""
        shape = self._window(planes.shape)
        grid = pad(planes.shape, shape)
        windows = tile(grid.shape, shape, self._settings.window_overlap)
        source, blender = WindowSource(planes, grid, watch.check), Blender(grid, maps.add)
        run = DualForward(self._backend, self._settings, regions=bool(maps.confidences),
                          networks=networks_for(maps.classes, self._backend.networks))
        countdown, done = Countdown(len(windows)), 0
        while done < len(windows):
            watch.check()
            group = windows[done:done + max(1, self._batch_pixels // prod(shape))]
            source.forget(group[0].place[0].start)
            try:
                views = run(self._stacked(source.cut(group)))
            except OutOfMemory:
                if len(group) == 1:
                    raise
                self._step_down(len(group), prod(shape), watch)
                continue
            self._pixels_before = max(self._pixels_before, len(group) * prod(shape))
            _blend(blender, group, views, maps)
            del views
            done += len(group)
            watch.reporter.progress(watch.stage, done, len(windows), countdown.seconds_left(done))
        blender.finish()

    def _step_down(self, n_windows: int, window_pixels: int, watch: _Watch) -> None:
        """From now on half as many windows at once as were too many; tells so once."""
        if self._batch_pixels == BATCH_PIXELS:
            watch.reporter.warning(f"{watch.stage}: the memory does not hold {n_windows} windows at once; fewer go "
                                   "through the networks at a time from now on, which may take longer.")
        self._batch_pixels = n_windows // 2 * window_pixels

    def _window(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Window [K, J, I] for a prepared scan of ``shape``: the patch in 3-D, one whole slice in 2-D if it may be."""
        patch = self._plan.patch_size
        if self._plan.dimensions == 3:
            return tuple(patch)
        whole = [max(side, -(-size // MULTIPLE) * MULTIPLE) for side, size in zip(patch, shape[1:], strict=True)]
        if prod(whole) > WHOLE_SLICE_PIXELS:
            whole = [min(size, max(side, LARGEST_SIDE)) for side, size in zip(patch, whole, strict=True)]
        return (1, *whole)

    def _stacked(self, windows: np.ndarray) -> np.ndarray:
        """float32 [N, M, *S] from ``windows`` [N, M, k, j, i]; S is (J, I) for a 2-D plan, whose windows are flat."""
        return windows[:, :, 0] if self._plan.dimensions == 2 else windows


def _blend(blender: Blender, group: Sequence[Window], views: DualOutput, maps: _Maps) -> None:
    """Adds what the networks say of the windows in ``group``: probabilities by each rule, then confidences."""
    found = [fuse(views.probabilities, rule) for rule in maps.classes]
    if views.confidences:
        found += [confidence[:, None] for confidence in views.confidences]
        found.append(competing_confidence(views.probabilities)[:, None])
    if len(maps.confidences) > SLOTS + 1:
        found += [measure[:, None] for measure in uncertainties(fuse(views.probabilities, "mean"))]
    for window, *parts in zip(group, *found, strict=True):
        blender.add(window, [values.reshape(len(values), *window.shape) for values in parts])
