"""Streaming: the predictor says what whole arrays say, on any grid, and holds a few planes of a volume only."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from grids import random_geometry, random_plan
from support import shared_data
from whole_volume import WholeVolume

from alhvr.bundle.model import InferenceSettings
from alhvr.core.errors import OutOfMemory
from alhvr.core.progress import SilentReporter
from alhvr.data import preprocess
from alhvr.data.geometry import Geometry
from alhvr.data.plan import ChannelPlan, Normalization, Plan
from alhvr.data.preprocess import axis_transform
from alhvr.data.reading import read_scan
from alhvr.data.scan import Scan
from alhvr.formats.labels import LabelSet
from alhvr.formats.region_tables import quantize, sharpen
from alhvr.inference import memory, postprocess
from alhvr.inference import predictor as predictor_module
from alhvr.inference.predictor import Predictor
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.group import NetworkGroup
from alhvr.networks.perturbation import Perturbation

LABELS = LabelSet.from_names({1: "liver", 2: "spleen", 700: "cyst", 4: "kidney"})
RULES = ("mean", "competition", "a", "b")


@pytest.fixture(scope="module")
def networks() -> dict[int, TorchBackend]:
    torch.manual_seed(1)
    return {d: TorchBackend(NetworkGroup("unet", d, LABELS.n_classes), "cpu", "fp32") for d in (2, 3)}


def _scan(seed: int, low: int = 8, high: int = 40) -> tuple[Scan, Plan]:
    """Noise on an oblique, sheared, flipped and anisotropic grid, and a plan with another grid."""
    rng = np.random.default_rng(seed)
    geometry, plan = random_geometry(rng, low, high), random_plan(rng)
    array = np.round(rng.normal(size=geometry.shape_kji) * 100).astype(np.int16)
    plan = replace(plan, normalization=Normalization(("zscore", "percentile", "ct")[seed % 3], -100, 100, 0, 100))
    return Scan("noise", array, geometry, "MR", Path("noise.nrrd")), plan


def _both_ways(backend: Any, plan: Plan, scan: Scan) -> tuple[Predictor, WholeVolume]:
    settings = InferenceSettings()
    predictor = Predictor(backend, plan, LABELS, settings)
    window = predictor._window(axis_transform(scan.geometry, plan).shape)
    batch = max(1, predictor_module.BATCH_PIXELS // prod(window))
    return predictor, WholeVolume(backend, plan, settings, window, batch)


@pytest.mark.parametrize("seed", range(8))
def test_classes_and_confidences_are_those_of_whole_arrays(networks, seed, monkeypatch):
    monkeypatch.setattr(preprocess, "KEPT_BYTES", (0, preprocess.KEPT_BYTES)[seed % 2])
    scan, plan = _scan(seed, 8, 26)
    predictor, whole = _both_ways(networks[plan.dimensions], plan, scan)
    found, expected = predictor.segment(scan, regions=True), whole.segment(scan, RULES, regions=True)
    differ = np.count_nonzero(found.segmentation.array != LABELS.to_values(expected.classes["mean"]))
    assert differ <= 1e-4 * scan.array.size
    confidences = (found.regions.confidence_a, found.regions.confidence_b)
    for seen, wanted in zip(confidences, expected.confidences[:2], strict=True):
        assert np.abs(seen.astype(int) - quantize(wanted)).max() <= 1
    certainty = 255 * sharpen(expected.confidences[2].astype(float), InferenceSettings().temperature)
    assert np.abs(found.regions.teacher - certainty).max() <= 0.6
    for rule, classes in predictor.segment_all(scan).items():
        assert np.count_nonzero(classes != expected.classes[rule]) <= 1e-4 * scan.array.size


def test_windows_that_overlap_in_all_three_axes_are_blended_as_whole_arrays_are(networks, monkeypatch):
    monkeypatch.setattr(predictor_module, "BATCH_PIXELS", 5 * 16**3)
    scan, plan = _scan(4, 38, 46)
    plan = replace(plan, dimensions=3, patch_size=(16, 16, 16), in_plane_matrix=None,
                   target_spacing_mm=tuple(1.3 * s for s in scan.geometry.spacing_mm))
    predictor, whole = _both_ways(networks[3], plan, scan)
    np.testing.assert_array_equal(predictor.segment_all(scan, rules=("mean",))["mean"],
                                  whole.segment(scan).classes["mean"])


@pytest.mark.parametrize("seed", range(4))
def test_scans_of_several_channels_are_segmented_as_whole_arrays_are(seed: int) -> None:
    scan, plan = _scan(seed, 8, 26)
    rules = (plan.normalization, Normalization("zscore"), Normalization("percentile"))
    plan = replace(plan, channels=tuple(ChannelPlan(str(n), "MR", rule) for n, rule in enumerate(rules)))
    noise = np.random.default_rng(seed + 50).normal(size=scan.array.shape).astype(np.float32)
    scan = replace(scan, more=(noise, scan.array[::-1].copy()))
    torch.manual_seed(seed)
    networks = NetworkGroup("unet", plan.dimensions, LABELS.n_classes, in_channels=3)
    predictor, whole = _both_ways(TorchBackend(networks, "cpu", "fp32"), plan, scan)
    found, expected = predictor.segment(scan, regions=True), whole.segment(scan, regions=True)
    assert np.mean(found.segmentation.array != LABELS.to_values(expected.classes["mean"])) <= 1e-4
    seen = found.regions.confidence_a.astype(int)
    assert np.abs(seen - quantize(expected.confidences[0])).max() <= 1
    other = predictor.segment(replace(scan, more=scan.more[::-1]), regions=True).regions.confidence_a
    assert np.abs(seen - other).max() > 10


@pytest.mark.parametrize("source", ["acdc/val/images", "brain-dicom/Study1"])
def test_a_real_scan_is_segmented_as_whole_arrays_are(networks, source):
    scan = read_scan(sorted(shared_data(*source.split("/")).iterdir())[0])
    part = (slice(0, 6), slice(0, 90), slice(0, 81))
    scan = replace(scan, array=scan.array[part].copy(),
                   geometry=replace(scan.geometry, size_ijk=scan.array[part].shape[::-1]))
    plan = replace(_scan(0)[1], dimensions=2, patch_size=(64, 64), in_plane_matrix=(80, 96), target_spacing_mm=None,
                   normalization=Normalization("zscore"))
    predictor, whole = _both_ways(networks[2], plan, scan)
    np.testing.assert_array_equal(predictor.segment_all(scan)["competition"],
                                  whole.segment(scan, ("competition",)).classes["competition"])


class PlainBackend:
    """Says class 1 where it is bright; holds nothing and asks for no more than a few arrays of the batch's size."""

    name = "plain"
    networks = ("a", "b")

    def __init__(self, n_classes: int = LABELS.n_classes, largest_batch: int = 10**6) -> None:
        self._n_classes, self._largest = n_classes, largest_batch
        self.batches: list[int] = []

    def encode(self, network: str, batch: np.ndarray) -> list[Any]:
        self.batches.append(len(batch))
        if len(batch) > self._largest:
            raise OutOfMemory("The memory of cuda is used up.")
        return [batch]

    def decode(self, network: str, levels: list[Any]) -> np.ndarray:
        image = levels[0]
        logits = np.zeros((len(image), self._n_classes, *image.shape[2:]), np.float32)
        logits[:, 1] = 9 * image[:, 0]
        return logits

    def level_shapes(self, levels: list[Any]) -> list[tuple[int, ...]]:
        return [level.shape[1:] for level in levels]

    def perturb(self, levels: list[Any], perturbation: Perturbation) -> list[Any]:
        return levels


