"""DICOM segmentations: every voxel in its place, names and codes for other systems, odd headers survived."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import write_series
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from support import shared_data

import alhvr
from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.reading import read_scan
from alhvr.data.scan import Segmentation
from alhvr.export.dicom_seg import write_dicom_seg
from alhvr.formats.labels import LabelSet

REAL = ["Study1/12-T1post-05670", "Study1/13_HCropVolume", "Study1/36459-FLAIRreg-76244", "Study3/11_HCropVolume",
        "Study3/36468-FLAIRreg-58706"]
LABELS = LabelSet.from_names({1: "left kidney", 2: "spleen", 5: "Läsion 肝"})
C, S = np.cos(0.4), np.sin(0.4)
TURNS = {
    "axial": np.eye(3),
    "oblique": np.array([[C, -S, 0], [S * C, C * C, -S], [S * S, S * C, C]]),
    "coronal": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "sagittal": np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "gantry tilt": np.array([[1, 0, 0], [0, 1, S], [0, 0, C]]),
}
SIGNS = [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)]


def _grid(turn: str = "oblique", signs: tuple[int, ...] = (1, 1, 1)) -> Geometry:
    direction = TURNS[turn] * np.array(signs)
    return Geometry((7, 6, 5), (0.7, 1.1, 3.3), (-20.0, 31.5, 12.25), tuple(float(x) for x in direction.ravel()))


def _series(folder: Path, grid: Geometry | None = None, **tags: object) -> Path:
    """A small series with random voxels."""
    grid = grid or _grid()
    array = np.random.default_rng(1).integers(0, 900, grid.shape_kji).astype(np.int16)
    with pydicom.config.disable_value_validation():
        write_series(folder, array, grid, **tags)
    return folder


def _marked(source: Path) -> Segmentation:
    """An unsymmetrical segmentation of a series: a corner block of value 1, an off-centre one of 5, no 2."""
    scan = read_scan(source)
    array = np.zeros(scan.array.shape, np.uint8)
    k, j, i = (n // 3 for n in array.shape)
    array[: k + 1, : j + 1, : i + 1] = 1
    array[-2, j : 2 * j + 1, -2 - i : -1] = 5
    return Segmentation(source.name, array, scan.geometry, LABELS)


def _write(folder: Path, source: Path) -> tuple[Segmentation, Dataset]:
    segmentation = _marked(source)
    written = write_dicom_seg(folder / "result.dcm", segmentation, source)
    return segmentation, pydicom.dcmread(written.path)


def _frames(dataset: Dataset) -> list[tuple[int, Dataset, np.ndarray]]:
    """Segment number, functional groups (its own and those of all frames) and pixels [J, I] of every frame."""
    groups = [Dataset({**dataset.SharedFunctionalGroupsSequence[0]._dict, **own._dict})
              for own in dataset.PerFrameFunctionalGroupsSequence]
    numbers = [group.SegmentIdentificationSequence[0].ReferencedSegmentNumber for group in groups]
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    return list(zip(numbers, groups, pixels, strict=True))


def _points_lps_mm(dataset: Dataset, segment: int) -> np.ndarray:
    """Centres [N, 3] of a segment's voxels by DICOM's own equation, from the tags of the file alone."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    row, column = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    between_rows, between_columns = (float(x) for x in shared.PixelMeasuresSequence[0].PixelSpacing)
    points = []
    for number, group, pixels in _frames(dataset):
        if number == segment:
            j, i = np.nonzero(pixels)
            corner = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
            points.append(corner + i[:, None] * between_columns * row + j[:, None] * between_rows * column)
    return np.concatenate(points)


def _require_in_place(segmentation: Segmentation, dataset: Dataset) -> None:
    """Each segment's centroid lies where it should, within a hundredth of a millimetre, and so does every voxel."""
    for number, value in enumerate((1, 5), start=1):
        expected = segmentation.array == value
        centroid = segmentation.geometry.index_to_lps([np.argwhere(expected).mean(axis=0)[::-1]])[0]
        points = _points_lps_mm(dataset, number)
        np.testing.assert_allclose(points.mean(axis=0), centroid, rtol=0, atol=0.01)
        index = segmentation.geometry.lps_to_index(points)
        assert np.abs(index - np.rint(index)).max() < 0.02 and len(points) == expected.sum()
        found = np.zeros_like(expected)
        found[tuple(np.rint(index).astype(int).T[::-1])] = True
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("series", REAL)
def test_every_voxel_of_a_real_series_comes_back_in_its_place(tmp_path, series):
    _require_in_place(*_write(tmp_path, shared_data("brain-dicom", *series.split("/"))))


@pytest.mark.parametrize("signs", SIGNS, ids=str)
@pytest.mark.parametrize("turn", TURNS)
def test_no_orientation_and_no_order_of_slices_mirrors_anything(tmp_path, turn, signs):
    _require_in_place(*_write(tmp_path, _series(tmp_path / "series", _grid(turn, signs))))


