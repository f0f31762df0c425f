"""DICOM-SEG and RTSTRUCT as labels: which series they belong to, and an object that shows where it is mirrored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import AXIAL, OBLIQUE, TILTED, slice_dataset, write_enhanced, write_series
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from alhvr.checking.context import RunContext
from alhvr.checking.run import Folders, check
from alhvr.core.errors import UserError
from alhvr.data.case_io import read_label_of
from alhvr.data.cases import find_cases
from alhvr.data.dicom_labels import read_dicom_label, read_label_object
from alhvr.data.dicom_rtstruct import fill_even_odd
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe
from alhvr.data.scan import Segmentation
from alhvr.export.dicom_rtstruct import write_rtstruct
from alhvr.export.dicom_seg import DicomOptions
from alhvr.export.dicom_source import read_source
from alhvr.formats.labels import LabelSet

SIZE = (14, 12, 7)


def grid(like: Geometry) -> Geometry:
    """A grid of 14 x 12 x 7 voxels in the directions of another."""
    return Geometry(SIZE, like.spacing_mm, like.origin_lps_mm, like.direction)


FLIPPED = Geometry(SIZE, (0.5, 0.75, 4.0), (0.0, 0.0, 0.0), (-1.0, 0, 0, 0, 1, 0, 0, 0, -1))
SAGITTAL = Geometry(SIZE, (0.7, 0.9, 3.0), (5.0, -8.0, 20.0), (0.0, 0, -1, 1, 0, 0, 0, -1, 0))
GRIDS = {"axial": grid(AXIAL), "oblique": grid(OBLIQUE), "flipped": FLIPPED, "sagittal": SAGITTAL,
         "tilted": grid(TILTED)}


def asymmetric() -> np.ndarray:
    """uint8 [K, J, I] of two structures, none of which is its own mirror image; the first and last slices are empty."""
    array = np.zeros(SIZE[::-1], np.uint8)
    array[1:4, 2:9, 2:5] = 1
    array[1, 2:4, 5:9] = 1
    array[3:6, 8:11, 7:12] = 2
    return array


def scan(folder: Path, geometry: Geometry, **tags: object) -> list[Path]:
    noise = np.random.default_rng(0).integers(0, 500, geometry.shape_kji).astype(np.int16)
    return write_series(folder, noise, geometry, **tags)


def write_seg(path: Path, files: list[Path], mask: np.ndarray, kind: str = "BINARY",
              names: tuple[str, ...] = ("long part", "short part")) -> Path:
    """A DICOM-SEG by highdicom of a series whose files are given from slice 0 on."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    segments = [hd.seg.SegmentDescription(
        number, name, codes.SCT.Organ, codes.SCT.Organ, "MANUAL") for number, name in enumerate(names, start=1)]
    pixels = mask
    if kind == "FRACTIONAL":
        pixels = np.stack([mask == value for value in range(1, len(names) + 1)], axis=-1).astype(np.float32) * 0.9
    path.parent.mkdir(parents=True, exist_ok=True)
    sources = [pydicom.dcmread(file) for file in files]
    for source in sources:
        for keyword in ("PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime", "AccessionNumber",
                        "ReferringPhysicianName"):
            source.setdefault(keyword, "")
    hd.seg.Segmentation(
        sources, pixels, kind, segments, generate_uid(), 7, generate_uid(), 1,
        "test", "test", "1", "1").save_as(path)
    return path


