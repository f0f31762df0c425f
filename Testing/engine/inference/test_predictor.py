"""From a scan to its segmentation on the scan's own grid, through every size, orientation and plan."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import shared_data

from alhvr.bundle.model import InferenceSettings
from alhvr.core.errors import Cancelled
from alhvr.core.progress import SilentReporter
from alhvr.data.geometry import Geometry
from alhvr.data.plan import Normalization, Plan
from alhvr.data.reading import read_label, read_scan
from alhvr.data.scan import Scan
from alhvr.export.volumes import write_segmentation
from alhvr.formats.labels import LabelSet
from alhvr.inference import postprocess
from alhvr.inference import predictor as predictor_module
from alhvr.inference.predictor import Predictor
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.group import NetworkGroup
from alhvr.networks.perturbation import Perturbation, apply_perturbation

AS_IS = Normalization("ct", lower=0.0, upper=1.0, mean=0.5, std=0.5)
LABELS = LabelSet.from_names({3: "liver"})


class BrightBackend:
    """Both networks call a pixel class 1 where it is bright; network b is half as sure. Levels are the image."""

    name = "bright"
    networks = ("a", "b")

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def encode(self, network: str, batch: np.ndarray) -> list[Any]:
        self.batches.append(batch.shape)
        return [batch * (20.0 if network == "a" else 10.0)]

    def decode(self, network: str, levels: list[Any]) -> np.ndarray:
        return np.concatenate([-levels[0], levels[0]], axis=1)

    def level_shapes(self, levels: list[Any]) -> list[tuple[int, ...]]:
        return [level.shape[1:] for level in levels]

    def perturb(self, levels: list[Any], perturbation: Perturbation) -> list[Any]:
        return apply_perturbation(levels, perturbation)


class Listener(SilentReporter):
    """Remembers what was reported."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        self.seen.append((stage, done, total))


def _plan(dimensions: int, **changes: Any) -> Plan:
    plan = Plan(dimensions, "unet", None, None, (16, 16, 16)[:dimensions], 2, 1, "CT", AS_IS)
    return replace(plan, **changes)


def _geometry(shape_kji: tuple[int, ...], direction: np.ndarray | None = None, spacing=(1.0, 1.0, 1.0)) -> Geometry:
    axes = np.eye(3) if direction is None else direction
    return Geometry(shape_kji[::-1], tuple(spacing), (10.0, -20.0, 30.0), tuple(float(x) for x in axes.ravel()))


def _noise_scan(shape_kji: tuple[int, ...], direction: np.ndarray | None = None, spacing=(1.0, 1.0, 1.0)) -> Scan:
    """Voxels that are clearly dark or clearly bright, at random."""
    array = np.random.default_rng(0).integers(0, 2, shape_kji).astype(np.float32)
    return Scan("noise", array, _geometry(shape_kji, direction, spacing), "CT", Path("noise.nrrd"))


def _predictor(dimensions: int, backend: Any = None, **settings: Any) -> Predictor:
    return Predictor(backend or BrightBackend(), _plan(dimensions), LABELS, InferenceSettings(**settings))


def _axis_directions() -> list[np.ndarray]:
    """All 48 ways to lay the index axes along L, P, S."""
    orders, signs = permutations(range(3)), list(product((1, -1), repeat=3))
    return [np.eye(3)[:, list(order)] * sign for order in orders for sign in signs]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_voxel_comes_back_to_its_place_in_all_48_orientations(dimensions):
    for direction in _axis_directions():
        scan = _noise_scan((9, 20, 37), direction)
        segmentation = _predictor(dimensions).segment(scan).segmentation
        np.testing.assert_array_equal(segmentation.array, 3 * scan.array)
        assert segmentation.geometry == scan.geometry


