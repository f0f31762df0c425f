"""Every fault is found by ``alhvr check`` with its remedy, all of them together, and none where there is none."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import pytest
from command import Finished, alhvr
from faulty_cases import FAULTS, Fault, write_faulty
from small_bodies import World, write_world
from support import shared_data

from alhvr.checking.findings import KINDS

ELSEWHERE = {"too_little_memory", "too_little_disk", "labels_mapped", "series_left_out", "series_rule"}
"""What is wrong with the computer and not with the data, and notes; found by tests of their own."""

OPTIONS = {"labeled": "--labeled", "validation": "--validation", "archive": "--unlabeled"}

TOGETHER = ("a scan that is cut off", "a scan of wild scale", "a label beside its scan",
            "a structure that no case shows", "a scan of the archive that is cut off",
            "folders that mean different structures by one value")
"""Faults that leave each other alone."""


def check(world: World, *options: str, parts: tuple[str, ...] = tuple(OPTIONS)) -> tuple[Finished, dict[str, Any]]:
    """Checks a study; how the command ended, and its JSON file."""
    folders = [word for part in parts for word in (OPTIONS[part], world.folder / part)]
    file = world.folder / "check.json"
    done = alhvr("check", *folders, "--out", file, "--progress", "json", "--no-forecast", *options)
    assert "Traceback" not in done.err, done.err
    return done, json.loads(file.read_text(encoding="utf-8"))


def told(found: dict[str, Any], fault: Fault) -> bool:
    """Whether ``found``, an entry of the JSON file, is what a check must say of ``fault``."""
    return ((found["kind"], found["severity"]) == (fault.kind, fault.severity) and fault.seen in found["seen"]
            and fault.remedy in found["remedy"] and found["files"][0].endswith(fault.file))


@pytest.mark.parametrize("title", FAULTS)
def test_it_is_found_with_its_remedy_and_nothing_else(tmp_path: Path, title: str) -> None:
    fault, world = FAULTS[title], write_faulty(tmp_path, title)
    done, record = check(world, *fault.options, parts=fault.parts)
    assert done.code == (2 if fault.severity == "fault" else 0), done
    found = [entry for entry in record["findings"] if told(entry, fault)]
    assert found, json.dumps(record["findings"], indent=1)
    assert {entry["kind"] for entry in record["findings"]} <= {fault.kind, *fault.besides}
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert escape(found[0]["seen"]) in page
    assert escape(found[0]["remedy"]) in page


def test_there_are_thirty_faults_and_more_and_every_kind_is_among_them() -> None:
    assert len(FAULTS) >= 30
    assert {fault.kind for fault in FAULTS.values()} == KINDS.keys() - ELSEWHERE
    assert all(fault.remedy and fault.seen for fault in FAULTS.values())


def test_a_clean_study_raises_nothing(tmp_path: Path) -> None:
    done, record = check(write_world(tmp_path))
    assert done.code == 0, done
    assert record["findings"] == []
    assert record["counts"]["cases"] == {"labeled": 5, "validation": 2, "unlabeled": 5}


def test_all_faults_are_told_together_the_worst_first(tmp_path: Path) -> None:
    world = write_world(tmp_path)
    for title in TOGETHER:
        FAULTS[title].make(world)
    done, record = check(world)
    assert done.code == 2
    for title in TOGETHER:
        assert any(told(entry, FAULTS[title]) for entry in record["findings"]), (title, record["findings"])
    severities = [["fault", "warning", "note"].index(entry["severity"]) for entry in record["findings"]]
    assert severities == sorted(severities)


def test_people_read_each_fault_with_its_remedy_and_one_line_at_the_end(tmp_path: Path) -> None:
    world = write_faulty(tmp_path, "a label value that has no name")
    done = alhvr("check", "--labeled", world.folder / "labeled", "--unlabeled", world.folder / "archive")
    done.refused("which has no name")
    text = " ".join(done.out.split())
    assert "holds the value 7, which has no name" in text
    assert "Add it to labels.json" in text


def test_training_does_not_start_on_faults_and_tells_them_all(tmp_path: Path) -> None:
    world = write_faulty(tmp_path, "folders that mean different structures by one value")
    world.image("labeled", 2).write_text("This is no scan.")
    done = alhvr("train", "--labeled", world.folder / "labeled", "--unlabeled", world.folder / "archive",
                 "--validation", world.folder / "validation", "--out", tmp_path / "run", "--progress", "json")
    assert done.code == 2, done
    told_of = done.texts("warning") + done.texts("error")
    assert '"heart" in validation' in told_of
    assert "case2.nii.gz" in told_of
    assert not (tmp_path / "run" / "model").exists()
    record = json.loads((tmp_path / "run" / "check.json").read_text(encoding="utf-8"))
    assert (record["may_train"], record["counts"]["faults"]) == (False, 2)
    assert "case2.nii.gz" in (tmp_path / "run" / "check.html").read_text(encoding="utf-8")


REAL: dict[str, tuple[dict[str, str], set[str]]] = {
    "acdc": ({"--labeled": "acdc/train", "--validation": "acdc/val", "--unlabeled": "acdc/train"},
             {"left_out_of_folder", "stray_parts", "scan_twice", "scan_in_archive_too", "nominal_spacing"}),
    "hippocampus": ({"--labeled": "hippocampus"}, {"intensity_scale", "nominal_spacing", "layout"}),
    "left-atrium": ({"--labeled": "left-atrium"}, {"nominal_spacing"}),
    "brain-dicom": ({"--unlabeled": "brain-dicom"}, {"mixed_field_strengths"}),
}
"""Folders of real data, and the kinds of warnings that are true of them.