def _large_scan(shape_kji: tuple[int, int, int]) -> Scan:
    array = np.zeros(shape_kji, np.int16)
    array[2:-2, 20:-20, 10:-30] = np.random.default_rng(0).integers(40, 60, (1, 1, shape_kji[2] - 40))
    geometry = Geometry(shape_kji[::-1], (0.8, 0.8, 1.5), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    return Scan("large", array, geometry, "CT", Path("large.nrrd"))


def _plan(dimensions: int) -> Plan:
    return Plan(dimensions, "unet", (1.0, 1.0, 1.0), None, (32,) * dimensions, 2, 1, "CT",
                Normalization("ct", 0, 100, 0, 50))


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_memory_is_as_forecast_and_no_class_is_held_for_the_whole_volume(dimensions, regions, monkeypatch):
    for module in (preprocess, memory):
        monkeypatch.setattr(module, "KEPT_BYTES", 0)
    for module in (postprocess, memory):
        monkeypatch.setattr(module, "SLAB_VOXELS", 2**18)
    monkeypatch.setattr(predictor_module, "BATCH_PIXELS", 2**16)
    scan = _large_scan((160, 110, 120))
    predictor = Predictor(PlainBackend(), _plan(dimensions), LABELS, InferenceSettings(largest_component=True))
    needed = predictor.forecast(scan.geometry, regions=regions, voxel_bytes=scan.array.itemsize)
    tracemalloc.start()
    try:
        found = predictor.segment(scan, regions=regions)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    expected, every_class = needed.results + needed.stream, 4 * LABELS.n_classes * scan.array.size
    assert 0.7 * expected < peak < expected < needed.results + 0.8 * every_class
    assert np.count_nonzero(found.segmentation.array == 1) > 10**5


class Listener(SilentReporter):
    """Remembers warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def _small_slices(n: int) -> Scan:
    scan = _large_scan((n, 100, 100))
    scan.array[:] = np.random.default_rng(1).integers(0, 100, scan.array.shape)
    return scan


def test_where_memory_is_short_batches_are_halved_until_they_fit_and_it_is_told_once():
    scan, listener, backend = _small_slices(40), Listener(), PlainBackend(largest_batch=5)
    predictor = Predictor(backend, _plan(2), LABELS, InferenceSettings())
    found = predictor.segment(scan, reporter=listener).segmentation
    assert backend.batches[:4] == [40, 20, 10, 5]
    assert max(backend.batches[3:]) == 5
    assert len(listener.warnings) == 1 and "memory" in listener.warnings[0]
    plain = Predictor(PlainBackend(), _plan(2), LABELS, InferenceSettings()).segment(scan).segmentation
    np.testing.assert_array_equal(found.array, plain.array)


def test_the_next_scan_begins_with_batches_that_fit_and_is_told_nothing():
    listener, backend = Listener(), PlainBackend(largest_batch=5)
    predictor = Predictor(backend, _plan(2), LABELS, InferenceSettings())
    for _ in range(2):
        predictor.segment(_small_slices(20), reporter=listener)
    assert backend.batches.count(20) == 1
    assert len(listener.warnings) == 1


def test_where_a_single_window_is_too_much_the_error_goes_on():
    backend = PlainBackend(largest_batch=0)
    with pytest.raises(OutOfMemory):
        Predictor(backend, _plan(2), LABELS, InferenceSettings()).segment(_small_slices(8))
    assert backend.batches == [8, 4, 2, 1]


def test_memory_that_ends_beside_the_networks_is_an_error_that_people_can_read(monkeypatch):
    def no_memory(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(predictor_module, "fuse", no_memory)
    with pytest.raises(OutOfMemory, match="used up"):
        Predictor(PlainBackend(), _plan(2), LABELS, InferenceSettings()).segment(_small_slices(8))