def write_contours(path: Path, files: list[Path], polygons: dict[str, list[np.ndarray]]) -> Path:
    """An RTSTRUCT of closed contours, LPS mm [n, 3] each, that refers to the series of the files."""
    source = pydicom.dcmread(files[0])
    dataset = slice_dataset(np.zeros((2, 2), np.int16), AXIAL, 0, Modality="RTSTRUCT")
    for keyword in ("Rows", "Columns", "PixelData", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
                    "BitsAllocated", "SamplesPerPixel", "PhotometricInterpretation"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    series, study, place = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = source.SeriesInstanceUID
    study.RTReferencedSeriesSequence = [series]
    place.FrameOfReferenceUID, place.RTReferencedStudySequence = source.FrameOfReferenceUID, [study]
    dataset.ReferencedFrameOfReferenceSequence = [place]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(polygons.items(), start=11):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, drawn.ReferencedROINumber, drawn.ContourSequence = number, name, number, []
        for points in contours:
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            item.ContourData = [f"{value:.4f}" for value in points.ravel()]
            drawn.ContourSequence.append(item)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(drawn)
    dataset.save_as(path, enforce_file_format=True)
    return path


def boxes(geometry: Geometry, low: tuple[int, int], high: tuple[int, int], slices: range) -> list[np.ndarray]:
    """The outlines, LPS mm [4, 3], of the pixels from ``low`` to ``high`` (I, J; inclusive) in some slices."""
    (i0, j0), (i1, j1) = low, high
    corners = [(i0 - 0.5, j0 - 0.5), (i1 + 0.5, j0 - 0.5), (i1 + 0.5, j1 + 0.5), (i0 - 0.5, j1 + 0.5)]
    return [geometry.index_to_lps([(*corner, k) for corner in corners]) for k in slices]


@pytest.mark.parametrize(("geometry", "kind"), [
    *((geometry, "BINARY") for geometry in GRIDS.values()), (GRIDS["oblique"], "FRACTIONAL"),
    (GRIDS["flipped"], "LABELMAP")], ids=[*GRIDS, "fractional", "label map"])
def test_a_dicom_seg_is_the_label_of_the_series_it_refers_to(tmp_path: Path, geometry: Geometry, kind: str) -> None:
    files = scan(tmp_path / "a", geometry)
    scan(tmp_path / "b", geometry)
    write_seg(tmp_path / "labels of all" / "x.dcm", files, asymmetric(), kind)
    found = find_cases(tmp_path, labeled=True)
    (case,) = found.cases
    assert case.name == "a" and found.label_names == {1: "long part", 2: "short part"}
    label = read_label_of(case, probe(case.image).geometry)
    np.testing.assert_array_equal(label.array, asymmetric())
    assert label.warnings == () and not geometry.difference(label.geometry)


@pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)
def test_contours_are_the_label_of_the_series_they_refer_to(tmp_path: Path, geometry: Geometry) -> None:
    files = scan(tmp_path / "a", geometry)
    upright = boxes(geometry, (2, 2), (4, 8), range(1, 4))
    upright[0] = np.concatenate([upright[0], boxes(geometry, (5, 2), (8, 3), range(1, 2))[0]])
    write_contours(tmp_path / "a" / "rt.dcm", files, {
        "long part": [*upright[1:], boxes(geometry, (2, 2), (4, 8), range(1, 2))[0],
                      boxes(geometry, (5, 2), (8, 3), range(1, 2))[0]],
        "short part": boxes(geometry, (7, 8), (11, 10), range(3, 6)), "empty": []})
    (case,) = find_cases(tmp_path, labeled=True).cases
    label = read_label_of(case, probe(case.image).geometry)
    np.testing.assert_array_equal(label.array, asymmetric())
    assert label.warnings == ()


def test_a_contour_within_another_is_a_hole() -> None:
    outer = np.array([(0.5, 0.5), (8.5, 0.5), (8.5, 8.5), (0.5, 8.5)])
    inner = np.array([(3.5, 3.5), (5.5, 3.5), (5.5, 5.5), (3.5, 5.5)])
    filled = fill_even_odd([outer, inner], (10, 10))
    assert filled.sum() == 8 * 8 - 2 * 2 and not filled[4, 4] and filled[2, 2]


def test_a_round_contour_is_filled_as_its_centres_say() -> None:
    angles = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    circle = np.column_stack([20.3 + 13.2 * np.cos(angles), 18.6 + 9.1 * np.sin(angles)])
    j, i = np.mgrid[:40, :44]
    truth = ((i - 20.3) / 13.2) ** 2 + ((j - 18.6) / 9.1) ** 2 <= 1
    assert np.count_nonzero(fill_even_odd([circle], (40, 44)) != truth) <= 1