Slices of the heart do lie apart in five labels, patients 74 and 76 are one scan, and hippocampus mixes scales.
"""


@pytest.mark.parametrize("name", REAL)
def test_real_data_raises_no_false_alarm(tmp_path: Path, name: str) -> None:
    folders, true = REAL[name]
    arguments = [word for option, place in folders.items() for word in (option, shared_data(*place.split("/")))]
    record = check_real(tmp_path, *arguments)
    assert {entry["kind"] for entry in record["findings"]} == true


@pytest.mark.parametrize(("options", "kinds"), [
    (("--not-annotated", "4"), {"nominal_spacing"}), ((), {"nominal_spacing", "looks_not_annotated", "stray_parts"})])
def test_scribbles_are_sound_once_their_value_is_told(tmp_path: Path, options: tuple[str, ...], kinds: set) -> None:
    data = shared_data("acdc", "train")
    names = [path.name for path in sorted((data / "scribbles").iterdir())]
    record = check_real(tmp_path, "--labeled", linked(tmp_path / "cases", names, data, "scribbles"), *options)
    assert {entry["kind"] for entry in record["findings"]} == kinds


def test_whole_heads_are_unlike_crops_of_the_hippocampus_and_other_crops_are_not(tmp_path: Path) -> None:
    data = shared_data("hippocampus")
    names = [path.name for path in sorted((data / "images").iterdir())][:12]
    cases = linked(tmp_path / "cases", names, data, "labels")
    record = check_real(tmp_path, "--labeled", cases, "--unlabeled", shared_data("brain-dicom"))
    assert all(("HCropVolume" in entry["case"]) == (entry["how_far"] < 1) for entry in record["archive"])
    (found,) = [entry for entry in record["findings"] if entry["kind"] == "archive_unlike"]
    assert len(found["cases"]) == 3


def check_real(tmp_path: Path, *arguments: Any) -> dict[str, Any]:
    """The JSON file of a check that finds no fault."""
    done = alhvr("check", *arguments, "--out", tmp_path / "check.json", "--progress", "json",
                 "--no-forecast")
    assert done.code == 0, done
    return json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))


def linked(folder: Path, names: list[str], data: Path, labels: str) -> Path:
    """A cases folder of links to scans and to the labels of one kind."""
    for kind, source in (("images", "images"), ("labels", labels)):
        (folder / kind).mkdir(parents=True)
        for name in names:
            (folder / kind / name).symlink_to(data / source / name)
    return folder
