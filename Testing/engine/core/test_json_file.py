"""JSON files: what is written every program can read, and what is read may be anything."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from alhvr.core.errors import UserError
from alhvr.core.files import LARGEST_BYTES, InvalidJson, parse_json, read_json, write_json

DEEP = b"[" * 100_000


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    values = {"name": "Müller", "list": [1, 2.5, None, True], "below": {"a": "b"}}
    write_json(tmp_path / "x.json", values)
    assert read_json(tmp_path / "x.json") == values and os.listdir(tmp_path) == ["x.json"]


def test_numbers_of_numpy_become_plain_and_what_json_does_not_know_null(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": np.float32(0.5), "b": np.arange(2), 3: [float("nan"), -np.inf]})
    assert json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail) == {
        "a": 0.5, "b": [0, 1], "3": [None, None]}


def test_a_path_that_is_no_unicode_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"path": "scan\udcff.nii"})
    assert read_json(tmp_path / "x.json") == {"path": "scan\udcff.nii"}


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "x.json") == {"a": 1}


@pytest.mark.parametrize(("content", "reason"), [
    (b"", r"x\.json is not valid JSON \(line 1\)"),
    (b'{"a": 1,\n"b"', r"x\.json is not valid JSON \(line 2\)"),
    (b"\x00\x01", "is not valid JSON"),
    (b'{"a": "\xff"}', r"is not UTF-8 \(byte 7\)"),
    (b"9" * 10_000, "is not valid JSON"),
    (DEEP, "is nested too deeply"),
    (b'{"a":' * 100_000, "is nested too deeply"),
])
def test_what_is_no_json_is_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InvalidJson, match=reason):
        read_json(tmp_path / "x.json")


def test_a_file_beyond_all_measure_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.json").open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(UserError, match=r"x\.json has more than 64 MB"):
        read_json(tmp_path / "x.json")


def test_a_pipe_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(UserError, match=r"x\.json is a pipe"):
        read_json(tmp_path / "x.json")


def test_a_text_is_parsed_under_the_name_that_is_given() -> None:
    assert parse_json('{"a": 1}', "the header") == {"a": 1}
    with pytest.raises(InvalidJson, match="^the header is not valid JSON"):
        parse_json("{", "the header")