@pytest.mark.parametrize("series", REAL[:2])
def test_every_frame_marks_the_pixels_of_the_image_it_refers_to(tmp_path, series):
    source = shared_data("brain-dicom", *series.split("/"))
    scan = read_scan(source)
    level = scan.array.mean()
    bright = Segmentation("scan", (scan.array > level).astype(np.uint8), scan.geometry, LABELS)
    dataset = pydicom.dcmread(write_dicom_seg(tmp_path / "result.dcm", bright, source).path)
    images = {image.SOPInstanceUID: image for image in map(pydicom.dcmread, source.iterdir())}
    for _, group, pixels in _frames(dataset):
        uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        np.testing.assert_array_equal(pixels.astype(bool), images[uid].pixel_array > level)
        position = group.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, images[uid].ImagePositionPatient, rtol=0, atol=1e-6)


def test_frames_lie_at_their_images_also_where_gaps_are_unequal(tmp_path):
    source = _series(tmp_path / "series", _grid("axial"))
    moved = pydicom.dcmread(source / "003.dcm")
    moved.ImagePositionPatient = [*moved.ImagePositionPatient[:2], moved.ImagePositionPatient[2] + 0.5]
    moved.save_as(source / "003.dcm")
    segmentation = _marked(source)
    dataset = pydicom.dcmread(write_dicom_seg(tmp_path / "result.dcm", segmentation, source).path)
    places = {tuple(pydicom.dcmread(path).ImagePositionPatient) for path in source.iterdir()}
    assert {tuple(g.PlanePositionSequence[0].ImagePositionPatient) for _, g, _ in _frames(dataset)} <= places


def test_slice_distance_is_measured_and_not_copied_from_a_wrong_tag(tmp_path):
    _, dataset = _write(tmp_path, _series(tmp_path / "series", _grid("axial"), SpacingBetweenSlices=99.0))
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SpacingBetweenSlices == pytest.approx(3.3, abs=1e-5)
    assert [float(x) for x in measures.PixelSpacing] == [1.1, 0.7]


def test_segments_carry_name_codes_side_and_algorithm(tmp_path):
    _, dataset = _write(tmp_path, _series(tmp_path / "series"))
    kidney, lesion = dataset.SegmentSequence
    kind = kidney.SegmentedPropertyTypeCodeSequence[0]
    side = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert (kidney.SegmentLabel, lesion.SegmentLabel) == ("left kidney", "Läsion 肝")
    assert (kind.CodeValue, kind.CodingSchemeDesignator, side.CodeMeaning) == ("64033007", "SCT", "Left")
    assert kidney.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Anatomical Structure"
    assert (kidney.SegmentAlgorithmType, kidney.SegmentAlgorithmName) == ("AUTOMATIC", "ALHVR")
    assert kidney.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == alhvr.__version__


def test_the_colour_comes_back_from_cielab(tmp_path):
    _, dataset = _write(tmp_path, _series(tmp_path / "series"))
    for segment, label in zip(dataset.SegmentSequence, (LABELS.labels[0], LABELS.labels[2]), strict=True):
        found = CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb(clip=True)
        np.testing.assert_allclose(found, 255 * np.array(label.colour_rgb), atol=1.5)


def test_a_label_without_voxels_is_left_out_with_a_warning(tmp_path):
    source = _series(tmp_path / "series")
    written = write_dicom_seg(tmp_path / "result.dcm", _marked(source), source)
    assert written.warnings[0] == 'series: no voxel is "spleen"; the DICOM segmentation leaves it out.'
    assert [s.SegmentNumber for s in pydicom.dcmread(written.path).SegmentSequence] == [1, 2]


def test_nothing_found_writes_no_file_and_says_so(tmp_path):
    scan = read_scan(_series(tmp_path / "series"))
    empty = Segmentation("scan", np.zeros(scan.array.shape, np.uint8), scan.geometry, LABELS)
    written = write_dicom_seg(tmp_path / "result.dcm", empty, scan.source)
    assert written.path is None and "nothing was found" in written.warnings[0]
    assert not (tmp_path / "result.dcm").exists()


def test_patient_and_study_are_those_of_the_series_and_nothing_is_added(tmp_path):
    source = _series(tmp_path / "series", PatientBirthDate="19700101", PatientComments="x", OperatorsName="y")
    _, dataset = _write(tmp_path, source)
    image = pydicom.dcmread(next(source.iterdir()))
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert dataset[keyword].value == image[keyword].value
    assert str(dataset.ContentCreatorName) == "ALHVR^Automatic" and "OperatorsName" not in dataset


def test_a_scan_that_is_no_dicom_series_is_refused_in_words(tmp_path):
    segmentation = _marked(_series(tmp_path / "series"))
    file = tmp_path / "scan.nii.gz"
    file.write_bytes(b"")
    with pytest.raises(UserError, match=r"scan\.nii\.gz is no DICOM series.*without|leave out --dicom-seg"):
        write_dicom_seg(tmp_path / "result.dcm", segmentation, file)


