"""cases.json: it adds to what the layout tells, and every mistake in it is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from seg_files import write_folder

from alhvr.core.errors import UserError
from alhvr.data.case_io import read_values
from alhvr.data.cases import Channel, find_cases


def _folder(folder: Path, told: object, *names: str) -> Path:
    """Empty files (finding cases opens no image) and a cases.json."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "cases.json").write_text(told if isinstance(told, str) else json.dumps(told), "utf-8")
    return folder


def _named(folder: Path, told: object) -> Path:
    """Cases a and b with labels and the names of two structures."""
    (folder / "labels.json").write_text('{"1": "liver", "3": "Right ventricle"}')
    return _folder(folder, told, *[f"{place}/{name}.nii" for place in ("images", "labels") for name in "ab"])


def test_structures_that_are_not_annotated_are_told_by_name_or_value(tmp_path: Path) -> None:
    _named(tmp_path, {"cases": {"b": {"not_annotated": ["right VENTRICLE", 1], "patient": "A17"}}})
    a, b = find_cases(tmp_path, labeled=True).cases
    assert (a.not_annotated, a.patient, b.not_annotated, b.patient) == ((), None, (1, 3), "A17")
    assert find_cases(tmp_path, labeled=False).cases[1].patient == "A17"


def test_values_do_where_no_file_names_the_structures(tmp_path: Path) -> None:
    files = ("images/a.nii", "labels/a.nii")
    _folder(tmp_path, {"cases": {"a": {"not_annotated": [4, 2, 4]}}}, *files)
    assert find_cases(tmp_path, labeled=True).cases[0].not_annotated == (2, 4)
    _folder(tmp_path, {"cases": {"a": {"not_annotated": ["liver"]}}}, *files)
    with pytest.raises(UserError, match="No file names the structures: give their label values"):
        find_cases(tmp_path, labeled=True)


@pytest.mark.parametrize("structure", ["spleen", 2, 0, -1])
def test_an_unknown_structure_is_refused_with_those_that_are_known(tmp_path: Path, structure: object) -> None:
    _named(tmp_path, {"cases": {"b": {"not_annotated": [structure]}}})
    with pytest.raises(UserError, match=r'case "b".*"liver" \(1\), "Right ventricle" \(3\)'):
        find_cases(tmp_path, labeled=True)


def test_images_and_labels_lie_where_the_file_says(tmp_path: Path) -> None:
    case = {"images": ["t1/p1.nii", "flair/x y.nii"], "label": "drawn/p1.nii"}
    _folder(tmp_path, {"channels": ["T1", {"name": "PET", "modality": "other"}], "cases": {"patient 1": case}},
            "t1/p1.nii", "flair/x y.nii", "drawn/p1.nii")
    found = find_cases(tmp_path, labeled=True)
    assert [(c.name, c.images, c.label) for c in found.cases] == [
        ("patient 1", (tmp_path / "t1" / "p1.nii", tmp_path / "flair" / "x y.nii"), tmp_path / "drawn" / "p1.nii")]
    assert found.channels == (Channel("T1", "MR"), Channel("PET", "other"))


def test_cases_of_the_file_stand_beside_those_of_the_layout(tmp_path: Path) -> None:
    _folder(tmp_path, {"cases": {"c": {"images": ["more/c.nii"]}}}, "images/a.nii", "more/c.nii")
    assert [case.name for case in find_cases(tmp_path, labeled=False).cases] == ["a", "c"]


def test_files_that_a_case_takes_are_no_cases_of_their_own(tmp_path: Path) -> None:
    case = {"images": ["p t1.nii", "p flair.nii"], "label": "./p label.nii"}
    _folder(tmp_path, {"cases": {"p": case}}, "p t1.nii", "p flair.nii", "p label.nii")
    assert [(c.name, len(c.images)) for c in find_cases(tmp_path, labeled=False).cases] == [("p", 2)]


