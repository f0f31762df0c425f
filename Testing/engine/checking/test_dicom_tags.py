"""DICOM tags: who it is becomes a digest, unless the ID was taken away; fields come in several units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series

from alhvr.checking.measure import DicomTags, read_tags
from alhvr.data.geometry import Geometry

KEY = b"secret of this computer"
GRID = Geometry((6, 5, 2), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def series(folder: Path, **tags: object) -> Path:
    write_series(folder, np.zeros((2, 5, 6), np.int16), GRID, **tags)
    return folder


def test_the_same_patient_has_the_same_digest_and_no_other(tmp_path: Path) -> None:
    one, same, other = (read_tags(series(tmp_path / str(n), PatientID=who), KEY).patient
                        for n, who in enumerate(["A17", " A17 ", "A18"]))
    assert one == same != other
    assert "A17" not in one and len(one) == 32
    assert read_tags(tmp_path / "0", b"another key").patient != one


@pytest.mark.parametrize("name", ["", "ANONYMOUS", "anon^anon", "0000", "none"])
def test_an_id_that_hides_who_it_is_tells_nothing(tmp_path: Path, name: str) -> None:
    assert read_tags(series(tmp_path / "x", PatientID=name), KEY).patient is None


@pytest.mark.parametrize(("written", "tesla"), [
    (1.5, 1.5), ("3", 3.0), (15000, 1.5), (1500, 1.5), (0.55, 0.55), (0, None)])
def test_the_field_is_told_in_tesla(tmp_path: Path, written: object, tesla: float | None) -> None:
    assert read_tags(series(tmp_path / "x", MagneticFieldStrength=written), KEY).field_strength_t == tesla


def test_a_ct_has_no_field(tmp_path: Path) -> None:
    assert read_tags(series(tmp_path / "x", Modality="CT", MagneticFieldStrength=3), KEY).field_strength_t is None


def test_one_file_of_a_series_tells_the_same_as_its_folder(tmp_path: Path) -> None:
    folder = series(tmp_path / "x", PatientID="A17", MagneticFieldStrength=3)
    (folder / "000 notes.txt").write_text("sorted first, no image")
    found = read_tags(folder, KEY)
    assert found == read_tags(folder / "001.dcm", KEY)
    assert found.field_strength_t == 3.0


@pytest.mark.parametrize("value", [b"\x01.0\\", b"1.5\\3.0 ", b"nan "])
def test_a_field_that_is_no_number_tells_nothing(tmp_path: Path, value: bytes) -> None:
    folder = series(tmp_path / "x", MagneticFieldStrength="1.5", PatientID="A17")
    for path in folder.iterdir():
        data = path.read_bytes()
        at = data.index(b"\x18\x00\x87\x00DS")
        path.write_bytes(data[:at + 6] + bytes([len(value), 0]) + value + data[at + 12:])
    found = read_tags(folder, KEY)
    assert found.field_strength_t is None and found.patient is not None


def test_a_header_that_cannot_be_followed_tells_nothing(tmp_path: Path) -> None:
    folder = series(tmp_path / "x", PatientID="A17")
    for path in folder.iterdir():
        data = path.read_bytes()
        at = data.index(b"\x10\x00\x20\x00LO")
        deep = (b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 3000
        path.write_bytes(data[:at] + deep + data[at:])
    assert read_tags(folder, KEY) == DicomTags()


def test_a_series_without_preamble_tells_the_same(tmp_path: Path) -> None:
    folder = series(tmp_path / "x", PatientID="A17", MagneticFieldStrength=3)
    before = read_tags(folder, KEY)
    for path in folder.iterdir():
        data = path.read_bytes()
        path.write_bytes(data[144 + int.from_bytes(data[140:144], "little"):])
    assert read_tags(folder, KEY) == before != DicomTags()


def test_files_that_are_no_dicom_tell_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.nii").write_bytes(b"n+1" * 100)
    (tmp_path / "x.dcm").write_bytes(bytes(128) + b"DICM" + b"cut")
    (tmp_path / "empty").mkdir()
    assert {read_tags(tmp_path / name, KEY) for name in ("x.nii", "x.dcm", "empty")} == {DicomTags()}
