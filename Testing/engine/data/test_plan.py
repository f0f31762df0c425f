"""Plan: sound decisions from headers alone, each of them the user's to change, told in plain words."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import SimpleITK as sitk
from grids import plan_of
from support import shared_data

from alhvr.config import PlanConfig
from alhvr.core.errors import UserError
from alhvr.data.fingerprint import Fingerprint
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics
from alhvr.data.plan import Plan, make_plan
from alhvr.data.preprocess import axis_transform

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def _seen(size_ijk: tuple[int, int, int], spacing_mm: tuple[float, float, float], modality: str = "MR",
          foreground: Statistics | None = None) -> Fingerprint:
    geometry = Geometry(size_ijk, spacing_mm, (0.0, 0.0, 0.0), IDENTITY)
    return Fingerprint(geometry, modality, Statistics(-1000, 0, 900, -200, 400), foreground)


CARDIAC = [_seen((216, 256, n), (1.0, 1.0, 1.0)) for n in (8, 9, 10)] + [_seen((154, 224, 9), (1.0, 1.0, 1.0))]
HIPPOCAMPUS = [_seen((35, 50 + n, 36), (1.0, 1.0, 1.0)) for n in (-1, 0, 1)]
BRAIN = [_seen((512, 512, 22), (0.43, 0.43, 6.5))] * 3


def _plan(scans: list[Fingerprint], memory_gb: float = 8.0, **settings: object) -> Plan:
    return make_plan(scans[:1], scans[1:], PlanConfig(**settings), memory_gb=memory_gb)


def test_thick_slices_without_spacing_become_a_2d_plan_with_a_matrix() -> None:
    plan = _plan(CARDIAC)
    assert (plan.dimensions, plan.network, plan.target_spacing_mm) == (2, "unet", None)
    assert plan.in_plane_matrix == plan.patch_size == (256, 256) and plan.labeled_batch_size * 2 == plan.batch_size


def test_the_matrix_follows_the_chosen_patch() -> None:
    plan = _plan(CARDIAC, patch_size=(128, 128))
    assert plan.in_plane_matrix == plan.patch_size == (128, 128)


def test_slices_of_one_size_without_spacing_keep_their_grid() -> None:
    plan = _plan([_seen((128, 128, 10), (1.0, 1.0, 1.0))] * 3)
    assert plan.in_plane_matrix is None and plan.target_spacing_mm is None and plan.patch_size == (128, 128)


def test_the_released_grid_fills_the_patch_with_every_slice_whatever_its_shape() -> None:
    plan = _plan(CARDIAC, stretch=True, normalization="released", patch_size=(128, 128))
    assert plan.stretch and plan.normalization.kind == "minmax"
    shapes = {axis_transform(scan.geometry, plan).shape[1:] for scan in CARDIAC}
    assert shapes == {(128, 128)}
    assert "whatever its shape" in " ".join(plan.describe())


def test_the_released_grid_of_volumes_is_our_own_and_their_intensities_are_not() -> None:
    plan = _plan(HIPPOCAMPUS, stretch=True, normalization="released")
    assert not plan.stretch and plan.normalization.kind == "nonzero"
    assert plan.target_spacing_mm == _plan(HIPPOCAMPUS).target_spacing_mm


def test_small_volumes_become_a_3d_plan_with_patches_of_their_size() -> None:
    plan = _plan(HIPPOCAMPUS)
    assert (plan.dimensions, plan.patch_size, plan.batch_size) == (3, (32, 48, 32), 4)
    assert plan.target_spacing_mm == (1.0, 1.0, 1.0) and plan.normalization.kind == "zscore"


def test_thick_slices_become_a_2d_plan_with_the_median_pixel_size() -> None:
    plan = _plan(BRAIN)
    assert plan.dimensions == 2 and plan.target_spacing_mm == (6.5, 0.43, 0.43) and plan.patch_size == (256, 256)


def test_a_coarse_axis_of_a_3d_plan_takes_its_10th_percentile() -> None:
    scans = [_seen((64, 64, 20), (1.0, 1.0, s)) for s in (4.0, 5.0, 5.0, 5.0, 6.0)]
    assert _plan(scans, dimensions=3).target_spacing_mm[0] == pytest.approx(4.4)


@pytest.mark.parametrize("memory_gb", [0.7, 2.0, 4.0, 16.0, 64.0])
def test_patches_fit_the_memory_and_the_networks(memory_gb: float) -> None:
    plan = _plan([_seen((300, 280, 200), (0.8, 0.8, 1.0))] * 2, memory_gb)
    assert all(n % 16 == 0 and n >= 16 for n in plan.patch_size)
    assert math.prod(plan.patch_size) * plan.batch_size * 5000 <= max(memory_gb - 0.6, 0.05) * 1e9
    assert math.prod(plan.patch_size) <= 128**3


def test_more_memory_means_larger_batches_of_slices() -> None:
    assert [_plan(BRAIN, gb).batch_size for gb in (2.0, 4.0, 16.0)] == [4, 8, 16]


def test_narrow_networks_leave_room_for_larger_batches_and_are_told() -> None:
    scans = [_seen((300, 280, 200), (0.8, 0.8, 1.0))] * 2
    wide, narrow = _plan(scans, 4.0), _plan(scans, 4.0, width=4)
    assert (wide.width, narrow.width) == (16, 4)
    assert math.prod(narrow.patch_size) * narrow.batch_size > 1.5 * math.prod(wide.patch_size) * wide.batch_size
    assert "U-Net of 4 instead of 16 channels" in narrow.describe()[0] and "channels" not in wide.describe()[0]


def test_ct_is_clipped_to_the_range_inside_the_labels() -> None:
    liver = Statistics(-50, 100, 220, 101, 30)
    rule = _plan([_seen((200, 200, 90), (1.0, 1.0, 1.5), "CT", liver), _seen((9, 9, 9), (1.0, 1.0, 1.5), "CT")])
    assert (rule.modality, rule.normalization.kind) == ("CT", "ct")
    assert (rule.normalization.lower, rule.normalization.upper) == (-50, 220)
    assert rule.normalization.mean == pytest.approx(101) and rule.normalization.std == pytest.approx(30)


def test_ct_without_labels_is_clipped_to_the_range_of_whole_scans() -> None:
    assert _plan([_seen((200, 200, 90), (1.0, 1.0, 1.5), "CT")] * 2).normalization.lower == -1000


def test_ct_mixed_with_mr_is_normalised_scan_by_scan() -> None:
    plan = _plan([_seen((200, 200, 90), (1.0, 1.0, 1.5), m) for m in ("CT", "MR")])
    assert plan.modality == "other" and plan.normalization.kind == "zscore"


@pytest.mark.parametrize(("name", "value"), [
    ("dimensions", 2), ("network", "unet"), ("target_spacing_mm", (2.0, 1.0, 1.0)), ("patch_size", (16, 32, 48)),
    ("batch_size", 6), ("modality", "CT"), ("width", 8),
])
def test_every_decision_is_the_users_to_change(name: str, value: object) -> None:
    assert getattr(_plan(HIPPOCAMPUS, **{name: value}), name) == value


def test_volumes_get_the_network_that_the_settings_name_for_3_d() -> None:
    assert [_plan(HIPPOCAMPUS).network, _plan(HIPPOCAMPUS, network_3d="vnet").network] == ["unet", "vnet"]
    assert _plan(CARDIAC, network_3d="vnet").network == "unet"


def test_the_normalization_is_the_users_to_change() -> None:
    assert _plan(HIPPOCAMPUS, normalization="percentile").normalization.kind == "percentile"


@pytest.mark.parametrize(("scans", "settings", "seen"), [
    (HIPPOCAMPUS, {"patch_size": (128, 128)}, "patch-size is"),
    (CARDIAC, {"patch_size": (16, 16, 16)}, "patch-size is"),
    (CARDIAC, {"network": "vnet"}, "vnet"),
    ([_seen((64, 64, 1), (1.0, 1.0, 1.0))], {"dimensions": 3}, "single slice"),
    (HIPPOCAMPUS, {"target_spacing_mm": (0.001, 0.001, 0.001)}, "voxels"),
    (HIPPOCAMPUS, {"target_spacing_mm": (40.0, 40.0, 40.0)}, "voxels"),
    ([], {}, "no scans"),
])
def test_impossible_combinations_are_refused(scans: list[Fingerprint], settings: dict, seen: str) -> None:
    with pytest.raises(UserError, match=seen) as caught:
        _plan(scans, **settings)
    assert caught.value.hint


@pytest.mark.parametrize("scans", [CARDIAC, HIPPOCAMPUS, BRAIN])
def test_a_plan_survives_json(scans: list[Fingerprint]) -> None:
    plan = _plan(scans)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_a_plan_with_a_missing_entry_is_refused() -> None:
    values = {name: value for name, value in plan_of().to_dict().items() if name != "patch_size"}
    with pytest.raises(UserError, match="patch_size"):
        Plan.from_dict(values)


@pytest.mark.parametrize("change", [
    {"dimensions": 2}, {"network": "vnet", "dimensions": 2, "patch_size": (16, 16)}, {"patch_size": (16, 16, 20)},
    {"labeled_batch_size": 9}, {"in_plane_matrix": (64, 64)}, {"target_spacing_mm": (1.0, 0.0, 1.0)},
])
def test_values_that_do_not_fit_each_other_are_refused(change: dict) -> None:
    with pytest.raises(UserError):
        dataclasses.replace(plan_of(3), **change)


def test_a_clinician_reads_dimension_spacing_patch_batch_and_intensities_with_reasons() -> None:
    text = _plan(BRAIN, memory_gb=4).describe()
    for sentence, words in zip(text, ("slice by slice", "0.43 x 0.43 mm", "110 x 110 mm", "4 from labelled",
                                      "scan by scan"), strict=True):
        assert words in sentence and sentence.endswith(".")
    assert "15.1 times as far apart" in text[0]


def _headers(*parts: str) -> list[Fingerprint]:
    found = []
    for path in sorted(shared_data(*parts).glob("*.nii.gz")):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        found.append(Fingerprint(Geometry.from_sitk(reader), "MR"))
    return found


def test_real_cardiac_scans_get_slices_in_a_square_matrix() -> None:
    plan = _plan(_headers("acdc", "train", "images"))
    assert plan.dimensions == 2 and plan.in_plane_matrix == (256, 256)


def test_real_hippocampus_scans_get_volumes_of_their_median_size() -> None:
    plan = _plan(_headers("hippocampus", "images"))
    assert plan.dimensions == 3 and plan.patch_size == (32, 48, 32)


def test_real_atria_get_volumes() -> None:
    plan = _plan(_headers("left-atrium", "images"), memory_gb=16)
    assert plan.dimensions == 3 and min(plan.patch_size) >= 80


def test_a_real_oblique_brain_series_gets_slices_at_its_own_pixel_size() -> None:
    folder = shared_data("brain-dicom", "Study1", "12-T1post-05670")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    plan = _plan([Fingerprint(Geometry.from_sitk(reader.Execute()), "MR")] * 2)
    assert plan.dimensions == 2
    np.testing.assert_allclose(plan.target_spacing_mm, (6.5, 0.4297, 0.4297), atol=1e-3)