def test_a_label_on_another_grid_is_resampled_with_a_warning(tmp_path: Path) -> None:
    coarse = grid(AXIAL)
    fine = Geometry((28, 24, 7), (0.25, 0.375, 4.0), (-0.125, -0.1875, 0.0), coarse.direction)
    files = scan(tmp_path / "coarse", coarse)
    seg = write_seg(tmp_path / "x.dcm", files, asymmetric())
    label = read_dicom_label(seg, fine)
    np.testing.assert_array_equal(label.array, asymmetric().repeat(2, axis=1).repeat(2, axis=2))
    assert "lies on another grid" in label.warnings[0]


def test_contours_on_every_other_slice_fill_the_slices_between_with_a_warning(tmp_path: Path) -> None:
    geometry = grid(AXIAL)
    files = scan(tmp_path / "a", geometry)
    write_contours(tmp_path / "rt.dcm", files, {"x": boxes(geometry, (2, 2), (4, 8), range(0, 7, 2))})
    label = read_dicom_label(tmp_path / "rt.dcm", geometry)
    assert label.array.any(axis=(1, 2)).all() and "one every 2 slices" in label.warnings[0]


def test_contours_across_the_slices_are_refused(tmp_path: Path) -> None:
    files = scan(tmp_path / "a", SAGITTAL)
    write_contours(tmp_path / "rt.dcm", files, {"x": boxes(SAGITTAL, (2, 2), (4, 8), range(1, 3))})
    with pytest.raises(UserError, match="do not lie in planes along the slices"):
        read_dicom_label(tmp_path / "rt.dcm", grid(AXIAL))


def test_structures_go_by_their_names_whatever_their_numbers(tmp_path: Path) -> None:
    geometry = grid(AXIAL)
    for name, names in (("a", ("long part", "short part")), ("b", ("short part", "long part"))):
        files = scan(tmp_path / name, geometry)
        write_seg(tmp_path / name / "x.dcm", files, asymmetric(), names=names)
    found = find_cases(tmp_path, labeled=True)
    first, second = (read_label_of(case, geometry).array for case in found.cases)
    assert set(found.label_names.values()) == {"long part", "short part"}
    np.testing.assert_array_equal(first == 1, second == 2)


def test_one_label_more_than_the_series_needs_is_not_guessed(tmp_path: Path) -> None:
    files = scan(tmp_path / "a", grid(AXIAL))
    for name in "xy":
        write_seg(tmp_path / f"{name}.dcm", files, asymmetric())
    with pytest.raises(UserError, match="None of the 1 scans"):
        find_cases(tmp_path, labeled=True)
    assert any("more than one, so that none is taken" in text for text in find_cases(tmp_path, labeled=False).warnings)


def test_a_label_of_no_series_here_is_said(tmp_path: Path) -> None:
    files = scan(tmp_path / "elsewhere" / "a", grid(AXIAL))
    write_seg(tmp_path / "here" / "x.dcm", files, asymmetric())
    scan(tmp_path / "here" / "b", grid(AXIAL))
    assert find_cases(tmp_path / "here", labeled=False).warnings == (
        "DICOM labels that refer to no series here: 1 (x.dcm).",)


def test_an_enhanced_file_has_its_label_too(tmp_path: Path) -> None:
    geometry = grid(OBLIQUE)
    noise = np.random.default_rng(0).integers(0, 500, geometry.shape_kji).astype(np.int16)
    file = write_enhanced(tmp_path / "a" / "one.dcm", [(noise[k], geometry, k, {}) for k in range(len(noise))])
    plain = scan(tmp_path.parent / f"{tmp_path.name}-plain", geometry,
                 SeriesInstanceUID=pydicom.dcmread(file).SeriesInstanceUID)
    write_seg(tmp_path / "a" / "x.dcm", plain, asymmetric())
    (case,) = find_cases(tmp_path, labeled=True).cases
    np.testing.assert_array_equal(read_label_of(case, probe(case.image).geometry).array, asymmetric())


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda d: d.PerFrameFunctionalGroupsSequence.pop(), "frames and the places of"),
    (lambda d: setattr(d, "PixelData", d.PixelData[:20]), "cut short"),
    (lambda d: setattr(d, "SegmentSequence", []), "which its header does not name"),
    (lambda d: d.SharedFunctionalGroupsSequence[0].__delattr__("PixelMeasuresSequence"), "damaged DICOM label"),
    (lambda d: setattr(d, "Rows", 60000), "cut short|more than any"),
], ids=["groups", "voxels", "segments", "spacing", "rows"])
def test_a_spoiled_label_costs_its_case_in_one_line(tmp_path: Path, spoil: object, words: str) -> None:
    files = scan(tmp_path / "a", grid(AXIAL))
    seg = write_seg(tmp_path / "x.dcm", files, asymmetric())
    dataset = pydicom.dcmread(seg)
    spoil(dataset)
    dataset.save_as(seg)
    with pytest.raises(UserError, match=words):
        read_dicom_label(seg, grid(AXIAL))


