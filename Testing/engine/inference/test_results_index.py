"""The record of what was done in a folder: what it recognises, and what damage does to it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from alhvr.inference.results_index import FILE_NAME, FileFingerprint, ResultEntry, ResultsIndex


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def entry(*files: Path, before: dict[str, str] | None = None) -> ResultEntry:
    mark = FileFingerprint.of(files[0])
    return ResultEntry("scan.nii.gz", "model", False, False, mark,
                       {path.name: FileFingerprint.of(path) for path in files}, before or {}, {"liver": 1.5}, True)


def test_an_entry_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    result = write(tmp_path / "a.seg.nrrd", "result")
    written = entry(result, before={"a.seg.nrrd": "0" * 64})
    ResultsIndex(tmp_path).put("a.seg.nrrd", written)
    record = ResultsIndex(tmp_path)
    assert record.entry("a.seg.nrrd") == written and not record.damaged
    assert record.knows("a.seg.nrrd") and record.knows(FILE_NAME) and not record.knows("b.seg.nrrd")


def test_the_record_is_ascii_and_holds_no_folder(tmp_path: Path) -> None:
    name = os.fsdecode("Fäll 肝".encode() + b"\xe4.nii.gz")
    ResultsIndex(tmp_path).put(name, entry(write(tmp_path / name, "result")))
    text = (tmp_path / FILE_NAME).read_text(encoding="ascii")
    assert str(tmp_path) not in text and tmp_path.name not in text
    assert list(json.loads(text)["results"]) == [name] and ResultsIndex(tmp_path).knows(name)


def test_a_result_is_known_again_after_the_folder_was_moved_and_copied(tmp_path: Path) -> None:
    result = write(tmp_path / "here" / "a.seg.nrrd", "result")
    ResultsIndex(result.parent).put("a.seg.nrrd", entry(result))
    shutil.copytree(result.parent, tmp_path / "there", copy_function=shutil.copyfile)
    shutil.rmtree(result.parent)
    os.utime(tmp_path / "there" / "a.seg.nrrd", (1, 1))
    assert ResultsIndex(tmp_path / "there").wrote(tmp_path / "there" / "a.seg.nrrd")


@pytest.mark.parametrize("text", ["Result", "result and more", ""])
def test_a_changed_result_is_not_taken_for_ours(tmp_path: Path, text: str) -> None:
    result = write(tmp_path / "a.seg.nrrd", "result")
    ResultsIndex(tmp_path).put("a.seg.nrrd", entry(result))
    result.write_text(text)
    os.utime(result, (1, 1))
    assert not ResultsIndex(tmp_path).wrote(result)


def test_a_file_that_was_never_recorded_is_not_taken_for_ours(tmp_path: Path) -> None:
    assert not ResultsIndex(tmp_path).wrote(write(tmp_path / "a.seg.nrrd", "result"))


def test_what_stood_there_before_the_last_result_is_ours_too(tmp_path: Path) -> None:
    result = write(tmp_path / "a.seg.nrrd", "first")
    first = FileFingerprint.of(result).sha256
    result.write_text("second")
    record = ResultsIndex(tmp_path)
    record.put("a.seg.nrrd", entry(result, before={"a.seg.nrrd": first}))
    result.write_text("first")
    assert record.wrote(result)


def test_the_files_of_a_series_have_one_mark(tmp_path: Path) -> None:
    files = [write(tmp_path / name, name) for name in ("1.dcm", "2.dcm")]
    mark = FileFingerprint.of(*files)
    assert mark.bytes == 10 and mark.fits(*files) and not mark.fits(files[0]) and not mark.fits(*files[::-1])
    files[1].write_text("3.dcm")
    assert not mark.fits(*files)
    files[1].unlink()
    assert not mark.fits(*files)


GARBAGE = {
    "empty": b"", "text": b"hello", "cut short": None, "a list": b"[]", "null": b"null", "not UTF-8": b"\xff\xfe",
    "another format": b'{"format": "x", "version": 1, "results": {}}',
    "a newer version": b'{"format": "alhvr-segment", "version": 2, "results": {}}',
    "entries of another kind": b'{"format": "alhvr-segment", "version": 1, "results": {"a.seg.nrrd": {"source": 1}}}',
    "no entries": b'{"format": "alhvr-segment", "version": 1, "results": [1]}',
    "odd marks": None,
}


@pytest.mark.parametrize("what", GARBAGE)
def test_a_damaged_record_counts_as_empty_and_can_be_written_again(tmp_path: Path, what: str) -> None:
    result, path = write(tmp_path / "a.seg.nrrd", "result"), tmp_path / FILE_NAME
    ResultsIndex(tmp_path).put("a.seg.nrrd", entry(result))
    whole = path.read_bytes()
    halves = {"cut short": whole[:len(whole) // 2], "odd marks": whole.replace(b'"bytes": 6', b'"octets": 6')}
    path.write_bytes(halves.get(what) or GARBAGE[what] or b"")
    record = ResultsIndex(tmp_path)
    assert record.damaged and record.entry("a.seg.nrrd") is None and not record.wrote(result)
    record.put("a.seg.nrrd", entry(result))
    assert not ResultsIndex(tmp_path).damaged and ResultsIndex(tmp_path).wrote(result)


def folder_with_a_scan(path: Path) -> None:
    path.mkdir()
    (path / "scan.nii").write_text("precious")


IN_THE_WAY = {
    "a newer version": lambda path: path.write_text('{"format": "alhvr-segment", "version": 99, "results": {}}'),
    "deep": lambda path: path.write_text("[" * 100_000),
    "a folder": folder_with_a_scan,
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "names of paths": lambda path: path.write_text(json.dumps({"format": "alhvr-segment", "version": 1, "results": {
        "a.seg.nrrd": {**asdict(entry(path.parent / "a.seg.nrrd")),
                       "files": {"../../x": asdict(FileFingerprint(1, "", ""))}}}})),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_stands_in_the_place_of_a_record_is_kept_aside_from_the_first_entry_on(tmp_path: Path, what: str) -> None:
    result = write(tmp_path / "a.seg.nrrd", "result")
    IN_THE_WAY[what](tmp_path / FILE_NAME)
    before = os.lstat(tmp_path / FILE_NAME)
    record = ResultsIndex(tmp_path)
    assert record.damaged and not record.wrote(result) and os.path.lexists(tmp_path / FILE_NAME)
    record.put("a.seg.nrrd", entry(result))
    assert record.wrote(result) and ResultsIndex(tmp_path).wrote(result)
    assert record.aside == "alhvr-segment.unreadable.json" and os.lstat(tmp_path / record.aside).st_ino == before.st_ino
    assert ResultsIndex(tmp_path).aside == "alhvr-segment.unreadable1.json"


def test_a_link_in_the_place_of_the_record_is_not_written_through(tmp_path: Path) -> None:
    precious = write(tmp_path / "precious", "precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FILE_NAME).symlink_to(precious)
    ResultsIndex(tmp_path / "out").put("a.seg.nrrd", entry(write(tmp_path / "out" / "a.seg.nrrd", "result")))
    assert precious.read_text() == "precious" and not ResultsIndex(tmp_path / "out").damaged


def test_a_result_that_became_a_pipe_or_a_folder_is_not_ours_and_not_waited_for(tmp_path: Path) -> None:
    for make in (os.mkfifo, Path.mkdir):
        result = write(tmp_path / make.__name__ / "a.seg.nrrd", "result")
        ResultsIndex(result.parent).put("a.seg.nrrd", entry(result, before={"a.seg.nrrd": "0" * 64}))
        result.unlink()
        make(result)
        assert not ResultsIndex(result.parent).wrote(result)


def test_two_processes_in_one_folder_keep_each_others_entries(tmp_path: Path) -> None:
    one, two = ResultsIndex(tmp_path), ResultsIndex(tmp_path)
    for record, name in ((one, "a"), (two, "b"), (one, "c"), (two, "d")):
        record.put(name, entry(write(tmp_path / name, name)))
    assert all(ResultsIndex(tmp_path).wrote(tmp_path / name) for name in "abcd")
