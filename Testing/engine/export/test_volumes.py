"""Result files carry the exact geometry and what Slicer needs, and are whole or not there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from alhvr.bundle.model import InferenceSettings
from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.reading import read_label
from alhvr.data.scan import Segmentation
from alhvr.export.volumes import ENDINGS, new_file, write_region_maps, write_segmentation
from alhvr.formats.labels import Code, Label, LabelSet
from alhvr.formats.region_tables import RegionMaps, make_region_maps
from alhvr.formats.terminology import terminology_entry

SHAPE = (4, 5, 6)
LABELS = LabelSet.from_names({1: "left kidney", 7: "Läsion (neu)"})


def _oblique() -> np.ndarray:
    angle, tilt = np.deg2rad(20), np.deg2rad(-35)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    return turn @ lean


def _sheared() -> np.ndarray:
    axes = _oblique()
    axes[:, 2] += 0.2 * axes[:, 0]
    return axes / np.linalg.norm(axes, axis=0)


def _segmentation(direction: np.ndarray | None = None, labels: LabelSet = LABELS) -> Segmentation:
    axes = _oblique() if direction is None else direction
    place = Geometry(SHAPE[::-1], (0.7, 1.1, 3.3), (10.123456789, -20.5, 33.3), tuple(float(x) for x in axes.ravel()))
    array = np.random.default_rng(0).integers(0, labels.n_classes, SHAPE).astype(np.uint8)
    return Segmentation("scan", labels.to_values(array), place, labels)


def _header(path: Path) -> dict[str, str]:
    """The fields and keys of a NRRD file."""
    text = path.read_bytes().split(b"\n\n")[0].decode("utf-8")
    return dict(re.split(":=|: ", line, maxsplit=1) for line in text.splitlines()[1:])


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_keeps_values_and_geometry_of_an_oblique_scan(tmp_path, ending):
    segmentation = _segmentation()
    path = write_segmentation(tmp_path / f"scan{ending}", segmentation)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), segmentation.array)
    assert Geometry.from_sitk(image).difference(segmentation.geometry, 1e-5) == ""


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nrrd", ".mha"])
def test_a_sheared_grid_is_kept_to_the_last_digit(tmp_path, ending):
    segmentation = _segmentation(_sheared())
    image = sitk.ReadImage(str(write_segmentation(tmp_path / f"scan{ending}", segmentation)))
    found = Geometry.from_sitk(image).affine_lps
    np.testing.assert_allclose(found, segmentation.geometry.affine_lps, rtol=0, atol=1e-14)


def test_a_sheared_grid_in_nifti_is_the_float32_affine_in_ras(tmp_path):
    segmentation = _segmentation(_sheared())
    data = write_segmentation(tmp_path / "scan.nii", segmentation).read_bytes()
    found = np.frombuffer(data, "<f4", 12, offset=280).reshape(3, 4)
    expected = np.diag([-1, -1, 1, 1]) @ segmentation.geometry.affine_lps
    np.testing.assert_array_equal(found, expected[:3].astype(np.float32))


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_engine_reads_back_what_it_wrote_on_a_sheared_grid(tmp_path, ending):
    segmentation = _segmentation(_sheared())
    found = read_label(write_segmentation(tmp_path / f"scan{ending}", segmentation))
    np.testing.assert_array_equal(found.array, segmentation.array)
    assert found.geometry.difference(segmentation.geometry, 1e-5) == ""


def test_label_values_above_255_are_kept(tmp_path):
    segmentation = _segmentation(labels=LabelSet.from_names({1: "liver", 300: "spleen"}))
    for ending in ENDINGS:
        image = sitk.ReadImage(str(write_segmentation(tmp_path / f"scan{ending}", segmentation)))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), segmentation.array)


def test_a_seg_nrrd_names_every_segment_as_slicer_expects_it(tmp_path):
    header = _header(write_segmentation(tmp_path / "scan.seg.nrrd", _segmentation()))
    assert (header["Segment0_Name"], header["Segment1_Name"]) == ("left kidney", "Läsion (neu)")
    assert (header["Segment0_LabelValue"], header["Segment1_LabelValue"]) == ("1", "7")
    assert header["Segment1_ID"] == "Segment_7"
    assert header["Segment0_Layer"] == header["Segment1_Layer"] == "0"
    assert header["Segment0_Extent"] == "0 5 0 4 0 3"
    colour = [float(channel) for channel in header["Segment0_Color"].split()]
    np.testing.assert_allclose(colour, LABELS.labels[0].colour_rgb, atol=1e-6)


def test_a_name_of_two_lines_stays_one_key_of_the_header(tmp_path):
    labels = LabelSet.from_names({1: "liver\nSegment0_LabelValue:=9", 7: "a\tb"})
    header = _header(write_segmentation(tmp_path / "scan.seg.nrrd", _segmentation(labels=labels)))
    assert (header["Segment0_Name"], header["Segment1_Name"]) == ("liver Segment0_LabelValue:=9", "a b")
    assert header["Segment0_LabelValue"] == "1"


def test_a_seg_nrrd_tells_representation_and_grid_in_slicers_words(tmp_path):
    segmentation = _segmentation()
    header = _header(write_segmentation(tmp_path / "scan.seg.nrrd", segmentation))
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert header["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert header["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    numbers = header["Segmentation_ConversionParameters"].split("|")[1].rstrip(";").split(";")
    ras = np.diag([-1, -1, 1, 1]) @ segmentation.geometry.affine_lps
    np.testing.assert_array_equal(np.array(numbers[:16], float).reshape(4, 4), ras)
    assert numbers[16:] == ["0", "5", "0", "4", "0", "3"]


def test_tags_hold_status_algorithm_and_a_terminology_entry(tmp_path):
    header = _header(write_segmentation(tmp_path / "scan.seg.nrrd", _segmentation()))
    tags = dict(tag.split(":", 1) for tag in header["Segment0_Tags"].rstrip("|").split("|"))
    assert tags["Segmentation.Status"] == "completed"
    assert tags["DICOM.SegmentAlgorithmType"] == "AUTOMATIC"
    assert tags["DICOM.SegmentAlgorithmName"]
    assert tags["TerminologyEntry"] == terminology_entry(LABELS.labels[0])


def test_a_terminology_entry_has_seven_parts_with_codes():
    parts = terminology_entry(LABELS.labels[0]).split("~")
    assert len(parts) == 7
    assert parts[2] == "SCT^64033007^Kidney"
    assert parts[3] == "SCT^7771000^Left"
    assert parts[5:] == ["^^", "^^"]


def test_separators_in_a_code_meaning_do_not_break_the_entry():
    odd = Code("99X", "1", "a~b^c|d&e\nf")
    parts = terminology_entry(Label(1, "odd", (1.0, 0.0, 0.0), odd, odd)).split("~")
    assert len(parts) == 7
    assert parts[1] == "99X^1^a b c d e f"


def region_maps() -> RegionMaps:
    """Of confidences at random."""
    rng = np.random.default_rng(0)
    return make_region_maps(rng.uniform(0.5, 1, SHAPE), rng.uniform(0.5, 1, SHAPE),
                            rng.integers(256, size=SHAPE, dtype=np.uint8),
                            InferenceSettings(fusion="competition", temperature=0.25), _segmentation().geometry)


def test_region_maps_are_uint16_and_uint8_on_the_same_grid(tmp_path):
    place = _segmentation().geometry
    maps = region_maps()
    paths = write_region_maps(tmp_path, "scan", maps)
    assert [path.name for path in paths] == [
        "scan.confidence-a.nrrd", "scan.confidence-b.nrrd", "scan.teacher.nrrd", "scan.regions.nrrd",
        "scan.regions.json"]
    teacher = maps.teacher.astype(np.uint16) * 257
    for path, expected in zip(paths, (maps.confidence_a, maps.confidence_b, teacher, maps.region), strict=False):
        image = sitk.ReadImage(str(path))
        found = sitk.GetArrayFromImage(image)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        assert Geometry.from_sitk(image).difference(place, 1e-9) == ""


def test_the_table_lets_a_viewer_redraw_the_regions_of_any_beta(tmp_path):
    maps = region_maps()
    table = json.loads(write_region_maps(tmp_path, "scan", maps)[-1].read_text())
    assert list(table["gamma_by_beta"])[:2] == ["0.00", "0.01"]
    assert len(table["gamma_by_beta"]) == len(table["threshold_by_beta"]) == 101
    assert table["gamma"] == table["gamma_by_beta"]["0.80"]
    a, b = (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / table["files"][f"confidence-{n}"]))) for n in "ab")
    threshold = table["threshold_by_beta"]["0.80"]
    np.testing.assert_array_equal(maps.region, 1 + (a < threshold).astype(int) + (b < threshold))
    assert table["voxels_by_beta"]["0.80"] == [int((maps.region == number).sum()) for number in (1, 2, 3)]
    assert table["voxel_volume_ml"] == pytest.approx(_segmentation().geometry.voxel_volume_ml)
    assert (table["fusion"], table["temperature"]) == ("competition", 0.25)
    assert table["spacing_may_be_nominal"] is False


def test_maps_without_compression_hold_the_same(tmp_path):
    packed, plain = (write_region_maps(tmp_path / str(level), "scan", region_maps(), level=level) for level in (1, 0))
    assert b"encoding: raw" in plain[0].read_bytes()[:400]
    for one, other in zip(packed[:-1], plain[:-1], strict=True):
        first, second = sitk.ReadImage(str(one)), sitk.ReadImage(str(other))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(first), sitk.GetArrayFromImage(second))
        assert first.GetDirection() == second.GetDirection() and first.GetOrigin() == second.GetOrigin()


def test_the_same_result_gives_the_same_bytes(tmp_path):
    for ending in ENDINGS:
        first, second = (write_segmentation(tmp_path / f"{n}{ending}", _segmentation()) for n in (1, 2))
        assert first.read_bytes() == second.read_bytes()


def test_paths_with_spaces_and_other_letters_work_and_folders_are_made(tmp_path):
    path = write_segmentation(tmp_path / "neuer Ordner" / "Prüfung Ω 患者.seg.nrrd", _segmentation())
    assert path.stat().st_size > 500


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"scan.jpg.*\.seg\.nrrd, \.nii\.gz"):
        write_segmentation(tmp_path / "deep" / "scan.jpg", _segmentation())
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "scan.seg.nrrd"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), new_file(path) as file:
        file.write(b"half of the n")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["scan.seg.nrrd"]


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="scan.nrrd could not be written.*folder that you may write to"):
        write_segmentation(tmp_path / "file" / "scan.nrrd", _segmentation())


def test_a_folder_without_write_permission_is_a_clear_error(tmp_path):
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(UserError, match="could not be written"):
        write_segmentation(tmp_path / "scan.nrrd", _segmentation())


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from alhvr.core.errors import UserError
from alhvr.export.volumes import new_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with new_file(Path({path!r})) as file:
        file.write(bytes(100_000))
except UserError as error:
    sys.exit("refused: " + str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a Unix thing")
def test_a_full_disk_leaves_no_partial_file(tmp_path):
    code = FULL_DISK.format(path=str(tmp_path / "scan.nrrd"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("refused: ")
    assert "could not be written" in done.stderr
    assert not list(tmp_path.iterdir())
