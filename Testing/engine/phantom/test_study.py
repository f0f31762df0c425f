"""The generated scans: repeatable, varied, true to their labels, and written as an ordinary study."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from alhvr.data.geometry import Geometry
from alhvr.phantom.patient import LABEL_NAMES
from alhvr.phantom.shapes import Ellipsoid, Tube, Waves, rotation, union
from alhvr.phantom.study import Phantom, make_phantom, write_phantom_study


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom(0, index) for index in range(6)]


def grid_of_points(n: int = 41, half_mm: float = 40.0) -> np.ndarray:
    axis = np.linspace(-half_mm, half_mm, n, dtype=np.float32)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.stack([x, y, z])


def test_the_same_seed_and_index_give_the_same_scan(phantoms: list[Phantom]) -> None:
    again = make_phantom(0, 2)
    assert np.array_equal(again.scan.array, phantoms[2].scan.array)
    assert np.array_equal(again.label, phantoms[2].label)
    assert again.geometry == phantoms[2].geometry


def test_another_seed_or_index_gives_another_patient(phantoms: list[Phantom]) -> None:
    volumes = [(p.label == 1).sum() * p.geometry.voxel_volume_ml for p in [*phantoms, make_phantom(1, 0)]]
    assert len({round(v) for v in volumes}) == 7


def test_every_scan_shows_all_four_organs_in_believable_volumes(phantoms: list[Phantom]) -> None:
    ranges_ml = {1: (600, 3000), 2: (120, 700), 3: (40, 600), 4: (25, 250)}
    for phantom in phantoms:
        for value, (least, most) in ranges_ml.items():
            assert least < (phantom.label == value).sum() * phantom.geometry.voxel_volume_ml < most


def test_values_are_whole_hounsfield_units_with_air_outside_and_bone_inside(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        array = phantom.scan.array
        assert array.dtype == np.float32
        assert np.array_equal(array, np.rint(array))
        assert np.median(array.reshape(-1)[array.reshape(-1) < -900]) < -980
        assert (array > 300).mean() > 0.002


def test_kidneys_enhance_more_than_liver_and_contrast_differs_between_scans(phantoms: list[Phantom]) -> None:
    liver = np.array([p.scan.array[p.label == 1].mean() for p in phantoms])
    kidneys = np.array([p.scan.array[p.label == 2].mean() for p in phantoms])
    assert ((liver > 20) & (liver < 130)).all()
    assert np.ptp(kidneys) > 60
    assert (kidneys > liver).mean() > 0.6


def test_liver_lies_to_the_right_of_the_spleen_whatever_the_storage_order(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        liver_l, spleen_l = (centroid_lps(phantom, value)[0] for value in (1, 3))
        assert liver_l < spleen_l - 60


def centroid_lps(phantom: Phantom, value: int) -> np.ndarray:
    index_ijk = np.argwhere(phantom.label == value)[:, ::-1].mean(axis=0)
    return phantom.geometry.index_to_lps(index_ijk[None])[0]


def test_orientations_and_spacings_differ_and_slices_are_the_thickest() -> None:
    geometries = [make_phantom(0, index).geometry for index in range(8)]
    assert len({g.spacing_mm for g in geometries}) == 8
    assert any(not np.allclose(np.abs(g.direction), np.rint(np.abs(g.direction))) for g in geometries), "none oblique"
    assert any(np.argmax(g.spacing_mm) != 2 for g in geometries), "none stored in another order"
    for geometry in geometries:
        thickest = np.reshape(geometry.direction, (3, 3))[2, np.argmax(geometry.spacing_mm)]
        assert abs(thickest) > 0.9


def test_no_difficulty_makes_scans_alike() -> None:
    spread = [np.ptp([liver_ml(difficulty, index) for index in range(3)]) for difficulty in (0.0, 1.0)]
    assert spread[0] < 0.3 * spread[1]


def liver_ml(difficulty: float, index: int) -> float:
    phantom = make_phantom(3, index, difficulty=difficulty)
    return float((phantom.label == 1).sum() * phantom.geometry.voxel_volume_ml)


def test_a_study_is_folders_of_images_and_labels_with_names(tmp_path) -> None:
    study = write_phantom_study(tmp_path, 5, archive=1)
    for folder, count in ((study.labeled, 3), (study.validation, 3), (study.test, 3), (study.unlabeled, 1)):
        assert len(list((folder / "images").iterdir())) == count
    assert not (study.unlabeled / "labels").exists()
    names = json.loads((study.test / "labels.json").read_text(encoding="utf-8"))
    assert names == {str(value): name for value, name in LABEL_NAMES.items()}
    images, labels = ({p.name for p in (study.test / kind).iterdir()} for kind in ("images", "labels"))
    assert images == labels
    expected = make_phantom(5, 7)
    image = sitk.ReadImage(str(study.test / "images" / f"{expected.scan.name}.nii.gz"))
    assert image.GetPixelID() == sitk.sitkInt16
    assert np.array_equal(sitk.GetArrayFromImage(image), expected.scan.array)
    assert Geometry.from_sitk(image).difference(expected.geometry, tolerance_mm=0.05) == ""


def test_distance_to_a_turned_ellipsoid_is_zero_on_its_surface() -> None:
    shape = Ellipsoid((3, -4, 5), (20, 12, 8), (30, -20, 50))
    surface = np.array([3, -4, 5]) + rotation(shape.turn_degrees)[:, 1] * 12
    outside = np.array([3, -4, 5]) + rotation(shape.turn_degrees)[:, 1] * 13
    points = np.stack([surface, outside], axis=1).astype(np.float32)[:, None, None]
    assert np.allclose(shape.distance(points).ravel(), [0, 1], atol=0.05)


def test_volume_of_a_tube_is_that_of_a_cylinder_with_round_ends() -> None:
    inside = Tube(((-20, 0, 0), (20, 0, 0)), (10, 10)).distance(grid_of_points(81)) < 0
    assert inside.sum() == pytest.approx(np.pi * 100 * 40 + 4 / 3 * np.pi * 1000, rel=0.03)


def test_a_blended_union_is_at_least_as_large_as_a_plain_one() -> None:
    first = Ellipsoid((-10, 0, 0), (14, 14, 14)).distance(grid_of_points())
    second = Ellipsoid((10, 0, 0), (14, 14, 14)).distance(grid_of_points())
    plain, blended = union(first, second), union(first, second, 8)
    assert (blended <= plain).all()
    assert (blended < 0).sum() > (plain < 0).sum()


def test_waves_follow_patient_space_not_the_voxel_grid() -> None:
    waves = Waves.draw(np.random.default_rng(0), (30, 90))
    coarse, fine = np.diag([4.0, 4, 4, 1]), np.diag([2.0, 2, 2, 1])
    assert np.allclose(waves.on(coarse, (6, 7, 8)), waves.on(fine, (12, 14, 16))[::2, ::2, ::2], atol=1e-4)
    assert waves.on(coarse, (30, 30, 30)).std() == pytest.approx(1, abs=0.35)