def _sheared() -> np.ndarray:
    axes = np.array([[0.9, -0.4, 0.2], [0.35, 0.9, -0.3], [-0.1, 0.3, 0.95]])
    return axes / np.linalg.norm(axes, axis=0)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_known_point_keeps_its_place_on_a_sheared_grid_through_resampling(dimensions):
    shape, spacing, centre = (24, 40, 52), (0.8, 1.1, 2.5), np.array([30.0, 15.0, 10.0])
    scan = _noise_scan(shape, _sheared(), spacing)
    place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)[:, ::-1]
    middle = scan.geometry.index_to_lps(centre[None])[0]
    distance_mm = np.linalg.norm(scan.geometry.index_to_lps(place) - middle, axis=1).reshape(shape)
    scan = replace(scan, array=(distance_mm < 9).astype(np.float32))
    plan = _plan(dimensions, target_spacing_mm=(2.0, 1.3, 1.3))
    found = Predictor(BrightBackend(), plan, LABELS, InferenceSettings()).segment(scan).segmentation
    inside = scan.geometry.index_to_lps(np.argwhere(found.array == 3)[:, ::-1])
    np.testing.assert_allclose(inside.mean(axis=0), middle, atol=0.3)
    assert (found.array == 3).sum() == pytest.approx(scan.array.sum(), rel=0.1)


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz"])
def test_an_oblique_dicom_series_keeps_every_voxel_from_reading_to_the_written_file(tmp_path, ending):
    series = sorted(folder for folder in shared_data("brain-dicom", "Study1").iterdir() if folder.is_dir())[0]
    scan = read_scan(series)
    plan = _plan(2, normalization=Normalization("zscore"))
    segmentation = Predictor(BrightBackend(), plan, LABELS, InferenceSettings()).segment(scan).segmentation
    found = read_label(write_segmentation(tmp_path / f"brain{ending}", segmentation))
    assert found.geometry.difference(scan.geometry, 1e-3) == ""
    assert scan.array[found.array == 3].min() > scan.array[found.array == 0].max()


@pytest.mark.parametrize(("dimensions", "shape"), [(3, (5, 9, 7)), (2, (1, 9, 7)), (3, (1, 20, 20))])
def test_a_scan_smaller_than_the_patch_is_padded_and_cropped_back(dimensions, shape):
    scan = _noise_scan(shape)
    np.testing.assert_array_equal(_predictor(dimensions).segment(scan).segmentation.array, 3 * scan.array)


def test_slices_go_through_whole_padded_to_a_multiple_of_16_and_in_batches():
    backend = BrightBackend()
    _predictor(2, backend).segment(_noise_scan((3, 20, 37)))
    assert backend.batches == [(3, 1, 32, 48)] * 2


def test_volumes_go_through_in_windows_of_the_patch():
    backend = BrightBackend()
    _predictor(3, backend).segment(_noise_scan((16, 24, 32)))
    assert backend.batches == [(6, 1, 16, 16, 16)] * 2


def test_very_large_slices_go_through_in_windows(monkeypatch):
    monkeypatch.setattr(predictor_module, "WHOLE_SLICE_PIXELS", 1000)
    monkeypatch.setattr(predictor_module, "LARGEST_SIDE", 32)
    backend, scan = BrightBackend(), _noise_scan((3, 40, 70))
    found = _predictor(2, backend).segment(scan).segmentation
    np.testing.assert_array_equal(found.array, 3 * scan.array)
    assert {shape[2:] for shape in backend.batches} == {(32, 32)}


def test_regions_lie_on_the_grid_of_the_scan_and_their_share_follows_gamma():
    scan = _noise_scan((9, 20, 37), _axis_directions()[17])
    maps = _predictor(3).segment(scan, regions=True).regions
    assert maps.region.shape == maps.confidence_a.shape == maps.confidence_b.shape == scan.array.shape
    assert maps.geometry == scan.geometry
    assert set(np.unique(maps.region)) <= {1, 2, 3}
    assert maps.gamma == maps.gamma_table[maps.beta]


def test_regions_are_not_computed_unless_asked_for():
    assert _predictor(3).segment(_noise_scan((16, 16, 16))).regions is None


