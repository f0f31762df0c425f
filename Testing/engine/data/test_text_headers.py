"""Text headers of NRRD and MetaImage: what no image has, or names another file, is refused in one line."""

from __future__ import annotations

import gzip
import os
import socket
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.data.reading import probe, read_label, read_scan

ARRAY = np.arange(24, dtype="<i2").reshape(4, 3, 2)
NRRD = {"type": "short", "dimension": "3", "sizes": "2 3 4", "encoding": "raw", "endian": "little", "space": "LPS",
        "space directions": "(1,0,0) (0,2,0) (0,0,3)"}
META = {"NDims": "3", "BinaryData": "True", "ElementSpacing": "1 2 3", "DimSize": "2 3 4", "ElementType": "MET_SHORT"}


def nrrd(path: Path, body: bytes = ARRAY.tobytes(), **fields: str | None) -> Path:
    """A NRRD file with these fields, "_" for a space in their names; None leaves one out."""
    told = {**NRRD, **{name.replace("_", " "): text for name, text in fields.items()}}
    lines = ["NRRD0004", *(f"{name}: {text}" for name, text in told.items() if text is not None), "", ""]
    path.write_bytes("\n".join(lines).encode() + body)
    return path


def meta(path: Path, body: bytes = ARRAY.tobytes(), **fields: str | None) -> Path:
    """A MetaImage file with these fields; None leaves one out."""
    told = {**META, "ElementDataFile": "LOCAL", **fields}
    where = told.pop("ElementDataFile")
    lines = [*(f"{name} = {text}" for name, text in told.items() if text is not None)]
    lines += [f"ElementDataFile = {where}", ""] if where is not None else []
    path.write_bytes("\n".join(lines).encode() + body)
    return path


def refused(path: Path, *words: str) -> None:
    """Every way to read the file says the same in one line, without waiting."""
    began = time.monotonic()
    for read in (read_scan, read_label, probe):
        with pytest.raises(UserError) as caught:
            read(path)
        line = str(caught.value)
        assert path.name in line and "\n" not in line and line.isprintable() and len(line) < 1000
        for word in words:
            assert word in line
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("field", "text"), [
    ("NDims", "-1"), ("NDims", "0"), ("NDims", "11"), ("NDims", "99999999999999999999"), ("NDims", "x"), ("NDims", ""),
    ("NDims", "3" * 5000), ("DimSize", "2 3"), ("DimSize", "2 3 4 5"), ("DimSize", "-2 3 4"), ("DimSize", "0 3 4"),
    ("DimSize", "2 3 9999999999"), ("DimSize", "2 3 nan"), ("DimSize", "2 3 1_0"), ("DimSize", "1 " * 5000),
    ("ElementType", "MET_NONE"), ("ElementType", "A" * 5000), ("ElementSpacing", "1 2"), ("ElementSpacing", "1 2 nan"),
    ("ElementSpacing", "0 1 1"), ("Offset", "inf 0 0"), ("Offset", "1e400 0 0"),
    ("TransformMatrix", "0 0 0 0 0 0 0 0 0"), ("TransformMatrix", "1 0 0 1 0 0 0 0 1"),
    ("TransformMatrix", "7 0 0 0 1 0 0 0 1"), ("BinaryData", "perhaps"), ("CompressedData", "%s%n"),
    ("BinaryDataByteOrderMSB", "?"), ("HeaderSize", "-7"), ("HeaderSize", "nan"),
    ("ElementNumberOfChannels", "99999999999999999999")])
def test_numbers_of_a_metaimage_that_no_image_has_are_refused(tmp_path: Path, field: str, text: str) -> None:
    refused(meta(tmp_path / "bad.mha", **{field: text}))


@pytest.mark.parametrize(("field", "text"), [
    ("dimension", "-1"), ("dimension", "0"), ("dimension", "17"), ("dimension", "9" * 400), ("dimension", None),
    ("sizes", "2 3"), ("sizes", "2 3 -4"), ("sizes", "2 3 0"), ("sizes", "2 3\x1d4"),
    ("sizes", "1" * 5000), ("sizes", "2 3 9999999999"),
    ("sizes", None), ("type", "block"), ("type", "A" * 5000), ("type", None), ("encoding", "bzip2"),
    ("encoding", "A" * 5000), ("encoding", None), ("endian", "A" * 5000), ("endian", "middle"), ("endian", None),
    ("space", "A" * 5000), ("space", "RAST"), ("space directions", "(1,0,0) (0,1,0)"),
    ("space directions", "(1,0,0) (0,1,0) (0,0,nan)"), ("space directions", "(1,0,0) (1,0,0) (0,0,1)"),
    ("space directions", "(0,0,0) (0,1,0) (0,0,1)"), ("space directions", "(1,0) (0,1) (1,1)"),
    ("space directions", "(" * 5000), ("space origin", "(1e400,0,0)"), ("space origin", "%s%n"),
    ("spacings", "1 2 3"), ("kinds", "domain domain"), ("line skip", "-1"), ("line skip", "9" * 12),
    ("byte skip", "-2"), ("byte skip", "9" * 18), ("byte skip", "9" * 400)])