def test_an_absolute_path_out_of_the_folder_is_fine(tmp_path: Path) -> None:
    outside = tmp_path / "else where" / "a.nii"
    _folder(tmp_path / "set", {"cases": {"a": {"images": [str(outside)]}}}, "images/b.nii", "../else where/a.nii")
    assert find_cases(tmp_path / "set", labeled=False).cases[0].image == outside


def test_a_missing_channel_in_the_file_names_the_case(tmp_path: Path) -> None:
    cases = {"a": {"images": ["x.nii"], "label": "x.nii"}}
    _folder(tmp_path, {"channels": ["T1", "T2"], "cases": cases}, "x.nii")
    with pytest.raises(UserError, match=r'The case "a" lacks the channel T2\..*in cases.json'):
        find_cases(tmp_path, labeled=True)


@pytest.mark.parametrize(("told", "words"), [
    ("{", "cases.json is not valid JSON"), ([], "is no list of cases"), ({"case": {}}, "unknown entry \"case\""),
    ({"cases": []}, "is no object"), ({"cases": {"b": 7}}, '"b" is 7'), ({"cases": {"b": {"lable": "x"}}}, '"lable"'),
    ({"cases": {"c": {"patient": "1"}}}, "\"c\", but no scan is called so.*one of: a, b"),
    ({"cases": {"b": {"images": []}}}, "no file"), ({"cases": {"b": {"images": "x.nii"}}}, "Write a list of files"),
    ({"cases": {"b": {"images": ["x.nii"]}}}, "x.nii of the case \"b\" is not there"),
    ({"cases": {"b": {"label": "x.nii"}}}, "x.nii of the case \"b\" is not there"),
    ({"cases": {"b": {"patient": 17}}}, "as text"), ({"cases": {"b": {"not_annotated": "liver"}}}, "Write a list"),
    ({"cases": {"b": {"not_annotated": [True]}}}, "Write a list"), ({"channels": "T1"}, "as a list")])
def test_mistakes_are_named(tmp_path: Path, told: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        find_cases(_named(tmp_path, told), labeled=True)


def test_labels_are_not_looked_for_in_an_archive(tmp_path: Path) -> None:
    _named(tmp_path, {"cases": {"b": {"label": "x.nii", "not_annotated": ["spleen"]}}})
    assert [case.label for case in find_cases(tmp_path, labeled=False).cases] == [None, None]


def test_labels_and_their_names_are_found_beside_scans_that_lie_elsewhere(tmp_path: Path) -> None:
    scan, folder = tmp_path / "elsewhere" / "scan.nii", tmp_path / "study"
    for path in (scan, folder / "labels" / "a.nii"):
        path.parent.mkdir(parents=True)
        path.touch()
    (folder / "labels.json").write_text('{"1": "liver"}')
    (folder / "cases.json").write_text(json.dumps({"cases": {"a": {"images": [str(scan)]}}}))
    found = find_cases(folder, labeled=True)
    assert found.label_names == {1: "liver"} and found.cases[0].label == folder / "labels" / "a.nii"


def test_joined_structures_are_one_with_the_smallest_value(tmp_path: Path) -> None:
    names = {1: "necrosis", 2: "edema", 4: "enhancing", 7: "vessel"}
    write_folder(tmp_path, {"a": (".nii.gz", (1, 2, 4), ()), "b": (".seg.nrrd", (3, 7, 2), {3: "Edema", 7: "vessel",
                                                                                       2: "enhancing"})}, names)
    (tmp_path / "cases.json").write_text('{"join": {"whole tumour": ["edema", 1, 4]}}')
    found = find_cases(tmp_path, labeled=True)
    assert found.label_names == {1: "whole tumour", 7: "vessel"}
    read = [read_values(case, 255).array[1, 3, [2, 6, 10]].tolist() for case in found.cases]
    assert read == [[1, 1, 1], [1, 7, 1]]
    assert found.label_notes[-1] == 'Joined to "whole tumour" (value 1): 1 necrosis, 2 edema, 4 enhancing.'


def test_values_can_be_joined_where_no_file_names_them(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (".nii.gz", (1, 2, 4), ())})
    (tmp_path / "cases.json").write_text('{"join": {"whole tumour": [4, 2, 1]}}')
    found = find_cases(tmp_path, labeled=True)
    assert found.label_names == {1: "whole tumour"}
    assert set(np.unique(read_values(found.cases[0], 255).array)) == {0, 1}


