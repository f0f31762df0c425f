"""Predictor: from a scan to its segmentation and regions on the scan's own grid; training and users run this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from alhvr.bundle import InferenceSettings
from alhvr.data.labels import LabelSet
from alhvr.data.plan import Plan
from alhvr.data.preprocess import Prepared, prepare, restore
from alhvr.data.scan import Scan, Segmentation
from alhvr.errors import Cancelled
from alhvr.inference.backends import NETWORKS, Backend
from alhvr.inference.fusion import RULES, fuse
from alhvr.inference.passes import DualPass
from alhvr.inference.postprocess import keep_largest_component, winning_class
from alhvr.inference.regions import RegionMaps, make_region_maps
from alhvr.inference.windows import MULTIPLE, Padded, Window, batches, blend, pad, tile
from alhvr.progress import Countdown, Reporter, SilentReporter

WHOLE_SLICE_PIXELS = 1024 * 1024
"""Slices up to this many pixels go through the networks whole; larger ones in windows of 1024 at most per side."""
LARGEST_SIDE = 1024
BATCH_PIXELS = 8 * 256 * 256
"""Pixels of the windows that go through the networks at once; a larger window goes alone."""


@dataclass(frozen=True)
class Prediction:
    """What the model says about one scan, on the scan's own grid."""

    segmentation: Segmentation
    """Label values."""
    regions: RegionMaps | None
    """Confidence maps and high-value regions; None when they were not asked for."""


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
    """Sums over the windows of one scan, on the padded grid."""

    probabilities: dict[str, np.ndarray]
    """Fusion rule to float32 [C, *grid]."""
    confidences: dict[str, np.ndarray]
    """Network to float32 [*grid]; empty without regions."""


class Predictor:
    """Segments scans with one model: prepare, cut into windows, run both networks, fuse, blend, restore."""

    def __init__(self, backend: Backend, plan: Plan, labels: LabelSet, settings: InferenceSettings) -> None:
        self._backend, self._plan, self._labels, self._settings = backend, plan, labels, settings

    def segment(self, scan: Scan, *, regions: bool = False, reporter: Reporter | None = None,
                should_stop: Callable[[], bool] = lambda: False) -> Prediction:
        """The segmentation of ``scan`` as the model's settings want it, and with ``regions`` its region maps.

        Progress goes to ``reporter``; ``should_stop`` is asked at every batch, and Cancelled raised when it says so.
        """
        watch = _Watch(f"segmenting {scan.name}", reporter or SilentReporter(), should_stop)
        prepared = prepare(scan, self._plan)
        maps = self._run(prepared, (self._settings.fusion,), regions, watch)
        classes = winning_class(maps.probabilities.pop(self._settings.fusion), lambda values: restore(values, prepared))
        if self._settings.largest_component:
            classes = keep_largest_component(classes, range(1, self._labels.n_classes))
        watch.check()
        found = None
        if regions:
            con_a, con_b = (restore(maps.confidences.pop(network), prepared) for network in NETWORKS)
            found = make_region_maps(con_a, con_b, self._settings.beta, scan.geometry)
        values = self._labels.to_values(classes)
        return Prediction(Segmentation(scan.name, values, scan.geometry, self._labels), found)

    def segment_all(self, scan: Scan, *, rules: Sequence[str] = RULES, reporter: Reporter | None = None,
                    should_stop: Callable[[], bool] = lambda: False) -> dict[str, np.ndarray]:
        """Class indices uint8 [K, J, I] on the scan's own grid by each fusion rule, from one pass of the networks.

        For comparing rules: the largest component is not applied. Raises Cancelled as ``segment`` does.
        """
        watch = _Watch(f"segmenting {scan.name}", reporter or SilentReporter(), should_stop)
        prepared = prepare(scan, self._plan)
        maps = self._run(prepared, tuple(rules), False, watch)
        return {rule: winning_class(found, lambda values: restore(values, prepared))
                for rule, found in maps.probabilities.items()}

    def _run(self, prepared: Prepared, rules: tuple[str, ...], regions: bool, watch: _Watch) -> _Maps:
        """Probabilities [C, *prepared grid] per rule and confidences [*prepared grid] per network."""
        window = self._window(prepared.array.shape)
        padded = pad(prepared.array, window)
        windows = tile(padded.array.shape, window, self._settings.window_overlap)
        grid = padded.array.shape
        maps = _Maps({rule: np.zeros((self._labels.n_classes, *grid), np.float32) for rule in rules},
                     {network: np.zeros(grid, np.float32) for network in NETWORKS if regions})
        self._add_windows(maps, padded.array, windows, watch)
        return _cropped(maps, padded)

    def _add_windows(self, maps: _Maps, image: np.ndarray, windows: list[Window], watch: _Watch) -> None:
        """Runs the networks on every window of ``image`` [K, J, I] and blends what they say into ``maps``."""
        run = DualPass(self._backend, self._settings, regions=bool(maps.confidences))
        countdown, done = Countdown(len(windows)), 0
        for group in batches(windows, self._batch_size(windows[0])):
            watch.check()
            views = run(self._stacked(image, group))
            for rule, total in maps.probabilities.items():
                fused = fuse(views.prob_a, views.prob_b, rule)
                for window, values in zip(group, fused, strict=True):
                    blend(total, values.reshape(len(values), *window.shape), window)
            for total, values in zip(maps.confidences.values(), views.confidences, strict=True):
                for window, value in zip(group, values, strict=True):
                    blend(total, value.reshape(window.shape), window)
            done += len(group)
            watch.reporter.progress(watch.stage, done, len(windows), countdown.seconds_left(done))

    def _window(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Window [K, J, I] for a prepared scan of ``shape``: the patch in 3-D, one whole slice in 2-D if it may be."""
        patch = self._plan.patch_size
        if self._plan.dimensions == 3:
            return tuple(patch)
        whole = [max(side, -(-size // MULTIPLE) * MULTIPLE) for side, size in zip(patch, shape[1:], strict=True)]
        if prod(whole) > WHOLE_SLICE_PIXELS:
            whole = [min(size, max(side, LARGEST_SIDE)) for side, size in zip(patch, whole, strict=True)]
        return (1, *whole)

    def _stacked(self, image: np.ndarray, group: list[Window]) -> np.ndarray:
        """float32 [N, 1, *S]: the windows of ``group`` in ``image`` [K, J, I]; S is (J, I) for a 2-D plan."""
        stack = np.stack([image[window.place] for window in group])
        return stack if self._plan.dimensions == 2 else stack[:, None]

    def _batch_size(self, window: Window) -> int:
        return max(1, BATCH_PIXELS // prod(window.shape))


def _cropped(maps: _Maps, padded: Padded) -> _Maps:
    """``maps`` without the padding."""
    return _Maps({rule: total[(slice(None), *padded.inside)] for rule, total in maps.probabilities.items()},
                 {network: total[padded.inside] for network, total in maps.confidences.items()})