def test_fields_of_a_nrrd_that_no_image_has_are_refused(tmp_path: Path, field: str, text: str | None) -> None:
    refused(nrrd(tmp_path / "bad.nrrd", **{field.replace(" ", "_"): text}))


def test_an_unknown_value_is_refused_with_those_that_are_read(tmp_path: Path) -> None:
    refused(nrrd(tmp_path / "a.nrrd", encoding="bzip2"), '"bzip2"', "raw, gzip, gz, ascii")
    refused(meta(tmp_path / "a.mha", ElementType="MET_FOO"), '"MET_FOO"', "met_short")


def test_a_field_given_twice_is_refused(tmp_path: Path) -> None:
    refused(nrrd(tmp_path / "a.nrrd", endian="little\nendian: big"), "endian twice")
    refused(meta(tmp_path / "a.mha", DimSize="2 3 4\nDimSize = 4 3 2"), "DimSize twice")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("write", [nrrd, meta])
def test_more_voxels_than_the_file_can_hold_are_refused_before_memory_is_taken(
        tmp_path: Path, write: Callable[..., Path], packed: bool) -> None:
    huge = "100000 100000 100000"
    if write is nrrd:
        body = gzip.compress(ARRAY.tobytes()) if packed else ARRAY.tobytes()
        refused(nrrd(tmp_path / "a.nrrd", body, sizes=huge, encoding="gzip" if packed else "raw"), "cut short")
    else:
        body = zlib.compress(ARRAY.tobytes()) if packed else ARRAY.tobytes()
        refused(meta(tmp_path / "a.mha", body, DimSize=huge, CompressedData=str(packed)), "cut short")


@pytest.mark.parametrize("ending", ["nrrd", "nhdr", "mha", "mhd"])
def test_a_header_without_end_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    with path.open("wb") as file:
        file.write(b"NRRD0004\n# " if ending in ("nrrd", "nhdr") else b"Comment = ")
        for _ in range(20):
            file.write(b"x" * 2**20)
    refused(path, "8 MB")


