"""Segment names: what the header of a NRRD label calls its values, and every way in which it can contradict itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from seg_files import bars, write_label

from alhvr.core.errors import UserError
from alhvr.formats.segment_names import read_segment_names


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nrrd", ".nhdr"])
def test_names_are_read_from_any_nrrd_header(tmp_path: Path, ending: str) -> None:
    path = write_label(tmp_path / f"a{ending}", bars(1, 5), {5: "肝臓", 1: " Liver  left "})
    assert read_segment_names(path) == {1: "Liver left", 5: "肝臓"}


def test_a_segment_without_a_name_or_among_others_without_a_value_is_none(tmp_path: Path) -> None:
    keys = {"Segment0_LabelValue": "3", "Segment1_Name": "spleen", "Segment2_Name": "liver", "Segment2_LabelValue": "4"}
    assert read_segment_names(write_label(tmp_path / "a.seg.nrrd", bars(3, 4), (), keys)) == {4: "liver"}


def test_the_only_segment_of_an_old_file_has_the_value_1(tmp_path: Path) -> None:
    assert read_segment_names(write_label(tmp_path / "a.seg.nrrd", bars(1), (), {"Segment0_Name": "liver"})) == {
        1: "liver"}


@pytest.mark.parametrize("value", ["abc", "", "1.5", "-3", "0", "65536", "9" * 4000, "١", "1e3", "0x1", "nan"])
def test_a_value_that_no_label_has_is_refused_with_file_segment_and_value(tmp_path: Path, value: str) -> None:
    path = write_label(tmp_path / "a.seg.nrrd", bars(1), [(value or "x", "liver"), ("2", "spleen")])
    with pytest.raises(UserError, match=r'a.seg.nrrd: the segment "liver" has the value .*1 to 65535') as caught:
        read_segment_names(path)
    assert len(str(caught.value)) < 200


def test_two_segments_of_one_value_are_refused_with_both_names(tmp_path: Path) -> None:
    path = write_label(tmp_path / "a.seg.nrrd", bars(1), [("1", "liver"), ("1", "tumour")])
    with pytest.raises(UserError, match='a.seg.nrrd has two segments of value 1: "liver" and "tumour"'):
        read_segment_names(path)


@pytest.mark.parametrize("twin", ["kidney", " Kidney"])
def test_two_segments_of_one_name_are_refused_with_both_values(tmp_path: Path, twin: str) -> None:
    path = write_label(tmp_path / "a.seg.nrrd", bars(1, 2), {1: "kidney", 2: twin})
    with pytest.raises(UserError, match="two segments called .*values 1 and 2"):
        read_segment_names(path)


def test_a_segment_in_a_layer_that_is_not_there_is_refused(tmp_path: Path) -> None:
    keys = {"Segment0_Layer": "0", "Segment1_Layer": "1"}
    path = write_label(tmp_path / "a.seg.nrrd", bars(1, 2), {1: "liver", 2: "tumour"}, keys)
    with pytest.raises(UserError, match='"tumour" is said to lie in layer 1.*labelmap'):
        read_segment_names(path)


def test_names_stay_on_one_line(tmp_path: Path) -> None:
    path = write_label(tmp_path / "a.seg.nrrd", bars(1, 2), {1: "liver\nsegment", 2: "a\tb\x1b[2J"})
    assert read_segment_names(path) == {1: "liver segment", 2: "a b [2J"}


@pytest.mark.parametrize("content", [b"", b"NRRD", b"\x1f\x8b", b"NRRD0005\n" + b"a" * 100_000,
                                     b"NRRD0005\n\xff\xfe\n"])
def test_a_damaged_header_names_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.seg.nrrd").write_bytes(content)
    assert read_segment_names(tmp_path / "a.seg.nrrd") == {}


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.seg.nrrd")
    with pytest.raises(UserError, match="a pipe"):
        read_segment_names(tmp_path / "a.seg.nrrd")


def test_other_kinds_of_files_name_nothing(tmp_path: Path) -> None:
    assert read_segment_names(write_label(tmp_path / "a.nii.gz", bars(1))) == {}
