"""Channel names: numbers at the end of names are channels where they must be, and only there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series

from alhvr.core.errors import UserError
from alhvr.data.cases import CaseSet, Channel, find_cases
from alhvr.data.channel_names import parse_channels
from alhvr.data.geometry import Geometry

TWO = (Channel("T1", "MR"), Channel("FLAIR", "MR"))


def _touch(folder: Path, *names: str) -> Path:
    """Empty files: finding cases opens no image."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def _channels(found: CaseSet) -> dict[str, list[str]]:
    return {case.name: [path.name for path in case.images] for case in found.cases}


def test_an_nnunet_dataset_of_two_channels_is_read(tmp_path: Path) -> None:
    _touch(tmp_path, "imagesTr/a_0001.nii", "imagesTr/a_0000.nii", "labelsTr/a.nii")
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": {"1": "FLAIR", "0": "T1"}}))
    found = find_cases(tmp_path, labeled=True)
    assert _channels(found) == {"a": ["a_0000.nii", "a_0001.nii"]}
    assert (found.channels, found.modality, found.n_channels) == (TWO, "MR", 2)


def test_an_imagestr_folder_whose_labels_have_the_same_names_has_no_channels(tmp_path: Path) -> None:
    _touch(tmp_path, *[f"{place}/la_{number:04d}.nii" for place in ("imagesTr", "labelsTr") for number in (1, 2)])
    assert _channels(find_cases(tmp_path, labeled=True)) == {f"la_000{n}": [f"la_000{n}.nii"] for n in (1, 2)}


def test_labels_named_without_the_number_tell_that_numbers_are_channels(tmp_path: Path) -> None:
    _touch(tmp_path, "images/a_0000.nii", "images/a_0001.mha", "labels/a.nii")
    found = find_cases(tmp_path, labeled=True)
    assert _channels(found) == {"a": ["a_0000.nii", "a_0001.mha"]}
    assert [channel.name for channel in found.channels] == ["channel 0", "channel 1"]


def test_several_scans_with_the_same_numbers_have_channels(tmp_path: Path) -> None:
    _touch(tmp_path, *[f"{name}_{number:04d}.nii.gz" for name in "abc" for number in range(3)])
    assert find_cases(tmp_path, labeled=False).n_channels == 3


@pytest.mark.parametrize("names", [
    [f"scan_{n:04d}.nii" for n in range(1, 30)], [f"scan_{n:04d}.nii" for n in range(30)],
    ["a_0001.nii", "a_0002.nii", "b_0001.nii", "b_0002.nii"], ["a_0000.nii", "b_0000.nii"],
    ["a_0000.nii", "a_0001.nii", "b_0000.nii", "b_0001.nii", "c.nii"]])
def test_numbers_that_count_scans_or_visits_are_no_channels(tmp_path: Path, names: list[str]) -> None:
    assert _channels(find_cases(_touch(tmp_path, *names), labeled=False)) == {n[:-4]: [n] for n in sorted(names)}


def test_labels_named_with_the_number_tell_that_it_is_no_channel(tmp_path: Path) -> None:
    for place in ("images", "labels"):
        _touch(tmp_path / place, *[f"{name}_{number:04d}.nii" for name in "ab" for number in (0, 1)])
    assert (len(find_cases(tmp_path, labeled=True).cases), len(find_cases(tmp_path, labeled=False).cases)) == (4, 4)


