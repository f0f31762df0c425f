"""Case names and listed paths: none leads out of the folder of results, and none reaches for what is no image."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest

from alhvr.core.errors import UserError
from alhvr.data.case_paths import name_fault, require_result_name
from alhvr.data.cases import CaseSet, find_cases

BAD_NAMES = ["", " ", ".", "..", "../a", "../../escaped", "/etc/passwd", "a/b", "a\\b", "..\\a", "C:a", "C:\\a", "a\0b",
             "a\nb", "a\x1b[2J", "a\x7f", "a\u2028b", "a\u202eb", "a\ud800", "x" * 201, "\u00e4" * 101]


def _case(folder: Path, name: str = "a", **entry: object) -> CaseSet:
    """A folder with the scan there.nii and a cases.json with one case."""
    folder.mkdir(exist_ok=True)
    (folder / "there.nii").write_bytes(b"")
    entry = entry or {"images": ["there.nii"]}
    (folder / "cases.json").write_text(json.dumps({"cases": {name: entry}}), "utf-8")
    return find_cases(folder, labeled="label" in entry)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_in_cases_json_that_is_none_of_a_result_is_refused_in_a_plain_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cases.json: the case name") as caught:
        _case(tmp_path, name)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["a", "patient 1", "1.2.840.113619", "a.b", "..a", "x" * 200, "\u8179\u90e8", "a'\"b",
                                  "m\u00fcller", "ab:c", "K\udce4se"])
def test_names_of_files_are_accepted(tmp_path: Path, name: str) -> None:
    assert name_fault(name) == "" and _case(tmp_path, name).cases[0].name == name


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "x" * 201, "a\u202eb", "a\\b"])
def test_a_file_after_which_no_result_can_be_named_costs_itself_only(tmp_path: Path, name: str) -> None:
    for file in (f"{name}.nii.gz", "good.nii.gz"):
        (tmp_path / file).write_bytes(b"")
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["good"]
    assert "names cannot be those of results, left out (1)" in found.warnings[0] and found.warnings[0].isprintable()


@pytest.mark.parametrize("pair", [("CT", "ct"), (unicodedata.normalize("NFC", "m\u00fc"), "mu\u0308")])
def test_names_that_are_one_on_other_systems_are_said(tmp_path: Path, pair: tuple[str, str]) -> None:
    for name in pair:
        (tmp_path / f"{name}.nii").write_bytes(b"")
    found = find_cases(tmp_path, labeled=False)
    if len(found.cases) < 2:
        pytest.skip("this disk takes both names for one")
    assert "would be one file on macOS and Windows" in found.warnings[0]


@pytest.mark.parametrize("name", [n for n in BAD_NAMES if {"/", "\\", "\0"} & set(n) or n in ("", ".", "..")])
def test_no_result_is_written_under_a_name_that_leads_out_of_its_folder(name: str) -> None:
    with pytest.raises(UserError, match="outside the folder of results"):
        require_result_name(name)


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "../no image", "there.txt", "/dev/zero"])
@pytest.mark.parametrize("entry", ["images", "label"])
def test_a_listed_path_to_what_is_no_image_is_refused(tmp_path: Path, path: str, entry: str) -> None:
    for name in ("secret", "no image"):
        (tmp_path / name).write_text("x")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "there.txt").write_text("x")
    listed = {"images": [path]} if entry == "images" else {"images": ["there.nii"], "label": path}
    with pytest.raises(UserError, match="no kind that is read"):
        _case(tmp_path / "set", **listed)


def test_scans_from_outside_the_folder_are_taken_and_said(tmp_path: Path) -> None:
    (tmp_path / "scan.nii").write_bytes(b"")
    found = _case(tmp_path / "set", images=["../scan.nii"])
    assert found.cases[0].image.samefile(tmp_path / "scan.nii")
    assert any("cases.json in set takes 1 file from outside that folder" in text for text in found.warnings)


def test_a_pipe_in_cases_json_costs_its_case_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "good.nii").write_bytes(b"")
    (tmp_path / "cases.json").write_text(json.dumps({"cases": {"bad": {"images": ["pipe.nii"]}}}))
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["good"] and "pipe.nii" in " ".join(found.warnings)


def test_a_dataset_json_that_reaches_for_other_files_is_refused_or_said(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "b.nii").write_bytes(b"")
    (folder / "dataset.json").write_text(json.dumps({"training": [{"image": "../b.nii"}]}))
    assert "dataset.json in set takes 1 file from outside" in find_cases(folder, labeled=False).warnings[0]
    (folder / "dataset.json").write_text(json.dumps({"training": [{"image": "../b.nii", "label": "/etc/passwd"}]}))
    with pytest.raises(UserError, match="passwd, which is of no kind that is read"):
        find_cases(folder, labeled=False)


@pytest.mark.parametrize("name", ["cases.json", "dataset.json", "labels.json"])
@pytest.mark.parametrize("kind", ["deep", "bytes", "pipe", "folder", "link to nowhere"])
def test_a_description_that_nobody_can_read_is_one_line(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "a.nii").write_bytes(b"")
    path = tmp_path / name
    make = {"deep": lambda: path.write_text("[" * 100_000), "bytes": lambda: path.write_bytes(b"\xff\xfe\x00"),
            "pipe": lambda: os.mkfifo(path), "folder": path.mkdir, "link to nowhere": lambda: path.symlink_to("/no")}
    make[kind]()
    with pytest.raises(UserError, match=name):
        find_cases(tmp_path, labeled=False)
