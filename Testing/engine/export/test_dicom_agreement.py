"""Every DICOM object that is written, for every kind of grid: validators find no error, all readers see one place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import write_enhanced, write_series
from support import shared_data

from alhvr.data.geometry import Geometry
from alhvr.data.scan import Segmentation
from alhvr.export.dicom_objects import write_dicom_objects
from alhvr.export.dicom_seg import DicomOptions, SegContent
from alhvr.export.dicom_source import DicomSource, read_source
from alhvr.formats.labels import LabelSet

LABELS = LabelSet.from_names({2: "left kidney", 3: "spleen", 7: "liver tumour"})
C, S = np.cos(0.4), np.sin(0.4)
AXIAL = np.eye(3)
OBLIQUE = np.array([[C, -S, 0], [S * C, C * C, -S], [S * S, S * C, C]])
DIRECTIONS = {
    "axial": AXIAL,
    "coronal": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "sagittal": np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "oblique": OBLIQUE,
    "flipped": AXIAL * (1, 1, -1),
    "gantry tilt": np.array([[1, 0, 0], [0, 1, S], [0, 0, C]]),
}
CASES = [*DIRECTIONS, "anisotropic", "one slice", "many frames", "oblique frames out of order", "real"]
VOLUMES = [case for case in CASES if case not in ("gantry tilt", "real")]
"""Grids that other libraries read as a volume; the real series takes them long."""


def _grid(case: str) -> Geometry:
    direction = DIRECTIONS.get(case, OBLIQUE if "oblique" in case else AXIAL)
    size = (12, 10, 1 if case == "one slice" else 6)
    spacing = (0.4, 0.9, 7.5) if case == "anisotropic" else (0.75, 0.75, 3.25)
    return Geometry(size, spacing, (-20.0, 31.5, 12.25), tuple(float(x) for x in direction.ravel()))


def _source(folder: Path, case: str) -> Path:
    if case == "real":
        return shared_data("brain-dicom", "Study1", "12-T1post-05670")
    grid = _grid(case)
    array = np.random.default_rng(1).integers(0, 900, grid.shape_kji).astype(np.int16)
    if "frames" in case:
        return _frames(folder / "series.dcm", array, grid, shuffled="order" in case)
    write_series(folder / "series", array, grid, PatientBirthDate="", PatientSex="", StudyID="", AccessionNumber="",
                 StudyDate="20200102", StudyTime="101112", ReferringPhysicianName="")
    return folder / "series"


def _frames(path: Path, array: np.ndarray, grid: Geometry, *, shuffled: bool) -> Path:
    """One file of all slices; in another order, what all frames have in common is told once."""
    order = np.random.default_rng(3).permutation(len(array)) if shuffled else range(len(array))
    write_enhanced(path, [(array[k], grid, int(k), {}) for k in order])
    if shuffled:
        dataset = pydicom.dcmread(path)
        for group in dataset.PerFrameFunctionalGroupsSequence:
            for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
                setattr(dataset.SharedFunctionalGroupsSequence[0], keyword, group[keyword].value)
                delattr(group, keyword)
        dataset.save_as(path)
    return path


def _segmentation(source: DicomSource) -> Segmentation:
    """Asymmetric: a block with a step and a hole at one corner, another away from it; no voxel of label 3."""
    array = np.zeros(source.geometry.shape_kji, np.uint8)
    k, j, i = (max(1, n // 2) for n in array.shape)
    array[:k, :j + 1, :i] = 2
    array[:k, 0, :2] = 0
    array[0, 2, 2] = 0
    array[-1, j + 2:, i + 1:i + 4] = 7
    return Segmentation("scan", array, source.geometry, LABELS)


def _write(folder: Path, case: str, options: DicomOptions) -> tuple[Segmentation, dict[str, Path]]:
    path = _source(folder, case)
    source = read_source(path)
    segmentation = _segmentation(source)
    content = SegContent(segmentation, np.full(segmentation.array.shape, 191, np.uint8), {"model": "kidneys"})
    region = np.where(segmentation.array > 0, 1, 3).astype(np.uint8)
    region[0, 0] = 2
    made = write_dicom_objects(folder / "scan", content, path, options, region)
    assert not made.fault
    return segmentation, {file.name.partition(".")[2]: file for file in made.files}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Segmentation, dict[str, Path]]]:
    """The objects of each case, written when they are first asked for."""
    written: dict[str, tuple[Segmentation, dict[str, Path]]] = {}

    def of(case: str) -> tuple[Segmentation, dict[str, Path]]:
        if case not in written:
            options = DicomOptions(regions=True, rtstruct=True, report=True)
            written[case] = _write(tmp_path_factory.mktemp("case"), case, options)
        return written[case]

    return of


def _require(program: str, package: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed ({package})")


def _errors(path: Path) -> list[str]:
    """What dciodvfy calls an error."""
    told = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("case", CASES)
def test_the_validator_of_the_standard_finds_no_error_in_any_object(everything, case):
    _require("dciodvfy", "Debian package dicom3tools")
    _, files = everything(case)
    assert {"seg.dcm", "regions.seg.dcm", "rtstruct.dcm", "sr.dcm"} == set(files)
    assert {name: _errors(path) for name, path in files.items()} == dict.fromkeys(files, [])


def _points_of_seg(path: Path, number: int) -> np.ndarray:
    """Centres [N, 3] in LPS mm of a segment's voxels by DICOM's own equation, from the tags of the file alone."""
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    row, column = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    between_rows, between_columns = (float(x) for x in shared.PixelMeasuresSequence[0].PixelSpacing)
    points = []
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    for own, plane in zip(dataset.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        identity = (own if "SegmentIdentificationSequence" in own else shared).SegmentIdentificationSequence[0]
        if identity.ReferencedSegmentNumber == number:
            place = (own if "PlanePositionSequence" in own else shared).PlanePositionSequence[0]
            j, i = np.nonzero(plane)
            corner = np.array(place.ImagePositionPatient, dtype=float)
            points.append(corner + i[:, None] * between_columns * row + j[:, None] * between_rows * column)
    return np.concatenate(points)


def _mask(geometry: Geometry, points: np.ndarray) -> np.ndarray:
    index = geometry.lps_to_index(points)
    assert np.abs(index - np.rint(index)).max() < 0.02
    found = np.zeros(geometry.shape_kji, bool)
    found[tuple(np.rint(index).astype(int).T[::-1])] = True
    return found


@pytest.mark.parametrize("case", CASES)
def test_each_segment_lies_where_it_was_voxel_for_voxel(everything, case):
    segmentation, files = everything(case)
    for number, value in enumerate((2, 7), start=1):
        expected = segmentation.array == value
        np.testing.assert_array_equal(_mask(segmentation.geometry, _points_of_seg(files["seg.dcm"], number)), expected)


@pytest.mark.parametrize("case", CASES)
def test_contours_filled_again_give_the_same_voxels(everything, case):
    segmentation, files = everything(case)
    dataset = pydicom.dcmread(files["rtstruct.dcm"])
    assert [item.ROIName for item in dataset.StructureSetROISequence] == ["left kidney", "liver tumour"]
    for item, value in zip(dataset.ROIContourSequence, (2, 7), strict=True):
        found = _filled(item, segmentation.geometry)
        np.testing.assert_array_equal(found, segmentation.array == value)


def _filled(item: pydicom.Dataset, geometry: Geometry) -> np.ndarray:
    """The voxels whose centre lies within a contour by the rule of even and odd."""
    found = np.zeros(geometry.shape_kji, bool)
    j, i = np.mgrid[:found.shape[1], :found.shape[2]]
    for contour in item.ContourSequence:
        points = geometry.lps_to_index(np.reshape(np.array(contour.ContourData, dtype=float), (-1, 3)))
        plane = found[round(points[:, 2].mean())]
        assert np.ptp(points[:, 2]) < 0.01 and contour.ContourGeometricType == "CLOSED_PLANAR"
        for (x0, y0), (x1, y1) in zip(points[:, :2], np.roll(points[:, :2], -1, axis=0), strict=True):
            if y0 != y1:
                crosses = (np.minimum(y0, y1) <= j) & (j < np.maximum(y0, y1))
                plane ^= crosses & (i > x0 + (j - y0) * (x1 - x0) / (y1 - y0))
    return found


@pytest.mark.parametrize("case", ["oblique", "one slice", "many frames", "gantry tilt"])
def test_the_report_tells_each_volume_in_ml(everything, case):
    from highdicom.sr import srread

    segmentation, files = everything(case)
    report = srread(files["sr.dcm"])
    for group, value in zip(report.content.get_volumetric_roi_measurement_groups(), (2, 7), strict=True):
        (measured,) = group.get_measurements()
        expected = float((segmentation.array == value).sum() * segmentation.geometry.voxel_volume_ml)
        assert measured.value == pytest.approx(expected, abs=1e-5) and measured.unit.value == "ml"


@pytest.mark.parametrize("case", VOLUMES)
def test_highdicom_reads_the_same_mask(everything, case):
    from highdicom.seg import segread

    segmentation, files = everything(case)
    seg = segread(files["seg.dcm"])
    for number, value in enumerate((2, 7), start=1):
        volume = seg.get_volume(segment_numbers=[number], allow_missing_positions=True, combine_segments=True)
        points = volume.map_indices_to_reference(np.argwhere(volume.array > 0))
        np.testing.assert_array_equal(_mask(segmentation.geometry, points), segmentation.array == value)


@pytest.mark.parametrize("case", VOLUMES)
def test_dcmqi_and_simpleitk_read_the_same_mask(everything, case, tmp_path):
    """dcmqi makes NRRD of each segment, as Slicer has it done; a sheared stack is no volume to it."""
    program = str(Path(sys.executable).with_name("segimage2itkimage"))
    _require(program, "Python package dcmqi")
    segmentation, files = everything(case)
    subprocess.run([program, "--inputDICOM", str(files["seg.dcm"]), "--outputDirectory", str(tmp_path), "-t", "nrrd"],
                   capture_output=True, check=True)
    for number, value in enumerate((2, 7), start=1):
        image = sitk.ReadImage(str(tmp_path / f"{number}.nrrd"))
        index = np.argwhere(sitk.GetArrayFromImage(image) > 0)[:, ::-1]
        points = np.array([image.TransformIndexToPhysicalPoint([int(n) for n in each]) for each in index])
        np.testing.assert_array_equal(_mask(segmentation.geometry, points), segmentation.array == value)
