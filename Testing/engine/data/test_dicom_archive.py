"""A DICOM archive: series found by UID over all folders, chosen by rules, indexed once, and what is left out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from dicom_files import AXIAL, OBLIQUE, change, series_voxels, write_series

from alhvr.checking.context import RunContext
from alhvr.checking.report_json import to_record
from alhvr.checking.run import CheckOptions, Folders, check
from alhvr.core.errors import UserError
from alhvr.data import dicom_index
from alhvr.data.case_io import read_case
from alhvr.data.cases import find_cases
from alhvr.data.dicom_folder import list_series
from alhvr.data.dicom_rule import parse_rule, parse_rules
from alhvr.data.reading import read_scan
from alhvr.data.reading_process import ReadingProcess


def spread(folder: Path) -> np.ndarray:
    """One series whose slices lie in two folders that hold other series too."""
    array = series_voxels(AXIAL)
    files = write_series(folder / "CD1" / "IM", array, AXIAL)
    write_series(folder / "CD2" / "IM", array + 1, AXIAL, SeriesNumber=2)
    write_series(folder / "CD1" / "more", array + 2, AXIAL)
    for file in files[:3]:
        file.rename(folder / "CD2" / "IM" / f"z{file.name}")
    write_series(folder / "CD1" / "other", array + 3, AXIAL)
    for file in (folder / "CD1" / "other").iterdir():
        file.rename(folder / "CD1" / "IM" / f"y{file.name}")
    return array


def test_a_series_spread_over_folders_with_others_is_one_scan(tmp_path: Path) -> None:
    array = spread(tmp_path)
    listed = list_series(tmp_path)
    found = sorted((read_scan(path).array.shape, int(read_scan(path).array.sum() - array.sum()) // array.size)
                   for path in listed.images.values())
    assert found == [(array.shape, n) for n in range(4)]
    assert any("its files were taken for one scan" in text for text in listed.warnings)


def test_a_spread_series_is_whole_in_the_reading_process_too(tmp_path: Path) -> None:
    array = spread(tmp_path)
    process = ReadingProcess()
    try:
        shapes = {process.read_scan(path).array.shape for path in list_series(tmp_path).images.values()}
    finally:
        process.close()
    assert shapes == {array.shape}


def test_without_an_index_the_parts_are_scans_of_their_own_and_that_is_said(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALHVR_CACHE", "")
    spread(tmp_path)
    listed = list_series(tmp_path)
    assert len(listed.images) == 5 and any("each part was taken for a scan of its own" in t for t in listed.warnings)


def test_headers_are_read_once_and_again_where_a_file_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_series(tmp_path / "a", series_voxels(AXIAL), AXIAL)
    monkeypatch.setattr(dicom_index, "_SETTLED_S", -1.0)
    read = []
    monkeypatch.setattr(dicom_index, "read_slices", lambda path, real=dicom_index.read_slices: (
        read.append(path), real(path))[1])
    first = list_series(tmp_path)
    assert len(read) == len(files)
    assert list_series(tmp_path) == first and len(read) == len(files)
    change(files[2], SeriesDescription="changed")
    files[4].unlink()
    (tmp_path / "a" / "note.txt").write_text("no image")
    list_series(tmp_path)
    assert read[len(files):] == [files[2], tmp_path / "a" / "note.txt"]


def test_the_index_holds_nothing_of_a_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALHVR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(dicom_index, "_SETTLED_S", -1.0)
    write_series(tmp_path / "a", series_voxels(AXIAL), AXIAL, PatientName="Secret^Name", PatientID="4711-X")
    list_series(tmp_path / "a")
    database = sqlite3.connect(dicom_index.index_file())
    rows = [dicom_index._unpacked(data) for _, data in database.execute("SELECT * FROM folders")]
    database.close()
    assert rows and "Secret" not in str(rows) and "4711" not in str(rows)


def test_a_damaged_index_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALHVR_CACHE", str(tmp_path / "cache"))
    dicom_index.index_file().write_bytes(b"no database" * 1000)
    write_series(tmp_path / "a", series_voxels(AXIAL), AXIAL)
    assert len(list_series(tmp_path / "a").images) == 1


def study(folder: Path) -> None:
    """A study of T1, T1 with contrast, FLAIR in two orientations, a localizer and a colour series."""
    array, tags = series_voxels(AXIAL), {"StudyInstanceUID": f"1.2.{len(folder.name)}"}
    write_series(folder / "1", array, AXIAL, SeriesDescription="Ax T1 SE", SeriesNumber=1, **tags)
    write_series(folder / "2", array + 1, AXIAL, SeriesDescription="Ax T1 SE", SeriesNumber=2,
                 ContrastBolusAgent="Gd", **tags)
    write_series(folder / "3", array + 2, AXIAL, SeriesDescription="AX FLAIR", SeriesNumber=3, **tags)
    write_series(folder / "4", array[:4], AXIAL, SeriesDescription="AX FLAIR", SeriesNumber=4, **tags)
    for number, turn in enumerate([[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]]):
        (file,) = write_series(folder / "5", array[:1], AXIAL, SeriesInstanceUID="1.9", ImageOrientationPatient=turn,
                               SeriesDescription="Localizer", **tags)
        file.rename(folder / "5" / f"{number}.dcm.dcm")
    write_series(folder / "6", array, AXIAL, PhotometricInterpretation="RGB", SamplesPerPixel=3, **tags)


def test_localizers_and_colour_are_left_out_with_their_reason(tmp_path: Path) -> None:
    study(tmp_path / "s")
    listed = list_series(tmp_path)
    assert sorted(listed.images) == ["1", "2", "3", "4"]
    reasons = {one.path.name: one.reason for one in listed.left_out}
    assert "localizer" in reasons["5"] and "RGB" in reasons["6"]


@pytest.mark.parametrize(("rule", "names"), [
    ("modality=MR, description=*flair*, slices>=5", ["3"]),
    ("description=*t1*, contrast=no", ["1"]),
    ("contrast=yes", ["2"]),
    ("description=*T1*|*FLAIR*, orientation=axial, slices<=4", ["4"]),
    ("orientation=axial, spacing<=0.6", ["1", "2", "3", "4"]),
])
def test_a_rule_chooses_series_and_names_why_others_are_not_used(tmp_path: Path, rule: str, names: list[str]) -> None:
    study(tmp_path / "s")
    listed = list_series(tmp_path, parse_rules([rule]))
    assert sorted(listed.images) == names
    assert len(listed.left_out) == 6 - len(names) and all(one.reason for one in listed.left_out)


@pytest.mark.parametrize(("rule", "words"), [
    ("flair", '"flair" is no condition'), ("slices>=many", "compared with a number"), ("colour=red", "no condition"),
    ("orientation=oblique", "orientation is sagittal, coronal, axial"), ("contrast=maybe", "yes or no"),
    ("modality>=MR", "takes = alone"), ("T1:", "has no condition"), ("x" * 600, "600 letters")])
def test_a_rule_that_is_not_understood_is_named(rule: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_rule(rule)


def test_a_rule_is_read_as_it_is_written_again() -> None:
    rule = parse_rule(' FLAIR : description = "*flair*" , slices >= 20')
    assert str(rule) == "FLAIR: description=*flair*, slices>=20" and parse_rule(str(rule)) == rule


CHANNELS = ("T1: description=*t1*, contrast=no", "FLAIR: description=*flair*")


def test_several_rules_make_channels_of_a_study(tmp_path: Path) -> None:
    for name in ("one", "seven"):
        study(tmp_path / name)
    found = find_cases(tmp_path, labeled=False, rules=parse_rules(CHANNELS))
    assert [case.name for case in found.cases] == ["one", "seven"]
    assert [channel.name for channel in found.channels] == ["T1", "FLAIR"]
    scan = read_case(found.cases[0])
    np.testing.assert_array_equal(scan.more[0], series_voxels(AXIAL) + 2)
    assert any("another series of its study" in one.reason for one in found.left_out)


def test_a_study_without_a_channel_is_named(tmp_path: Path) -> None:
    study(tmp_path / "one")
    write_series(tmp_path / "two" / "1", series_voxels(OBLIQUE), OBLIQUE, SeriesDescription="t1", StudyInstanceUID="9")
    found = find_cases(tmp_path, labeled=False, rules=parse_rules(CHANNELS))
    assert [scan.name for scan in found.incomplete] == ["two-1"] and "FLAIR" in found.incomplete[0].reason


def test_echoes_and_b_values_become_channels(tmp_path: Path) -> None:
    for n, b in enumerate((0.0, 500.0, 1000.0)):
        for file in write_series(tmp_path / str(n), series_voxels(AXIAL) + n, AXIAL, SeriesInstanceUID="1.2.3",
                                 StudyInstanceUID="1.2", DiffusionBValue=b):
            (tmp_path / "s" / "dwi").mkdir(parents=True, exist_ok=True)
            file.rename(tmp_path / "s" / "dwi" / f"{n}{file.name}")
        (tmp_path / str(n)).rmdir()
    found = find_cases(tmp_path, labeled=False, rules=parse_rules(["b0: b=0", "b1000: b>=1000"]))
    scan = read_case(found.cases[0])
    np.testing.assert_array_equal(scan.array, series_voxels(AXIAL))
    np.testing.assert_array_equal(scan.more[0], series_voxels(AXIAL) + 2)


def test_a_rule_in_cases_json_counts_for_the_archive_too_and_stands_in_the_report(tmp_path: Path) -> None:
    study(tmp_path / "labelled" / "one")
    study(tmp_path / "archive" / "three")
    (tmp_path / "labelled" / "cases.json").write_text('{"series": ["description=*flair*, slices>=5"]}')
    found = check(Folders(unlabeled=(tmp_path / "labelled", tmp_path / "archive")), RunContext())
    record = to_record(found)
    assert sum(case["part"] == "unlabeled" for case in record["cases"]) == 2
    assert record["series_rules"]["unlabeled"] == ["description=*flair*, slices>=5"]
    assert len(record["series_left_out"]) == 10 and all(entry["reason"] for entry in record["series_left_out"])
    assert {"series_rule", "series_left_out"} <= {finding["kind"] for finding in record["findings"]}


def test_a_rule_of_the_command_line_comes_first(tmp_path: Path) -> None:
    study(tmp_path / "one")
    (tmp_path / "cases.json").write_text('{"series": "description=*flair*"}')
    found = check(Folders(unlabeled=(tmp_path,)), RunContext(), CheckOptions(series=("contrast=yes",)))
    assert [facts.case.name for facts in found.facts] == ["2"]


def test_where_no_series_fits_the_reasons_are_named(tmp_path: Path) -> None:
    study(tmp_path / "one")
    with pytest.raises(UserError, match=r"not used \(6\): .*asks for slices>=99, and it has 6"):
        find_cases(tmp_path, labeled=False, rules=parse_rules(["slices>=99"]))
