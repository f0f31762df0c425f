"""One DICOM file: with or without preamble, and whatever a spoiled one holds costs that file, with its reason."""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import slice_dataset, write_series
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from alhvr.core.errors import UserError
from alhvr.data.dicom_slice import SliceHeader, Unusable, read_slice
from alhvr.data.dicom_stack import check_structure
from alhvr.data.geometry import Geometry
from alhvr.data.reading import read_scan

GRID = Geometry((12, 10, 5), (0.5, 0.75, 4.0), (-10.0, 20.0, 30.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
VOXELS = np.random.default_rng(0).integers(-1000, 2000, GRID.shape_kji).astype(np.int16)
ROWS, COLUMNS, POSITION = b"\x28\x00\x10\x00", b"\x28\x00\x11\x00", b"\x20\x00\x32\x00"


def image(path: Path, **tags: object) -> Path:
    """One slice as a file."""
    with pydicom.config.disable_value_validation():
        slice_dataset(VOXELS[2], GRID, 2, **{"SeriesInstanceUID": "1.2.3", **tags}).save_as(
            path, enforce_file_format=True)
    return path


def replaced(path: Path, tag: bytes, element: bytes) -> Path:
    """The element ``tag`` (short form) of an explicit file becomes ``element``, byte by byte."""
    data = path.read_bytes()
    at = data.index(tag, 132)
    length = struct.unpack_from("<H", data, at + 6)[0]
    path.write_bytes(data[:at] + element + data[at + 8 + length:])
    return path


def element(tag: bytes, vr: bytes, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    return tag + vr + struct.pack("<H", len(value)) + value


def raw(path: Path, tag: bytes, keyword: str, value: bytes) -> Path:
    """An image whose tag holds these bytes."""
    image(path, **{keyword: "1"})
    return replaced(path, tag, tag + path.read_bytes()[path.read_bytes().index(tag, 132) + 4:][:2]
                    + struct.pack("<H", len(value)) + value)


def nested(depth: int, *, defined: bool) -> bytes:
    """Sequences within sequences as one element of group 0040."""
    body = b""
    for level in range(depth):
        tag = struct.pack("<HH", 0x0040, 0x0275 if level == depth - 1 else 0xA730)
        ends = b"" if defined else struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        length = len(body) if defined else 0xFFFFFFFF
        item = struct.pack("<HHI", 0xFFFE, 0xE000, length) + body
        body = tag + b"SQ\0\0" + struct.pack("<I", len(item) if defined else 0xFFFFFFFF) + item + ends
    return body


def before_voxels(path: Path, more: bytes) -> Path:
    data = path.read_bytes()
    at = data.rindex(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(data[:at] + more + data[at:])
    return path


def without_preamble(path: Path) -> Path:
    stream = BytesIO()
    pydicom.dcmwrite(stream, pydicom.Dataset(pydicom.dcmread(path)), implicit_vr=True, little_endian=True,
                     enforce_file_format=False)
    path.write_bytes(stream.getvalue())
    return path


HEADERS = {
    "a position that is no number": (lambda p: replaced(p, POSITION, element(POSITION, b"DS", b"\x01.0\\0\\0")),
                                     "ImagePositionPatient"),
    "a position of two numbers": (lambda p: image(p, ImagePositionPatient=["0", "0"]), "3 numbers are needed"),
    "a position without end": (lambda p: image(p, ImagePositionPatient=["inf", "0", "0"]), "3 numbers are needed"),
    "an unknown kind of value": (lambda p: replaced(p, ROWS, element(ROWS, b"\x55\xd3", b"\x0a\0")), ""),
    "an unknown kind of value in letters": (lambda p: replaced(p, ROWS, element(ROWS, b"QQ", b"\x0a\0")), ""),
    "Rows twice": (lambda p: replaced(p, ROWS, element(ROWS, b"US", b"\x0a\0\x0a\0")), "Rows"),
    "no columns": (lambda p: replaced(p, COLUMNS, element(COLUMNS, b"US", b"\0\0")), "Columns"),
    "frames in words": (lambda p: raw(p, b"\x28\x00\x08\x00", "NumberOfFrames", b"n/a "), "NumberOfFrames"),
    "one pixel spacing": (lambda p: image(p, PixelSpacing="3.6"), 'PixelSpacing is "3.6"; 2 numbers'),
    "a pixel spacing of 0": (lambda p: image(p, PixelSpacing=["0", "0"]), "PixelSpacing is 0 x 0 mm"),
    "a negative pixel spacing": (lambda p: image(p, PixelSpacing=["1", "-1"]), "PixelSpacing is 1 x -1 mm"),
    "a pixel spacing beyond any": (lambda p: image(p, PixelSpacing=["1e300", "1"]), "PixelSpacing is 1e+300 x 1 mm"),
    "a pixel spacing below any": (lambda p: image(p, PixelSpacing=["1e-300", "1"]), "PixelSpacing is 1e-300 x 1 mm"),
    "a position outside of any scanner": (lambda p: image(p, ImagePositionPatient=["0", "1e308", "0"]),
                                          "outside of any scanner"),
    "directions of length 0": (lambda p: image(p, ImageOrientationPatient=["0"] * 6), "right angle"),
    "directions at no right angle": (lambda p: image(p, ImageOrientationPatient=["1", "0", "0", "0.5", "0.866", "0"]),
                                     "right angle"),
    "a slope of NaN": (lambda p: image(p, RescaleSlope="nan", RescaleIntercept="0"), "RescaleSlope"),
    "a slope of 0": (lambda p: image(p, RescaleSlope="0", RescaleIntercept="0"), "RescaleSlope is 0"),
    "an intercept with an underscore": (lambda p: raw(p, b"\x28\x00\x52\x10", "RescaleIntercept", b"1_0 "),
                                        "RescaleIntercept"),
    "an intercept of zero bytes": (lambda p: raw(p, b"\x28\x00\x52\x10", "RescaleIntercept", b"\0\0\0\0"),
                                   "RescaleIntercept"),
    "a position in hexadecimal": (lambda p: replaced(p, POSITION, element(POSITION, b"DS", b"0x10")),
                                  "ImagePositionPatient"),
    "a sign beyond any": (lambda p: image(p, PixelRepresentation=3), "PixelRepresentation"),
    "a palette": (lambda p: image(p, PhotometricInterpretation="PALETTE COLOR"), "PhotometricInterpretation"),
    "an intercept in words": (lambda p: raw(p, b"\x28\x00\x52\x10", "RescaleIntercept", b"none"), "RescaleIntercept"),
    "no sign": (lambda p: image(p, PixelRepresentation=None), "no PixelRepresentation"),
    "deep sequences": (lambda p: before_voxels(image(p), nested(5000, defined=False)), "nested too deeply"),
    "a value longer than the file": (lambda p: before_voxels(image(p), struct.pack("<HH", 0x40, 0x275) + b"SQ\0\0"
                                                             + b"\xff\xff\xff\x7f"), "beyond the end"),
    "a header cut off": (lambda p: p.write_bytes(image(p).read_bytes()[:500]), "beyond the end"),
    "a preamble and no more": (lambda p: p.write_bytes(image(p).read_bytes()[:134]), "cut short"),
    "voxels cut off": (lambda p: p.write_bytes(image(p).read_bytes()[:-180]), "cut short"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_spoiled_header_costs_its_file_with_the_reason(tmp_path: Path, kind: str) -> None:
    spoil, words = HEADERS[kind]
    path = image(tmp_path / "x.dcm")
    spoil(path)
    found = read_slice(path)
    assert isinstance(found, Unusable) and words in found.reason and "\n" not in found.reason


OTHER_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "it is empty"),
    "zeros": (lambda p: p.write_bytes(bytes(4000)), "nothing but zeros"),
    "web page": (lambda p: p.write_text("<!DOCTYPE html><html>Log in</html>"), "web page"),
    "pointer": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "Git LFS"),
    "text": (lambda p: p.write_text("not here"), "no DICOM file"),
    "dead link": (lambda p: p.symlink_to("/nowhere/x.dcm"), "link to a file that is not there"),
    "pipe": (os.mkfifo, "pipe"),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_what_is_called_dcm_and_is_none_is_named(tmp_path: Path, kind: str) -> None:
    make, words = OTHER_FILES[kind]
    make(tmp_path / "x.dcm")
    found = read_slice(tmp_path / "x.dcm")
    assert isinstance(found, Unusable) and words in found.reason


@pytest.mark.parametrize("content", [b"", b"\0" * 500, b"just text", b"n+1" * 100, b"\x08\x00\x08\x00text, and more"])
def test_a_file_of_another_name_and_content_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes").write_bytes(content)
    assert read_slice(tmp_path / "notes") is None


@pytest.mark.parametrize("name", ["x.dcm", "IM 001", "1.2.840.7"])
def test_an_image_without_preamble_is_read_like_one_with_it(tmp_path: Path, name: str) -> None:
    whole = image(tmp_path / "a" if name == "a" else tmp_path / name)
    before = read_slice(whole)
    assert isinstance(before, SliceHeader) and read_slice(without_preamble(whole)) == before


def test_voxels_of_images_without_preamble_are_those_of_the_others(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, VOXELS, GRID)):
        if index % 2:
            without_preamble(path)
    np.testing.assert_array_equal(read_scan(tmp_path).array, VOXELS)


@pytest.mark.parametrize("value", [b"Anonym", b"0 ", b"-3", b""])
def test_a_thickness_that_is_no_distance_does_not_cost_the_image(tmp_path: Path, value: bytes) -> None:
    found = read_slice(raw(tmp_path / "x.dcm", b"\x18\x00\x50\x00", "SliceThickness", value))
    assert isinstance(found, SliceHeader) and found.thickness_mm is None


def test_a_lookup_table_in_place_of_a_slope_is_refused(tmp_path: Path) -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [4, 0, 16], "HU", bytes(8)
    found = read_slice(image(tmp_path / "x.dcm", ModalityLUTSequence=[table]))
    assert isinstance(found, Unusable) and "lookup table" in found.reason


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("depth", [300, 5000])
def test_sequences_too_deep_for_the_decoding_library_never_reach_it(tmp_path: Path, depth: int, defined: bool) -> None:
    files = write_series(tmp_path, VOXELS, GRID)
    before_voxels(files[2], nested(min(depth, 2000) if defined else depth, defined=defined))
    with pytest.raises(UserError, match=files[2].name):
        read_scan(tmp_path)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless],
                         ids=lambda uid: uid.name)
def test_every_coding_passes_the_look_at_its_structure(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    wide = Geometry((64, 48, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), GRID.direction)
    voxels = np.random.default_rng(1).integers(0, 2000, wide.shape_kji).astype(np.int16)
    for path in write_series(tmp_path, voxels, wide):
        dataset = pydicom.dcmread(path)
        if syntax == RLELossless:
            dataset.compress(syntax, generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read_scan(tmp_path).array, voxels)


def test_compressed_voxels_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    wide = Geometry((64, 48, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), GRID.direction)
    files = write_series(tmp_path, np.random.default_rng(1).integers(0, 2000, wide.shape_kji).astype(np.int16), wide)
    dataset = pydicom.dcmread(files[0])
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(files[0], enforce_file_format=True)
    files[0].write_bytes(files[0].read_bytes()[:-200])
    with pytest.raises(ValueError, match="cut short"):
        check_structure(files[0])
    with pytest.raises(UserError, match=files[0].name):
        read_scan(tmp_path)


def test_a_deflated_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = image(tmp_path / "x.dcm")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    start = 144 + struct.unpack_from("<I", data, 140)[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = b"".join(packer.compress(bytes(1 << 24)) for _ in range(9)) + packer.flush()
    path.write_bytes(data[:start] + packed)
    found = read_slice(path)
    assert isinstance(found, Unusable) and "unpacks to more than" in found.reason


def test_a_header_of_endless_elements_ends_in_time(tmp_path: Path) -> None:
    path = before_voxels(image(tmp_path / "x.dcm"), b"".join(
        element(struct.pack("<HH", 0x0051, n & 0xFFFF), b"US", b"\0\0") for n in range(250_000)))
    start = time.monotonic()
    assert isinstance(read_slice(path), Unusable)
    assert time.monotonic() - start < 12


def test_a_byte_of_the_header_changed_at_random_never_ends_in_anything_but_a_word(tmp_path: Path) -> None:
    files = write_series(tmp_path, VOXELS, GRID)
    data = files[2].read_bytes()
    random = np.random.default_rng(3)
    for place, value in zip(random.integers(128, len(data) - 240, 80), random.integers(0, 256, 80), strict=True):
        files[2].write_bytes(data[:place] + bytes([value]) + data[place + 1:])
        try:
            scan = read_scan(tmp_path)
        except UserError:
            continue
        if not scan.warnings:
            np.testing.assert_array_equal(scan.array, VOXELS, err_msg=f"byte {place} is {value}")