def test_a_series_of_another_grid_is_refused_with_the_difference(tmp_path):
    segmentation = _marked(_series(tmp_path / "one"))
    other = _series(tmp_path / "other", _grid("axial"))
    with pytest.raises(UserError, match="not on the grid of the series other: direction"):
        write_dicom_seg(tmp_path / "result.dcm", segmentation, other)


@pytest.mark.filterwarnings("ignore:Unknown encoding")
@pytest.mark.parametrize("tags", [
    {"AccessionNumber": "longer than sixteen characters"}, {"PatientSex": "unknown"}, {"PatientAge": "72"},
    {"PatientBirthDate": "1.2.1970"}, {"StudyDate": "yesterday"}, {"StudyTime": "noon"}, {"SliceThickness": 0},
    {"SpecificCharacterSet": "NO_SUCH_SET"}, {"FrameOfReferenceUID": None}, {"PatientID": None}, {"PatientName": None},
], ids=lambda tags: next(iter(tags)))
def test_odd_or_missing_tags_do_not_cost_the_result(tmp_path, tags):
    _require_in_place(*_write(tmp_path, _series(tmp_path / "series", **tags)))


def test_names_in_another_script_stay_readable(tmp_path):
    name = "Yamada^Tarou=山田^太郎"
    _, dataset = _write(tmp_path, _series(tmp_path / "series", SpecificCharacterSet=["", "ISO 2022 IR 87"],
                                          PatientName=name))
    assert str(dataset.PatientName) == name and dataset.SegmentSequence[1].SegmentLabel == "Läsion 肝"


def test_images_that_nothing_can_refer_to_are_refused_by_tag(tmp_path):
    source = _series(tmp_path / "series", StudyInstanceUID=None)
    with pytest.raises(UserError, match="has no StudyInstanceUID"):
        write_dicom_seg(tmp_path / "result.dcm", _marked(source), source)


def test_a_series_stays_readable_with_its_segmentation_beside_it(tmp_path):
    source = _series(tmp_path / "series")
    segmentation = _marked(source)
    write_dicom_seg(source / "result.dcm", segmentation, source)
    assert read_scan(source).geometry == segmentation.geometry


def test_a_series_without_preamble_gets_a_segmentation_too(tmp_path):
    source = _series(tmp_path / "series")
    for path in source.iterdir():
        data = path.read_bytes()
        path.write_bytes(data[144 + int.from_bytes(data[140:144], "little"):])
    _require_in_place(*_write(tmp_path, source))


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID"])
def test_images_of_several_series_or_studies_are_refused_by_tag(tmp_path, keyword):
    source = _series(tmp_path / "series")
    segmentation = _marked(source)
    for index, path in enumerate(sorted(source.iterdir())):
        dataset = pydicom.dcmread(path)
        setattr(dataset, keyword, "1.2.3" if keyword.startswith("Study") and index else f"1.2.4.{index}")
        dataset.save_as(path)
    with pytest.raises(UserError, match=f"different {keyword}s"):
        write_dicom_seg(tmp_path / "result.dcm", segmentation, source)


def test_one_instance_uid_for_all_images_is_refused_because_references_would_be_wrong(tmp_path):
    source = _series(tmp_path / "series", SOPInstanceUID="1.2.3.4")
    with pytest.raises(UserError, match="all 5 images have one SOPInstanceUID"):
        write_dicom_seg(tmp_path / "result.dcm", _marked(source), source)
    assert not (tmp_path / "result.dcm").exists()


@pytest.mark.parametrize("tag", ["PatientAge", "PatientSex", "PatientName", "StudyDate", "AccessionNumber"])
def test_a_tag_of_an_unknown_kind_is_emptied_or_refused_in_words(tmp_path, tag):
    source = _series(tmp_path / "series", **{tag: "20200101"})
    segmentation = _marked(source)
    number = pydicom.datadict.tag_for_keyword(tag)
    start = (number >> 16).to_bytes(2, "little") + (number & 0xFFFF).to_bytes(2, "little")
    for path in source.iterdir():
        data = path.read_bytes()
        at = data.index(start, 300)
        path.write_bytes(data[:at + 4] + b"Q\xd3" + data[at + 6:])
    try:
        written = write_dicom_seg(tmp_path / "result.dcm", segmentation, source)
    except UserError as error:
        assert "no DICOM segmentation can be made" in error.message and "20200101" not in error.message
    else:
        _require_in_place(segmentation, pydicom.dcmread(written.path))


@pytest.mark.parametrize("series", REAL[:2])
def test_a_validator_of_the_standard_finds_no_error(tmp_path, series):
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
    _write(tmp_path, shared_data("brain-dicom", *series.split("/")))
    told = subprocess.run(["dciodvfy", "-new", str(tmp_path / "result.dcm")], capture_output=True, text=True)
    assert told.stderr.strip() == "Segmentation" and told.returncode == 0