STRANGE = ["{tmp}/secret.bin", "../secret.bin", "./../secret.bin", "sub/../../secret.bin", "sub/inner.bin",
           "..\\secret.bin", "C:secret.bin", "..", ".", "a\0b", "link.bin", "folder_link/secret.bin", "nowhere.bin",
           "%s%n%s%n", "%s.bin 0 1 1", "%d%d.bin 0 1 1", "s%999999999d.bin 0 1 1", "s%d.bin 0 999999999 1",
           "s%d.bin 0 1 0", "s%d.bin a b c", "s%d.bin 0 \u0661 1", "s%d.bin", "LIST 77", "A" * 5000]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a link out of it, beside a file that is none of its business."""
    (tmp_path / "secret.bin").write_bytes(b"x" * 4096)
    (tmp_path / "scans" / "sub").mkdir(parents=True)
    (tmp_path / "scans" / "sub" / "inner.bin").write_bytes(b"x" * 4096)
    (tmp_path / "scans" / "link.bin").symlink_to("../secret.bin")
    (tmp_path / "scans" / "folder_link").symlink_to("..")
    return tmp_path / "scans"


@pytest.mark.parametrize("where", STRANGE)
def test_voxels_are_read_from_a_plain_file_beside_the_header_and_from_nowhere_else(folder: Path, where: str) -> None:
    where = where.format(tmp=folder.parent) if "{" in where else where
    refused(nrrd(folder / "a.nrrd", b"", data_file=where))
    refused(nrrd(folder / "a.nhdr", b"", data_file=where))
    refused(meta(folder / "a.mha", b"", ElementDataFile=where))
    refused(meta(folder / "a.mhd", b"", ElementDataFile=where))


@pytest.mark.parametrize("where", ["{tmp}/secret.bin", "../secret.bin", "link.bin"])
def test_a_list_of_files_leads_nowhere_else_either(folder: Path, where: str) -> None:
    names = "\n".join([where.format(tmp=folder.parent)] * 4)
    refused(nrrd(folder / "a.nhdr", b"", data_file=f"LIST\n{names}"), "beside")
    refused(meta(folder / "a.mhd", b"", ElementDataFile=f"LIST\n{names}"), "beside")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, listening, device])
@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "seg.nrrd", "nhdr", "mha", "mhd"])
def test_a_pipe_a_socket_or_a_device_is_refused_and_not_waited_for(
        tmp_path: Path, make: Callable[[Path], None], ending: str) -> None:
    make(tmp_path / f"a.{ending}")
    refused(tmp_path / f"a.{ending}", "a file is expected")


@pytest.mark.parametrize("make", [pipe, listening, device])
def test_a_pipe_a_socket_or_a_device_holds_no_voxels(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.raw")
    refused(nrrd(tmp_path / "a.nhdr", b"", data_file="a.raw"), "a.raw, which is no plain file")
    refused(meta(tmp_path / "a.mhd", b"", ElementDataFile="a.raw"), "a.raw, which is no plain file")


def test_a_link_to_a_file_of_the_same_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(ARRAY.tobytes())
    (tmp_path / "a.raw").symlink_to("real.bin")
    np.testing.assert_array_equal(read_scan(nrrd(tmp_path / "a.nhdr", b"", data_file="./a.raw")).array, ARRAY)


def test_a_header_that_is_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "a.nrrd").symlink_to(nrrd(tmp_path / "store" / "x.nrrd"))
    np.testing.assert_array_equal(read_scan(tmp_path / "a.nrrd").array, ARRAY)


TEXT = " ".join(map(str, ARRAY.ravel())).encode()
USUAL: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "NRRD as text": ("nrrd", lambda path: nrrd(path, TEXT, encoding="ascii")),
    "NRRD as hex": ("nrrd", lambda path: nrrd(path, ARRAY.tobytes().hex().encode(), encoding="hex")),
    "NRRD in gzip members": ("nrrd", lambda path: nrrd(
        path, gzip.compress(ARRAY.tobytes()[:9]) + gzip.compress(ARRAY.tobytes()[9:]), encoding="gz")),
    "NRRD after other bytes": ("nrrd", lambda path: nrrd(path, b"abc" + ARRAY.tobytes(), byte_skip="3")),
    "NRRD at the end": ("nrrd", lambda path: nrrd(path, b"abcde" + ARRAY.tobytes(), byte_skip="-1")),
    "NRRD after lines": ("nrrd", lambda path: nrrd(path, b"one\ntwo\n" + ARRAY.tobytes(), line_skip="2")),
    "NRRD of other spelling": ("nrrd", lambda path: nrrd(
        path, space_directions=None, spaceDirections="( 1, 0, 0 ) (0,2,0)(0,0,3)", Kinds="space space space")),
    "NRRD of spacings": ("nrrd", lambda path: nrrd(
        path, space=None, space_directions=None, spacings="1 -2 3", axis_mins="1 2 3", centers="cell node cell")),
    "NRRD big-endian": ("nrrd", lambda path: nrrd(path, ARRAY.astype(">i2").tobytes(), endian="big")),
    "NRRD of one channel": ("nrrd", lambda path: nrrd(
        path, dimension="4", sizes="1 2 3 4", kinds="list domain domain domain",
        space_directions="none (1,0,0) (0,2,0) (0,0,3)")),
    "NRRD in slices": ("nhdr", lambda path: nrrd(path, b"", data_file="s%d.raw 0 3 1")),
    "NRRD in slices, backwards": ("nhdr", lambda path: nrrd(path, b"", data_file="s%01d.raw 3 0 -1")),
    "NRRD in a list": ("nhdr", lambda path: nrrd(path, b"", data_file="LIST\ns0.raw\ns2.raw\ns1.raw\ns3.raw")),
    "MetaImage as text": ("mha", lambda path: meta(path, TEXT + b"\n", BinaryData="False")),
    "MetaImage packed": ("mha", lambda path: meta(
        path, zlib.compress(ARRAY.tobytes()), CompressedData="True",
        CompressedDataSize=str(len(zlib.compress(ARRAY.tobytes()))))),
    "MetaImage at the end": ("mha", lambda path: meta(path, b"abc" + ARRAY.tobytes(), HeaderSize="-1")),
    "MetaImage turned": ("mha", lambda path: meta(
        path, TransformMatrix="0 1 0 -1 0 0 0 0 1", ElementSpacing="1 -2 3", Offset="1 2 3")),
    "MetaImage in slices": ("mhd", lambda path: meta(path, b"", ElementDataFile="s%d.raw 0 3 1")),
    "MetaImage in a list": ("mhd", lambda path: meta(
        path, b"", ElementDataFile="LIST\ns3.raw\ns2.raw\ns1.raw\ns0.raw")),
}
"""Ways to write a good file, each read by ITK too."""


@pytest.mark.parametrize("how", USUAL)
def test_a_good_file_is_read_as_itk_reads_it(tmp_path: Path, how: str) -> None:
    for index, plane in enumerate(ARRAY):
        (tmp_path / f"s{index}.raw").write_bytes(plane.tobytes())
    ending, write = USUAL[how]
    path = write(tmp_path / f"a.{ending}")
    if how == "NRRD in a list":
        path.write_bytes(path.read_bytes().rstrip(b"\n") + b"\n")  # ITK takes an empty line for another name
    scan, image = read_scan(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(scan.array, sitk.GetArrayFromImage(image))
    assert scan.geometry.spacing_mm == image.GetSpacing() and scan.geometry.direction == image.GetDirection()
    assert scan.geometry.origin_lps_mm == image.GetOrigin() and scan.array.dtype == np.int16


@pytest.mark.parametrize("ending", ["mha", "mhd", "nrrd", "nhdr"])
def test_what_itk_copies_into_a_header_is_passed_over(tmp_path: Path, ending: str) -> None:
    image = sitk.GetImageFromArray(ARRAY)
    copied = {"0008|0060": "CT", "0010|4000": "one line\nanother one", "a key": "x", "ITK_foo": "y=z: 3", "": "x",
              "Comment": "hello", "Experiment.Date": "2020: 1"}
    for key, text in copied.items():
        image.SetMetaData(key, text)
    sitk.WriteImage(image, str(tmp_path / f"a.{ending}"))
    scan = read_scan(tmp_path / f"a.{ending}")
    assert scan.warnings == ()
    np.testing.assert_array_equal(scan.array, ARRAY)


def test_a_metaimage_without_a_place_whose_fields_are_strange_is_read_with_a_warning(tmp_path: Path) -> None:
    path = meta(tmp_path / "a.mha", TransformMatrjx="0 1 0 1 0 0 0 0 1", Offset="1 2 3")
    assert "no TransformMatrix" in read_scan(path).warnings[0] and "TransformMatrjx" in read_scan(path).warnings[0]


@pytest.mark.parametrize("line", ["TransformMatrix 0 1 0 1 0 0 0 0 1", "0.5 0.5", "\0\0"])
def test_a_line_of_a_metaimage_that_is_no_field_is_refused(tmp_path: Path, line: str) -> None:
    refused(meta(tmp_path / "a.mha", NDims=f"3\n{line}"), "line 2 of its header")


@pytest.mark.parametrize(("spaces", "words"), [
    ({"space": None, "space_directions": None}, "does not say where it lies"),
    ({"space": "scanner-xyz"}, "lies in scanner-xyz")])
def test_a_nrrd_that_does_not_say_how_the_patient_lies_is_read_with_a_warning(
        tmp_path: Path, spaces: dict[str, str | None], words: str) -> None:
    assert words in read_scan(nrrd(tmp_path / "a.nrrd", **spaces)).warnings[0]


@pytest.mark.parametrize("text", [b"1 2 3", b"x " * 24, b"1.5 " * 24, b"99999 " * 24, b"9" * 5000, b"1" * 2**22, b""])
def test_text_that_is_no_list_of_such_numbers_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(UserError, match="cut short"):
        read_scan(nrrd(tmp_path / "a.nrrd", text, encoding="ascii"))


def test_much_text_is_read_piece_by_piece(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-30000, 30000, (8, 256, 256))
    path = nrrd(tmp_path / "a.nrrd", "\n".join(map(str, array.ravel())).encode(), encoding="txt", sizes="256 256 8")
    np.testing.assert_array_equal(read_scan(path).array, array)


@pytest.mark.parametrize("damage", [
    lambda body: body[:-1], lambda body: body[:10], lambda body: b"", lambda body: b"\0" * len(body),
    lambda body: body[:-4] + b"\0\0\0\0"])
def test_packed_voxels_that_are_damaged_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    packed = damage(zlib.compress(ARRAY.tobytes()))
    for write, body, fields in ((meta, packed, {"CompressedData": "True"}),
                                (nrrd, damage(gzip.compress(ARRAY.tobytes())), {"encoding": "gzip"})):
        path = write(tmp_path / ("a.mha" if write is meta else "a.nrrd"), body, **fields)
        with pytest.raises(UserError, match="cut short"):
            read_scan(path)
