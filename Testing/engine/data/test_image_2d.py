"""2-D images: grey ones become scans of one slice, colour and what cannot be read is refused with the reason."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from dicom_files import slice_dataset
from PIL import Image

from alhvr.core.errors import UserError
from alhvr.data import image_2d
from alhvr.data.cases import find_cases
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe, read_label, read_scan

GREY = np.arange(42, dtype=np.uint8).reshape(6, 7)
FLAT = Geometry((7, 6, 1), (0.2, 0.3, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


def _save(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def _xray(path: Path, **tags: object) -> Path:
    """A DICOM image without a place in the patient."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = slice_dataset(GREY.astype(np.int16), FLAT, 0, **{"Modality": "DX", **tags})
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient"):
        delattr(dataset, keyword)
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("ending", [".png", ".PNG", ".tif", ".tiff", ".bmp"])
def test_a_grey_image_is_a_scan_of_one_slice_with_pixels_of_1_mm(tmp_path: Path, ending: str) -> None:
    scan = read_scan(_save(tmp_path / f"a{ending}", GREY))
    assert scan.name == "a" and np.array_equal(scan.array, GREY[np.newaxis]) and scan.geometry.nominal
    assert (scan.geometry.size_ijk, scan.array.dtype) == ((7, 6, 1), np.uint8)


def test_a_jpeg_is_a_scan(tmp_path: Path) -> None:
    assert read_scan(_save(tmp_path / "a.jpg", GREY)).array.shape == (1, 6, 7)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_numbers_of_more_bits_are_kept(tmp_path: Path, kind: type) -> None:
    array = (GREY.astype(kind) * 900) if kind != np.float32 else GREY / np.float32(7)
    path = _save(tmp_path / "a.tif", array)
    assert np.array_equal(read_scan(path).array[0], array.astype(np.float32))
    assert probe(path).geometry.size_ijk == (7, 6, 1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_stored_as_colour_is_taken(tmp_path: Path, mode: str) -> None:
    assert np.array_equal(read_scan(_save(tmp_path / "a.png", GREY, mode)).array[0], GREY)


def test_colour_is_refused(tmp_path: Path) -> None:
    array = np.stack([GREY, GREY, GREY], axis=-1)
    array[2, 3, 1] += 1
    with pytest.raises(UserError, match=r"a.png is a colour image: its channels differ"):
        read_scan(_save(tmp_path / "a.png", array))


def test_transparency_is_refused_and_opaque_images_are_taken(tmp_path: Path) -> None:
    array = np.stack([GREY, GREY, GREY, np.full_like(GREY, 255)], axis=-1)
    assert np.array_equal(read_scan(_save(tmp_path / "a.png", array)).array[0], GREY)
    array[0, 0, 3] = 254
    with pytest.raises(UserError, match="transparent"):
        read_scan(_save(tmp_path / "b.png", array))


def test_several_pages_are_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(GREY)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UserError, match="holds 2 images; one is needed"):
        read_scan(tmp_path / "a.tif")