def test_series_folders_named_by_their_number_are_channels(tmp_path: Path) -> None:
    grid = Geometry((3, 3, 3), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    for number in range(2):
        write_series(tmp_path / "images" / f"p_{number:04d}", np.arange(27, dtype=np.int16).reshape(3, 3, 3), grid)
    found = find_cases(_touch(tmp_path, "labels/p.nii"), labeled=True)
    assert _channels(found) == {"p": ["p_0000", "p_0001"]} and found.modality == "MR"
    assert _channels(find_cases(tmp_path / "images", labeled=False, channels=TWO)) == {"p": ["p_0000", "p_0001"]}


def test_one_scan_has_channels_where_they_are_asked_for(tmp_path: Path) -> None:
    _touch(tmp_path, "a_0000.nii", "a_0001.nii")
    assert len(find_cases(tmp_path, labeled=False).cases) == 2
    assert _channels(find_cases(tmp_path, labeled=False, channels=2)) == {"a": ["a_0000.nii", "a_0001.nii"]}


def test_each_file_is_a_scan_where_one_channel_is_asked_for(tmp_path: Path) -> None:
    _touch(tmp_path, *[f"{name}_{number:04d}.nii.gz" for name in "ab" for number in range(2)])
    found = find_cases(tmp_path, labeled=False, channels=1)
    assert len(found.cases) == 4 and "each file is taken for a scan of its own" in found.warnings[0]


def test_a_missing_channel_of_a_labelled_case_is_an_error_with_case_and_file(tmp_path: Path) -> None:
    _touch(tmp_path, *[f"images/{n}.nii" for n in ("a_0000", "a_0001", "b_0001")], "labels/a.nii", "labels/b.nii")
    with pytest.raises(UserError, match=r'case "b" lacks the channel b_0000.nii \(T1\).*Add the file'):
        find_cases(tmp_path, labeled=True, channels=TWO)


def test_one_channel_too_many_is_told_of_the_case_that_has_it(tmp_path: Path) -> None:
    _touch(tmp_path, *[f"images/{name}_{n:04d}.nii" for name in "abc" for n in (0, 1)], "images/c_0002.nii")
    _touch(tmp_path, *[f"labels/{name}.nii" for name in "abc"])
    with pytest.raises(UserError, match=r'^The case "c" has c_0002.nii beyond 2 channels'):
        find_cases(tmp_path, labeled=True)


def test_a_scan_of_the_archive_without_a_channel_is_left_out_by_name(tmp_path: Path) -> None:
    found = find_cases(_touch(tmp_path, "a_0000.nii", "a_0001.nii", "b_0000.nii", "c.nii"), labeled=False, channels=2)
    assert _channels(found) == {"a": ["a_0000.nii", "a_0001.nii"]} and len(found.warnings) == 2
    assert found.warnings[0] == 'Left out: The case "b" lacks the channel b_0001.nii (channel 1).'
    assert [(scan.name, [path.name for path in scan.images]) for scan in found.incomplete][1] == ("c", ["c.nii"])


def test_more_channels_than_asked_for_are_refused(tmp_path: Path) -> None:
    _touch(tmp_path, *[f"a_{number:04d}.nii" for number in range(3)], "b_0000.nii", "b_0001.nii")
    assert _channels(find_cases(tmp_path, labeled=False, channels=TWO)) == {"b": ["b_0000.nii", "b_0001.nii"]}
    (tmp_path / "b_0000.nii").unlink()
    with pytest.raises(UserError, match=r"No scan.* has 2 channels \(T1, FLAIR\). .*a_0002.nii beyond 2 channels"):
        find_cases(tmp_path, labeled=False, channels=TWO)


def test_channels_in_another_order_are_refused_and_other_names_are_said(tmp_path: Path) -> None:
    _touch(tmp_path, "a_0000.nii", "a_0001.nii")
    (tmp_path / "cases.json").write_text('{"channels": ["flair", "t1"]}')
    with pytest.raises(UserError, match=r"\(flair, t1\) in this order"):
        find_cases(tmp_path, labeled=False, channels=TWO)
    (tmp_path / "cases.json").write_text('{"channels": ["T1 gd", "FLAIR"]}')
    assert "the names differ" in find_cases(tmp_path, labeled=False, channels=TWO).warnings[0]
    with pytest.raises(UserError, match=r"have 2 channels \(T1 gd, FLAIR\); needed: 3 channels"):
        find_cases(tmp_path, labeled=False, channels=3)


def test_a_scan_beside_its_own_first_channel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="both the first channel of a"):
        find_cases(_touch(tmp_path, "images/a.nii", "images/a_0000.nii", "labels/a.nii"), labeled=True, channels=2)


def test_channels_are_written_in_several_ways() -> None:
    assert parse_channels("cases.json", ["T1", {"name": "FLAIR", "modality": "MR"}]) == TWO
    assert parse_channels("dataset.json", {"1": "FLAIR", "0": "T1"}) == TWO


@pytest.mark.parametrize(("record", "words"), [
    ("T1", "Write them as a list"), ({"T1": 0, "T2": 1}, "Number them 0, 1"), ({"0": "T1", "2": "T2"}, "Number them"),
    (["T1", "t1"], "called \"t1\""), ([1], "Write its name"), ([""], "Write its name"),
    ([{"name": "T1", "kind": "MR"}], "Write its name"), ([{"name": "A", "modality": "PET"}], "Accepted: CT, MR")])
def test_channels_that_are_not_understood_are_refused(record: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_channels("cases.json", record)
