"""Files of many frames, and several passes over one place: which stacks they are, and every voxel in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import AXIAL, OBLIQUE, TILTED, change, series_voxels, write_enhanced, write_series
from pydicom.uid import JPEGLSLossless, RLELossless

from alhvr.core.errors import UserError
from alhvr.data.dicom_folder import list_series
from alhvr.data.dicom_stack import find_stack
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe, read_scan
from alhvr.data.reading_process import ReadingProcess


def shuffled(array: np.ndarray, geometry: Geometry, groups: dict | None = None) -> list:
    """The frames of a volume in an order of their own."""
    order = np.random.default_rng(3).permutation(len(array))
    return [(array[k], geometry, int(k), groups or {}) for k in order]


@pytest.mark.parametrize("grid", [AXIAL, OBLIQUE, TILTED], ids=["axial", "oblique", "tilted"])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_an_enhanced_file_comes_back_on_its_own_grid(tmp_path: Path, grid: Geometry, modality: str) -> None:
    array = series_voxels(grid)
    write_enhanced(tmp_path / "s" / "one.dcm", shuffled(array, grid), Modality=modality)
    scan = read_scan(tmp_path / "s")
    np.testing.assert_array_equal(scan.array, array)
    assert not grid.difference(scan.geometry, 1e-4) and not grid.difference(probe(tmp_path / "s").geometry, 1e-4)
    assert scan.modality == modality


def test_each_frame_has_its_own_rescale(tmp_path: Path) -> None:
    array = series_voxels(AXIAL)
    frames = [(array[k], AXIAL, k, {"PixelValueTransformationSequence": {
        "RescaleSlope": 0.5 * (k + 1), "RescaleIntercept": -k, "RescaleType": "US"}}) for k in range(len(array))]
    write_enhanced(tmp_path / "s" / "one.dcm", frames)
    steps = np.arange(len(array))[:, None, None]
    np.testing.assert_allclose(read_scan(tmp_path / "s").array, array * 0.5 * (steps + 1) - steps)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless], ids=["RLE", "JPEG-LS"])
def test_compressed_frames_come_back_bit_by_bit(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    array = series_voxels(OBLIQUE)
    file = write_enhanced(tmp_path / "s" / "one.dcm", shuffled(array, OBLIQUE))
    dataset = pydicom.dcmread(file)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(file)
    np.testing.assert_array_equal(read_scan(tmp_path / "s").array, array)


@pytest.mark.parametrize("groups", [
    lambda n: {"FrameContentSequence": {"StackID": str(n)}},
    lambda n: {"FrameContentSequence": {"TemporalPositionIndex": n + 1}},
    lambda n: {"MREchoSequence": {"EffectiveEchoTime": 10.0 * n + 5}},
    lambda n: {"MRDiffusionSequence": {"DiffusionBValue": 500.0 * n}},
    lambda n: {"CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": 33.0 * n}},
], ids=["stack", "time", "echo", "b-value", "trigger"])
def test_stacks_of_one_file_are_scans_of_their_own(tmp_path: Path, groups: object) -> None:
    array = series_voxels(AXIAL)
    frames = [frame for n in range(3) for frame in shuffled(array + n, AXIAL, groups(n))]
    write_enhanced(tmp_path / "s" / "one.dcm", frames)
    listed = list_series(tmp_path)
    assert len(listed.images) == 3
    for n, path in enumerate(listed.images.values()):
        np.testing.assert_array_equal(read_scan(path).array, array + n)
        assert len(find_stack(path).files) == len(array)


def test_a_stack_of_a_file_is_read_in_a_process_of_its_own_too(tmp_path: Path) -> None:
    frames = [frame for n in range(2) for frame in
              shuffled(series_voxels(AXIAL) + n, AXIAL, {"FrameContentSequence": {"StackID": str(n)}})]
    write_enhanced(tmp_path / "s" / "one.dcm", frames)
    path = list(list_series(tmp_path).images.values())[1]
    process = ReadingProcess()
    try:
        np.testing.assert_array_equal(process.read_scan(path).array, series_voxels(AXIAL) + 1)
        assert process._running is not None
    finally:
        process.close()


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda d: d.PerFrameFunctionalGroupsSequence.pop(), "6 frames and the places of 5"),
    (lambda d: d.PerFrameFunctionalGroupsSequence[2].__delattr__("PlanePositionSequence"), "frame 3 has no Image"),
    (lambda d: setattr(d, "PixelData", d.PixelData[:50]), "cut short"),
    (lambda d: setattr(d, "NumberOfFrames", 10**6), "more than any image"),
], ids=["group", "place", "voxels", "number"])
def test_a_spoiled_file_of_frames_is_refused_with_the_reason(tmp_path: Path, spoil: object, words: str) -> None:
    file = write_enhanced(tmp_path / "s" / "one.dcm", shuffled(series_voxels(AXIAL), AXIAL))
    dataset = pydicom.dcmread(file)
    spoil(dataset)
    dataset.save_as(file)
    with pytest.raises(UserError, match=words):
        read_scan(tmp_path / "s")


def passes(folder: Path, parts: list[dict], jitter: float = 0.0) -> Path:
    """One series of several passes, each with tags of its own; trigger times drift from place to place."""
    for n, tags in enumerate(parts):
        files = write_series(folder / str(n), series_voxels(AXIAL) + n, AXIAL, SeriesInstanceUID="1.2.3", **tags)
        for index, file in enumerate(files):
            if jitter:
                change(file, TriggerTime=n * 33.0 + index * jitter)
            file.rename(folder / f"{n}-{file.name}")
        (folder / str(n)).rmdir()
    return folder


@pytest.mark.parametrize(("parts", "jitter"), [
    ([{"DiffusionBValue": 0.0}, {"DiffusionBValue": 500.0}, {"DiffusionBValue": 1000.0}], 0.0),
    ([{"EchoNumbers": e, "TemporalPositionIdentifier": t} for e in (1, 2) for t in (1, 2)], 0.0),
    ([{}, {}, {}], 0.4),
    ([{"ImageType": ["ORIGINAL", "PRIMARY", kind]} for kind in ("W", "F")], 0.0),
], ids=["b-value", "echo by time", "cine with drifting trigger times", "water and fat"])
def test_passes_are_told_apart(tmp_path: Path, parts: list[dict], jitter: float) -> None:
    listed = list_series(passes(tmp_path / "s", parts, jitter))
    assert len(listed.images) == len(parts)
    for n, path in enumerate(listed.images.values()):
        np.testing.assert_array_equal(read_scan(path).array, series_voxels(AXIAL) + n)


def test_rle_of_a_few_pixels_is_read_though_gdcm_refuses_it(tmp_path: Path) -> None:
    for file in write_series(tmp_path / "s", series_voxels(AXIAL), AXIAL, RescaleSlope=2, RescaleIntercept=-3):
        dataset = pydicom.dcmread(file)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(file)
    np.testing.assert_array_equal(read_scan(tmp_path / "s").array, series_voxels(AXIAL).astype(float) * 2 - 3)


def test_a_private_transfer_syntax_is_named(tmp_path: Path) -> None:
    for file in write_series(tmp_path / "s", series_voxels(AXIAL), AXIAL):
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = "1.2.3.4.5"
        dataset.save_as(file, implicit_vr=False, little_endian=True)
    with pytest.raises(UserError, match=r"1\.2\.3\.4\.5, which is private"):
        read_scan(tmp_path / "s")