@pytest.fixture(scope="module")
def trained() -> TorchBackend:
    torch.manual_seed(0)
    return TorchBackend(NetworkGroup("unet", 2, 2), "cpu", "fp32")


def test_the_same_scan_gives_the_same_regions_whatever_the_batch_size(trained, monkeypatch):
    scan = _noise_scan((5, 20, 37))
    together = _predictor(2, trained).segment(scan, regions=True).regions
    monkeypatch.setattr(predictor_module, "BATCH_PIXELS", 1)
    one_by_one = _predictor(2, trained).segment(scan, regions=True).regions
    assert np.abs(together.confidence_a.astype(int) - one_by_one.confidence_a).max() <= 1
    assert together.gamma == pytest.approx(one_by_one.gamma, abs=1e-5)


def test_asking_for_regions_does_not_change_the_segmentation(trained):
    scan = _noise_scan((5, 20, 37))
    plain, with_regions = (_predictor(2, trained).segment(scan, regions=wanted) for wanted in (False, True))
    np.testing.assert_array_equal(plain.segmentation.array, with_regions.segmentation.array)


def test_all_rules_come_from_one_pass_and_mean_is_what_users_get(trained):
    scan = _noise_scan((5, 20, 37))
    every = _predictor(2, trained).segment_all(scan)
    assert set(every) == {"mean", "competition", "a", "b"}
    for rule in ("mean", "competition"):
        users = _predictor(2, trained, fusion=rule).segment(scan).segmentation.array
        np.testing.assert_array_equal(3 * every[rule], users)
    assert all(found.shape == scan.array.shape for found in every.values())
    assert (every["a"] != every["b"]).any()


def test_the_largest_component_is_kept_on_the_scans_own_grid():
    scan = _noise_scan((16, 16, 16))
    scan.array[:] = 0
    scan.array[2:6, 2:6, 2:6] = 1
    scan.array[10:12, 10:12, 10:12] = 1
    found = _predictor(3, largest_component=True).segment(scan).segmentation
    assert (found.array == 3).sum() == 64


def test_progress_is_reported_per_batch_up_to_all_windows(monkeypatch):
    monkeypatch.setattr(predictor_module, "BATCH_PIXELS", 2 * 16 * 16)
    listener = Listener()
    _predictor(2).segment(_noise_scan((5, 16, 16)), reporter=listener)
    assert listener.seen == [("segmenting noise", done, 5) for done in (2, 4, 5)]


def test_cancelling_stops_before_the_next_batch(monkeypatch):
    monkeypatch.setattr(predictor_module, "BATCH_PIXELS", 1)
    backend = BrightBackend()
    with pytest.raises(Cancelled):
        _predictor(2, backend).segment(_noise_scan((5, 16, 16)), should_stop=lambda: len(backend.batches) >= 4)
    assert len(backend.batches) == 4


def test_cancelling_is_heard_while_the_scan_is_looked_through_for_its_padding():
    backend, asked = BrightBackend(), []
    predictor = Predictor(backend, _plan(2, in_plane_matrix=(47, 47)), LABELS, InferenceSettings())
    with pytest.raises(Cancelled):
        predictor.segment(_noise_scan((9, 20, 37)), should_stop=lambda: asked.append(1) or len(asked) == 9)
    assert backend.batches == []


def test_cancelling_is_heard_while_small_components_are_cleared(monkeypatch):
    monkeypatch.setattr(postprocess, "SLAB_VOXELS", 1)
    asked = []
    with pytest.raises(Cancelled):
        _predictor(3, largest_component=True).segment(
            _noise_scan((16, 16, 16)), should_stop=lambda: asked.append(1) or len(asked) == 10)


def test_a_predictor_is_imported_without_torch_and_monai():
    code = ("import sys, alhvr.inference.predictor, alhvr.inference.backends, alhvr.export.volumes;"
            "sys.exit(', '.join({'torch', 'monai', 'scipy'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
