"""Stamps tell whether the files of a case are those seen before, and whether their bytes are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from alhvr.checking.cache import content, sources_of, stamp, total_bytes
from alhvr.data.cases import Case

OLD = 1_600_000_000


def file(path: Path, text: str = "voxels", seconds: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (seconds, seconds))
    return path


def case(folder: Path) -> Case:
    return Case("x", file(folder / "x.nii"), file(folder / "x-label.nii", "label"), (file(folder / "y.nii", "more"),))


def test_all_channels_and_the_label_count(tmp_path: Path) -> None:
    whole = case(tmp_path)
    found = sources_of(whole)
    assert [source.files[0].name for source in found] == ["x.nii", "y.nii", "x-label.nii"]
    assert len(stamp(found)) == 3 and total_bytes(found) == 15


@pytest.mark.parametrize("name", ["x.nii", "y.nii", "x-label.nii"])
def test_another_size_or_time_of_any_file_is_another_stamp(tmp_path: Path, name: str) -> None:
    found = sources_of(case(tmp_path))
    before = stamp(found)
    file(tmp_path / name, (tmp_path / name).read_text(), OLD + 1)
    assert stamp(found) != before
    file(tmp_path / name, "longer than before")
    assert stamp(found) != before


def test_a_file_that_was_changed_just_now_or_is_gone_has_no_stamp(tmp_path: Path) -> None:
    found = sources_of(case(tmp_path))
    os.utime(tmp_path / "y.nii")
    assert stamp(found) is None
    (tmp_path / "y.nii").unlink()
    assert stamp(found) is None and content(found) is None


def test_copies_have_the_same_content_unless_their_ending_says_to_read_them_otherwise(tmp_path: Path) -> None:
    first = content(sources_of(case(tmp_path / "a")))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    os.rename(tmp_path / "b" / "x.nii", tmp_path / "b" / "z.nii")
    names = [tmp_path / "b" / name for name in ("z.nii", "x-label.nii", "y.nii")]
    assert content(sources_of(Case("z", names[0], names[1], (names[2],)))) == first
    os.rename(names[0], tmp_path / "b" / "z.nrrd")
    assert content(sources_of(Case("z", tmp_path / "b" / "z.nrrd", names[1], (names[2],)))) != first


def test_a_series_is_all_files_of_its_folder_in_any_order(tmp_path: Path) -> None:
    for number in range(3):
        file(tmp_path / "a" / f"{number}.dcm", f"slice {number}")
        file(tmp_path / "b" / f"{9 - number}.dcm", f"slice {number}")
    file(tmp_path / "a" / ".hidden")
    one, other = (sources_of(Case("x", tmp_path / name, None)) for name in "ab")
    assert content(one) == content(other)
    assert len(stamp(one)) == 3
    file(tmp_path / "b" / "7.dcm", "another")
    assert content(one) != content(other)


def test_one_file_of_a_series_stands_for_its_folder_without_reading_it_all(tmp_path: Path) -> None:
    for number in range(3):
        file(tmp_path / f"{number}.dcm", f"slice {number}")
    first, second = (sources_of(Case("x", tmp_path / f"{number}.dcm", None)) for number in range(2))
    assert content(first) != content(second)
    before = content(first)
    file(tmp_path / "2.dcm", "slice 2", OLD + 1)
    assert content(first) != before


def test_a_header_with_its_voxels_elsewhere_goes_with_them_or_not_at_all(tmp_path: Path) -> None:
    header = file(tmp_path / "x.mhd", "DimSize = 1 1 1\nElementDataFile = x.raw\n")
    assert sources_of(Case("x", header, None)) is None
    file(tmp_path / "x.raw")
    (found,) = sources_of(Case("x", header, None))
    assert [path.name for path in found.files] == ["x.mhd", "x.raw"]
    header = file(tmp_path / "y.nhdr", "NRRD0004\ndimension: 3\ndata file: x.raw\n")
    assert [path.name for path in sources_of(Case("y", header, None))[0].files] == ["y.nhdr", "x.raw"]
    file(header, "NRRD0004\ndata file: slice%03d.raw 1 10 1\n")
    assert sources_of(Case("y", header, None)) is None