def test_a_part_that_is_not_annotated_leaves_the_whole_open(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (".nii.gz", (1,), ())}, {1: "necrosis", 2: "edema", 4: "vessel"})
    for part in ("edema", 2, "whole"):
        (tmp_path / "cases.json").write_text(json.dumps({"join": {"whole": [1, 2]},
                                                         "cases": {"a": {"not_annotated": [part]}}}))
        assert find_cases(tmp_path, labeled=True).cases[0].not_annotated == (1,)


@pytest.mark.parametrize(("join", "words"), [
    ([], '"join" in cases.json is no object'), ({"whole": "edema"}, '"whole": \'edema\''), ({"whole": []}, '"whole"'),
    ({"whole": [True]}, '"whole"'), ({" ": [1]}, "whole tumour"), ({"whole": [1, 9]}, "9, which is no structure"),
    ({"whole": ["spleen"]}, "'spleen', which is no structure"), ({"whole": [0, 1]}, "0, which is no structure"),
    ({"one": [1], "two": [1, 3]}, 'value 1 belongs to "one" and to "two"'),
    ({"Liver": [3]}, '"Liver" is the name of a structure that is not joined to it')])
def test_mistakes_of_a_join_are_named(tmp_path: Path, join: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        find_cases(_named(tmp_path, {"join": join}), labeled=True)


def test_a_case_is_held_out_where_the_file_says_so_and_texts_for_people_are_taken(tmp_path: Path) -> None:
    about = {"held_out": True, "annotator": "M. Muster", "annotated_on": "2026-11-30"}
    _named(tmp_path, {"cases": {"b": about, "a": {"held_out": False, "annotator": None}}})
    assert [case.held_out for case in find_cases(tmp_path, labeled=True).cases] == [False, True]


def test_a_case_that_is_left_out_is_gone_whatever_became_of_its_files_and_it_is_said(tmp_path: Path) -> None:
    gone = {"left_out": True, "images": ["gone.nii"], "label": "gone too.nii"}
    _named(tmp_path, {"cases": {"b": {"left_out": True}, "c": gone, "a": {"left_out": False}}})
    found = find_cases(tmp_path, labeled=True)
    assert [case.name for case in found.cases] == ["a"] and found.warnings == ()
    assert "Left out, as cases.json says (2): b, c." in found.notes


def test_a_folder_of_which_every_case_is_left_out_is_one_clear_error(tmp_path: Path) -> None:
    _named(tmp_path, {"cases": {name: {"left_out": True} for name in "ab"}})
    with pytest.raises(UserError, match=r'cases.json says "left_out" of every case in .*Take "left_out" away'):
        find_cases(tmp_path, labeled=True)


@pytest.mark.parametrize(("key", "value", "hint"), [
    ("held_out", "yes", "true or false"), ("held_out", 1, "true or false"), ("left_out", None, "true or false"),
    ("annotator", 3, "text in quotes"), ("annotated_on", ["x"], "text in quotes")])
def test_what_a_case_is_for_has_one_kind_of_value(tmp_path: Path, key: str, value: object, hint: str) -> None:
    _named(tmp_path, {"cases": {"b": {key: value}}})
    with pytest.raises(UserError, match=rf'the case "b" has "{key}".*{hint}'):
        find_cases(tmp_path, labeled=True)
