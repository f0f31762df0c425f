"""Adding cases to a project: which label belongs to which scan and why, and copies that mean the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_cases import Listener
from tiny_runs import make_scan, write_scan, write_study

from alhvr.core.errors import UserError
from alhvr.data.adding import add_cases, choose, find_pairs
from alhvr.data.case_io import read_values
from alhvr.data.cases import find_cases
from alhvr.data.reading import read_label
from alhvr.formats.project import create_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return create_project(tmp_path / "project").folder


def pair(folder: Path, image: str, label: str, seed: int = 0) -> list[Path]:
    array, values = make_scan(seed)
    return [write_scan(folder / image, array), write_scan(folder / label, values)]


def test_a_cases_folder_is_copied_with_its_names_and_values(tmp_path: Path, project: Path) -> None:
    study = write_study(tmp_path / "study", labeled=2)
    assert add_cases(project, find_pairs([study / "labeled"]), Listener()) == ("case0", "case1")
    ours, theirs = (find_cases(folder, labeled=True) for folder in (project / "cases", study / "labeled"))
    assert ours.label_names == theirs.label_names
    for one, other in zip(ours.cases, theirs.cases, strict=True):
        assert np.array_equal(read_values(one, 255).array, read_values(other, 255).array)


def test_values_of_another_numbering_become_those_of_the_project(tmp_path: Path, project: Path) -> None:
    add_cases(project, find_pairs([write_study(tmp_path / "a", labeled=1) / "labeled"]), Listener())
    other = write_study(tmp_path / "b", labeled=1) / "labeled"
    (other / "labels.json").write_text(json.dumps({"1": "spleen", "3": "Liver"}))
    (name,) = add_cases(project, find_pairs([other]), Listener())
    theirs = read_label(next((other / "labels").iterdir())).array
    ours = read_label(project / "cases" / "labels" / f"{name}.nrrd").array
    assert name == "case0-2" and np.array_equal(ours == 3, theirs == 1) and np.array_equal(ours == 1, theirs == 3)


@pytest.mark.parametrize(("image", "label", "sure"), [
    ("one.nrrd", "one_seg.nrrd", True), ("one.nrrd", "ONE-label.nrrd", True),
    ("Scan of liver.nrrd", "liver_seg.nrrd", False),
    ("one.nrrd", "two.nrrd", False),
])  # fmt: skip
def test_a_pair_of_files_is_sure_where_the_names_are_the_same(tmp_path: Path, image: str, label: str,
                                                              sure: bool) -> None:
    (found,) = find_pairs(pair(tmp_path, image, label)).pairs
    assert (found.case.image.name, found.case.label.name, found.is_sure) == (image, label, sure) and found.reason


def test_a_pair_that_is_not_sure_is_added_only_when_somebody_chose_it(tmp_path: Path, project: Path) -> None:
    found = find_pairs(pair(tmp_path, "one.nrrd", "two.nrrd"))
    with pytest.raises(UserError, match="no pair"):
        choose(found, None, Listener())
    (tmp_path / "only.json").write_text(json.dumps(found.to_dict()["pairs"]))
    assert add_cases(project, choose(found, tmp_path / "only.json", Listener()), Listener()) == ("one",)


def test_a_decathlon_folder_is_taken_as_every_command_reads_it(tmp_path: Path, project: Path) -> None:
    study = write_study(tmp_path / "study", labeled=2)
    for kind in ("images", "labels"):
        shutil.move(study / "labeled" / kind, study / "labeled" / f"{kind}Tr")
    entries = [{"image": f"./imagesTr/case{n}.nii.gz", "label": f"./labelsTr/case{n}.nii.gz"} for n in range(2)]
    (study / "labeled" / "dataset.json").write_text(json.dumps({
        "modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "3": "spleen"}, "training": entries}))
    assert add_cases(project, find_pairs([study / "labeled"]), Listener()) == ("case0", "case1")
    assert find_cases(project / "cases", labeled=True).label_names == {1: "liver", 3: "spleen"}


def test_what_is_not_annotated_and_who_it_is_comes_with_the_case(tmp_path: Path, project: Path) -> None:
    study = write_study(tmp_path / "study", labeled=2) / "labeled"
    (study / "cases.json").write_text(json.dumps({"cases": {"case1": {"patient": "A", "not_annotated": ["spleen"]}}}))
    add_cases(project, find_pairs([study]), Listener())
    case = find_cases(project / "cases", labeled=True).cases[1]
    assert (case.patient, case.not_annotated) == ("A", (3,))


def test_cases_of_two_channels_keep_both_and_their_names(tmp_path: Path, project: Path) -> None:
    folder = tmp_path / "two"
    for name in ("a", "b"):
        array, label = make_scan(0)
        for channel in (0, 1):
            write_scan(folder / "images" / f"{name}_{channel:04d}.nrrd", array + channel)
        write_scan(folder / "labels" / f"{name}.nrrd", label)
    (folder / "labels.json").write_text(json.dumps({"1": "liver", "3": "spleen"}))
    (folder / "cases.json").write_text(json.dumps({"channels": ["T1", "FLAIR"]}))
    assert add_cases(project, find_pairs([folder]), Listener()) == ("a", "b")
    found = find_cases(project / "cases", labeled=True)
    assert [len(case.images) for case in found.cases] == [2, 2]
    assert [channel.name for channel in found.channels] == ["T1", "FLAIR"]
    with pytest.raises(UserError, match="Channels of one: 1; of the cases in the project: 2"):
        add_cases(project, find_pairs(pair(tmp_path, "one.nrrd", "one_seg.nrrd")), Listener())
