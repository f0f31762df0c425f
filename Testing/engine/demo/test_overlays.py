"""Pictures: what is drawn is upright whatever the storage order, and shows every class and region."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from alhvr.data.geometry import Geometry
from alhvr.data.scan import Scan
from alhvr.demo.overlays import (
    CLASS_COLOURS,
    REGION_COLOURS,
    Curve,
    Upright,
    curves_picture,
    regions_picture,
    segmentation_picture,
)
from alhvr.formats.labels import LabelSet

LABELS = LabelSet.from_names({1: "liver", 4: "spleen"})


def scan_of(array: np.ndarray, direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)) -> Scan:
    geometry = Geometry(array.shape[::-1], (2.0, 2.0, 4.0), (0.0, 0.0, 0.0), direction)
    return Scan("case", array.astype(np.float32), geometry, "CT", Path("case.nii.gz"))


def world() -> tuple[Scan, np.ndarray]:
    label = np.zeros((10, 24, 32), np.uint8)
    label[3:7, 6:14, 4:12] = 1
    label[3:7, 6:18, 20:28] = 4
    return scan_of(np.where(label > 0, 80, -50)), label


def pixels(png: bytes) -> np.ndarray:
    return imread(io.BytesIO(png))[..., :3]


def has_colour(picture: np.ndarray, colour: str, least: int = 30) -> bool:
    return bool((np.abs(picture - to_rgb(colour)).max(axis=-1) < 0.06).sum() >= least)


def test_cuts_show_the_same_anatomy_for_a_scan_stored_backwards() -> None:
    scan, label = world()
    stored = scan_of(scan.array[::-1, ::-1, ::-1], (-1, 0, 0, 0, -1, 0, 0, 0, -1))
    for plane in ("axial", "coronal", "sagittal"):
        straight = Upright.of(scan).plane(label, plane, (4, 8, 8))
        assert np.array_equal(straight, Upright.of(stored).plane(label[::-1, ::-1, ::-1], plane, (4, 8, 8)))


def test_head_is_on_top_and_the_patients_right_on_the_left() -> None:
    array = np.zeros((10, 24, 32))
    array[9, :, :4] = 50
    cut = Upright.of(scan_of(array)).plane(array, "coronal", (0, 12, 0))
    assert cut[0, 0] == 50
    assert cut.sum() == 50 * 4


def test_pixels_keep_their_true_shape() -> None:
    upright = Upright.of(world()[0])
    assert (upright.aspect("axial"), upright.aspect("coronal"), upright.aspect("sagittal")) == (1.0, 2.0, 2.0)


def test_cuts_go_through_the_busiest_part_of_a_mask_and_through_the_middle_of_an_empty_one() -> None:
    scan, label = world()
    s, _, at_l = Upright.of(scan).middle_of(label == 4)
    assert 3 <= s < 7
    assert 20 <= at_l < 28
    assert Upright.of(scan).middle_of(label == 9) == (5, 12, 16)


def test_air_around_the_body_is_cut_off() -> None:
    array = np.full((6, 60, 60), -1000.0)
    array[:, 20:40, 10:50] = 40
    assert Upright.of(scan_of(array)).plane(array, "axial", (3, 30, 30)).shape == (26, 46)


def test_every_class_is_drawn_in_its_own_colour_and_an_absent_one_only_in_the_legend() -> None:
    scan, label = world()
    picture = pixels(segmentation_picture(scan, {"found": label}, LABELS, label > 0))
    assert has_colour(picture, CLASS_COLOURS[0], 400)
    assert has_colour(picture, CLASS_COLOURS[1], 400)
    none = pixels(segmentation_picture(scan, {"found": 0 * label}, LABELS, label > 0))
    above_legend = none[: int(0.85 * len(none))]
    assert not has_colour(above_legend, CLASS_COLOURS[0], 1)


@pytest.mark.parametrize("value", [2, 3])
def test_regions_to_look_at_stand_out(value: int) -> None:
    scan, label = world()
    region = np.where(label == 4, value, 1).astype(np.uint8)
    confidence = np.where(label == 4, 0.6, 1.0)
    picture = pixels(regions_picture(scan, region, {"network a": confidence}, label == 4))
    veil = 0.8 * np.array(to_rgb(REGION_COLOURS[value]))
    near = np.abs(picture - veil - 0.2 * (80 + 150) / 400).max(axis=-1) < 0.05
    assert near.sum() > 400


def test_curves_are_drawn_for_a_run_without_archive_too() -> None:
    run = Curve("labels only", "#0072B2", {"labelled scans": ([1, 2, 3], [1.0, 0.6, 0.5])}, ([2, 3], [0.2, 0.4]))
    archive = Curve("both", "#D55E00", {**run.losses, "prototypes": ([1, 2, 3], [1.0, 0.6, 0.5])}, ([2, 3], [0.2, 0.4]))
    alone, both = pixels(curves_picture([run])), pixels(curves_picture([run, archive]))
    assert has_colour(alone, "#0072B2")
    assert not has_colour(alone, "#D55E00", 1)
    assert has_colour(both, "#D55E00")
