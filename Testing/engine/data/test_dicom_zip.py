"""Zip files of scans: read like folders, and what a stranger's zip may try."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from dicom_files import AXIAL, series_voxels, write_series

from alhvr.core.errors import UserError
from alhvr.data import dicom_zip
from alhvr.data.cases import find_cases
from alhvr.data.reading import read_scan


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALHVR_CACHE", str(tmp_path / "cache"))


def packed(tmp_path: Path, **more: bytes) -> Path:
    """A zip of one series, with more entries by name."""
    write_series(tmp_path / "study" / "series", series_voxels(AXIAL), AXIAL)
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((tmp_path / "study").rglob("*.dcm")):
            archive.write(file, file.relative_to(tmp_path))
        for name, data in more.items():
            archive.writestr(name, data)
    return tmp_path / "s.zip"


def test_a_zip_is_read_like_its_folder_and_unpacked_once(tmp_path: Path) -> None:
    path = packed(tmp_path)
    (case,) = find_cases(path, labeled=False).cases
    np.testing.assert_array_equal(read_scan(case.image).array, series_voxels(AXIAL))
    before = case.image.stat().st_ino
    assert find_cases(path, labeled=False).cases[0].image.stat().st_ino == before


def test_entries_that_lead_out_of_a_zip_and_links_are_left_out(tmp_path: Path) -> None:
    path = packed(tmp_path, **{"../out.dcm": b"x", "/abs.dcm": b"x", "a/../../b.dcm": b"x", "C:\\c.dcm": b"x"})
    link = zipfile.ZipInfo("link.dcm")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    found = find_cases(path, labeled=False)
    assert len(found.cases) == 1 and any("were left out: 5 (../out.dcm" in note for note in found.notes)
    inside = {file for file in (tmp_path / "cache").rglob("*.dcm")}
    assert len(inside) == len(series_voxels(AXIAL)) and not list(tmp_path.glob("*.dcm"))


def test_a_zip_bomb_is_refused_and_nothing_of_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, **{"bomb": bytes(50_000_000)})
    monkeypatch.setattr(dicom_zip, "_SLACK_BYTES", 0)
    with pytest.raises(UserError, match="would unpack to"):
        find_cases(path, labeled=False)
    assert not list((tmp_path / "cache").rglob("*.dcm"))


def test_a_damaged_zip_is_one_line_and_nothing_of_it_stays(tmp_path: Path) -> None:
    path = packed(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    for spoiled in (bytes(data), data[:-30], data[:40]):
        path.write_bytes(spoiled)
        with pytest.raises(UserError, match="is a damaged zip file"):
            find_cases(path, labeled=False)
    assert not list((tmp_path / "cache").rglob("*.dcm"))


def test_without_a_cache_a_zip_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALHVR_CACHE", "")
    with pytest.raises(UserError, match="no cache folder to unpack it to"):
        find_cases(packed(tmp_path), labeled=False)