def test_cut_anywhere_a_label_is_a_usererror_or_what_it_was(tmp_path: Path) -> None:
    files = scan(tmp_path / "a", grid(AXIAL))
    seg = write_seg(tmp_path / "x.dcm", files, asymmetric())
    rt = write_contours(tmp_path / "rt.dcm", files, {"x": boxes(grid(AXIAL), (2, 2), (4, 8), range(0, 7))})
    for whole in (seg, rt):
        data = whole.read_bytes()
        for cut in np.linspace(200, len(data) - 1, 25).astype(int):
            whole.write_bytes(data[:cut])
            for read in (read_label_object, lambda path: read_dicom_label(path, grid(AXIAL))):
                try:
                    read(whole)
                except UserError as error:
                    assert "\n" not in error.message


def test_a_check_takes_labels_and_says_what_was_resampled(tmp_path: Path) -> None:
    files = scan(tmp_path / "a", grid(AXIAL))
    shifted = [pydicom.dcmread(file) for file in files]
    for number, dataset in enumerate(shifted):
        dataset.ImagePositionPatient = [dataset.ImagePositionPatient[0] + 0.2, *dataset.ImagePositionPatient[1:]]
        (tmp_path / "moved").mkdir(exist_ok=True)
        dataset.save_as(tmp_path / "moved" / f"{number}.dcm")
    write_seg(tmp_path / "a" / "x.dcm", [tmp_path / "moved" / f"{n}.dcm" for n in range(len(files))], asymmetric())
    for file in (tmp_path / "moved").iterdir():
        file.unlink()
    (tmp_path / "moved").rmdir()
    found = check(Folders(labeled=tmp_path), RunContext())
    assert found.facts[0].usable and found.labels.names == ("long part", "short part")
    assert any("lies on another grid" in finding.seen for finding in found.findings)


@pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)
def test_contours_that_are_written_here_come_back_as_they_were(tmp_path: Path, geometry: Geometry) -> None:
    mask = asymmetric()
    mask[2, 4:6, 3] = 0
    scan(tmp_path / "a", geometry)
    names = LabelSet.from_names({1: "long part", 2: "short part"})
    segmentation = Segmentation("a", mask, probe(tmp_path / "a").geometry, names)
    write_rtstruct(tmp_path / "rt.dcm", segmentation, read_source(tmp_path / "a"), DicomOptions())
    (case,) = find_cases(tmp_path, labeled=True).cases
    np.testing.assert_array_equal(read_label_of(case, segmentation.geometry).array, mask)


def test_the_label_of_one_stack_of_several_is_that_stacks_alone(tmp_path: Path) -> None:
    geometry = grid(AXIAL)
    for phase in range(2):
        files = scan(tmp_path / str(phase), geometry, SeriesInstanceUID="1.2.3", TemporalPositionIdentifier=phase + 1)
        for file in files:
            (tmp_path / "all").mkdir(exist_ok=True)
            file.rename(tmp_path / "all" / f"{phase}-{file.name}")
        (tmp_path / str(phase)).rmdir()
    second = sorted((tmp_path / "all").glob("1-*"), reverse=True)
    write_seg(tmp_path / "x.dcm", second, asymmetric())
    (case,) = find_cases(tmp_path, labeled=True).cases
    assert case.image.name.startswith("1-")