def _png_of(path: Path, width: int, height: int) -> Path:
    """A PNG whose header announces a size that its few bytes do not hold."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100))
                     + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("size", [(100_000, 100_000), (2**31 - 1, 2**31 - 1), (0, 5)])
def test_a_size_that_nobody_should_decode_is_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    path = _png_of(tmp_path / "a.png", *size)
    for read in (read_scan, read_label, probe):
        with pytest.raises(UserError, match="a.png"):
            read(path)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".bmp"])
def test_a_damaged_image_is_one_line(tmp_path: Path, ending: str) -> None:
    whole = _save(tmp_path / f"a{ending}", np.tile(GREY, (40, 40))).read_bytes()
    rng = np.random.default_rng(5)
    for seed in range(60):
        damaged = bytearray(whole[: len(whole) // 2] if seed == 0 else whole)
        for place in rng.integers(0, min(len(damaged), 300), 4):
            damaged[place] = rng.integers(256)
        (tmp_path / f"b{ending}").write_bytes(damaged)
        for read in (probe, read_scan, read_label):
            try:
                read(tmp_path / f"b{ending}")
            except UserError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_a_label_is_read_from_grey_values_or_palette_indices(tmp_path: Path, mode: str) -> None:
    values = (GREY % 3 if mode != "1" else GREY % 2).astype(np.uint8)
    image = Image.fromarray(values * 255).convert("1") if mode == "1" else Image.fromarray(values)
    if mode == "P":
        image = Image.fromarray(values, mode="P")
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_label(tmp_path / "a.png").array[0], values)


def test_a_label_in_jpeg_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="whose values are not those that were drawn. Save labels as PNG"):
        read_label(_save(tmp_path / "a.jpg", GREY))


def test_images_and_label_images_are_cases(tmp_path: Path) -> None:
    for name in "ab":
        _save(tmp_path / "images" / f"{name}.png", GREY)
        _save(tmp_path / "masks" / f"{name}.png", GREY % 2)
    assert [(c.name, c.label.name) for c in find_cases(tmp_path, labeled=True).cases] == [
        ("a", "a.png"), ("b", "b.png")]


def test_previews_beside_volumes_are_no_scans(tmp_path: Path) -> None:
    (tmp_path / "a.nii").touch()
    _save(tmp_path / "preview.png", GREY)
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["a"] and "2-D images among volumes: 1" in found.warnings[0]


@pytest.mark.parametrize(("tags", "spacing"), [
    ({}, (0.2, 0.3)), ({"PixelSpacing": None, "ImagerPixelSpacing": [0.5, 0.4]}, (0.4, 0.5)),
    ({"PixelSpacing": None}, (1.0, 1.0))])
def test_an_x_ray_is_a_scan_with_the_size_of_its_pixels(tmp_path: Path, tags: dict, spacing: tuple) -> None:
    path = _xray(tmp_path / "chest.dcm", **tags)
    scan = read_scan(path)
    assert np.array_equal(scan.array[0], GREY) and scan.geometry.spacing_mm == (*spacing, 1.0)
    assert probe(path).geometry == scan.geometry and scan.name == "chest"


def test_each_x_ray_of_a_folder_is_a_case(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.dcm", "IM0003"):
        _xray(tmp_path / name)
    assert [case.name for case in find_cases(tmp_path, labeled=False).cases] == ["IM0003", "a", "b"]
    assert read_scan(tmp_path / "IM0003").array.shape == (1, 6, 7)


def test_an_inverted_x_ray_is_turned_and_said(tmp_path: Path) -> None:
    scan = read_scan(_xray(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1"))
    assert np.ptp(scan.array[0] + GREY.astype(int)) == 0 and "turned round" in scan.warnings[0]


@pytest.mark.parametrize("differ", [False, True])
def test_ultrasound_in_colour_is_refused_and_grey_in_three_channels_taken(tmp_path: Path, differ: bool) -> None:
    pixels = np.stack([GREY, GREY, GREY], axis=-1)
    pixels[0, 0, 0] += differ
    path = _xray(tmp_path / "us.dcm", Modality="US", SamplesPerPixel=3, PhotometricInterpretation="RGB",
                 PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0,
                 PixelData=pixels.tobytes())
    if differ:
        with pytest.raises(UserError, match="us.dcm is a colour image"):
            read_scan(path)
    else:
        assert np.array_equal(read_scan(path).array[0], GREY)


def test_screenshots_of_a_ct_are_no_scans(tmp_path: Path) -> None:
    _xray(tmp_path / "shot.dcm", Modality="CT")
    with pytest.raises(UserError, match="holds no scans.*a place in the patient"):
        find_cases(tmp_path, labeled=False)


def test_a_larger_x_ray_than_anybody_should_decode_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(image_2d, "_MOST_PIXELS", 41)
    with pytest.raises(UserError, match="7 x 6 pixels"):
        read_scan(_xray(tmp_path / "a.dcm"))
