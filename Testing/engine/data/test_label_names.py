"""Label names: structures are known by their names, whatever their numbers, and a clash is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from seg_files import bars, write_folder, write_label, write_scan

from alhvr.core.errors import UserError
from alhvr.data.case_io import LabelDecoder, read_values
from alhvr.data.cases import CaseSet, align_cases, find_cases
from alhvr.data.label_names import LabelMeaning, parse_label_names
from alhvr.data.reading import probe, read_label
from alhvr.formats.labels import NOT_ANNOTATED, LabelSet

NAMES = {1: "liver", 2: "kidneys"}
SEG = ".seg.nrrd"


def found_values(folder: Path, not_annotated: int | None = 255) -> dict[str, list[int]]:
    """What stands in the first and the second bar of each case, with the values of the run."""
    cases = find_cases(folder, labeled=True).cases
    return {case.name: read_values(case, not_annotated).array[1, 3, [2, 6]].tolist() for case in cases}


def test_files_that_number_their_segments_differently_are_mapped_by_name(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 2), NAMES), "b": (SEG, (2, 1), {1: "Kidneys ", 2: "LIVER"}),
                            "c": (SEG, (5, 2), {2: "kidneys", 5: "liver"})})
    found = find_cases(tmp_path, labeled=True)
    assert found.label_names == NAMES and found_values(tmp_path) == dict.fromkeys("abc", [1, 2])
    assert found.label_notes == (
        "Label values go by name: in b.seg.nrrd Kidneys is 1, in this run 2; so do the values of 1 more.",)


def test_files_of_the_same_numbers_are_left_as_they_are(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 2), NAMES), "b": (SEG, (1,), NAMES)})
    found = find_cases(tmp_path, labeled=True)
    assert found.label_notes == () and found.label_names == NAMES
    for case in found.cases:
        assert np.array_equal(read_values(case, 255).array, read_label(case.label).array)


def test_the_fullest_file_numbers_the_structures_of_all(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1,), {1: "kidneys"}), "b": (SEG, (1, 2), NAMES)})
    assert find_cases(tmp_path, labeled=True).label_names == NAMES
    assert found_values(tmp_path) == {"a": [2, 0], "b": [1, 2]}


def test_a_structure_that_only_one_file_has_gets_a_free_value(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 2), NAMES), "b": (SEG, (1, 2), {1: "spleen", 2: "liver"})})
    assert find_cases(tmp_path, labeled=True).label_names == {**NAMES, 3: "spleen"}
    assert found_values(tmp_path) == {"a": [1, 2], "b": [3, 1]}


@pytest.mark.parametrize("source", ["labels.json", "dataset.json"])
def test_the_values_of_a_run_are_those_of_the_file_that_people_wrote(tmp_path: Path, source: str) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 2), NAMES)}, {"7": "kidneys", "4": "liver"})
    if source == "dataset.json":
        (tmp_path / "labels.json").unlink()
        (tmp_path / source).write_text(json.dumps({
            "labels": {"background": 0, "liver": 4, "kidneys": 7},
            "training": [{"image": "images/a.nii.gz", "label": "labels/a.seg.nrrd"}]}))
    assert find_cases(tmp_path, labeled=True).label_names == {4: "liver", 7: "kidneys"}
    assert found_values(tmp_path) == {"a": [4, 7]}


def test_a_name_that_nobody_knows_is_refused_with_file_value_and_both_names(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 2), {1: "livr", 2: "kidneys"})}, NAMES)
    with pytest.raises(UserError, match='a.seg.nrrd calls the value 1 "livr"; elsewhere 1 is "liver".*'
                                        '1 "liver", 2 "kidneys".*labels.json'):
        found_values(tmp_path)


def test_a_name_that_nobody_knows_and_no_voxel_has_does_no_harm(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 2), {**NAMES, 3: "draft"})}, NAMES)
    assert found_values(tmp_path) == {"a": [1, 2]}


def test_a_value_that_no_segment_has_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 9), NAMES)})
    with pytest.raises(UserError, match="holds the value 9, which none of its segments has"):
        found_values(tmp_path)


def test_a_value_for_not_annotated_needs_no_segment(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 255), {1: "liver"})}, {"3": "liver"})
    assert found_values(tmp_path) == {"a": [3, 255]}


def test_segments_that_nobody_named_go_by_their_values(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 2), {1: "Segment_1", 2: "Segment_2"})}, NAMES)
    assert found_values(tmp_path) == {"a": [1, 2]}
    write_folder(tmp_path, {"a": (SEG, (1, 2), {1: "Segment_1", 2: "liver"})}, NAMES)
    with pytest.raises(UserError, match='"Segment_1" .value 1. and "liver" .value 2. would become one'):
        found_values(tmp_path)


def test_a_contradictory_header_costs_its_case_alone(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1, 2), NAMES), "b": (SEG, (1,), ())})
    write_label(tmp_path / "labels" / "b.seg.nrrd", bars(1), [("1", "liver"), ("1", "tumour")])
    good, bad = find_cases(tmp_path, labeled=True).cases
    assert read_values(good, 255).array.max() == 2
    with pytest.raises(UserError, match='b.seg.nrrd has two segments of value 1: "liver" and "tumour"'):
        read_values(bad, 255)


def test_headers_that_all_contradict_themselves_are_not_passed_over(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (SEG, (1,), ())})
    write_label(tmp_path / "labels" / "a.seg.nrrd", bars(1), [("1", "liver"), ("1", "tumour")])
    with pytest.raises(UserError, match="two segments of value 1"):
        read_values(find_cases(tmp_path, labeled=True).cases[0], 255)


@pytest.mark.parametrize("value", [4, 255, 300])
def test_the_ignore_label_of_nnunet_is_not_annotated_and_no_structure(tmp_path: Path, value: int) -> None:
    write_scan(tmp_path / "imagesTr" / "a_0000.nii.gz")
    array = bars(1, 2).astype(np.uint16)
    array[array == 2] = value
    write_label(tmp_path / "labelsTr" / "a.nii.gz", array)
    (tmp_path / "dataset.json").write_text(json.dumps(
        {"labels": {"background": 0, "liver": 1, "ignore": value}, "channel_names": {"0": "CT"}}))
    found = find_cases(tmp_path, labeled=True)
    assert found.label_names == {1: "liver"}
    assert found.label_notes == (f'The value {value}, "ignore" in dataset.json, is taken for not annotated.',)
    geometry = probe(found.cases[0].image).geometry
    index = LabelDecoder(LabelSet.from_names(found.label_names), 255).read(found.cases[0], geometry)
    assert index[1, 3, [2, 6]].tolist() == [1, NOT_ANNOTATED]
    assert find_cases(tmp_path, labeled=False).label_names == {1: "liver"}


def test_the_ignore_label_is_not_taken_for_a_structure_that_has_its_value(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (".nrrd", (255, 4), ())}, {"255": "liver", "4": "ignore"})
    case = find_cases(tmp_path, labeled=True).cases[0]
    index = LabelDecoder(LabelSet.from_names({255: "liver"}), 255).read(case, probe(case.image).geometry)
    assert index[1, 3, [2, 6]].tolist() == [1, NOT_ANNOTATED]


def test_a_file_that_holds_the_stand_in_for_not_annotated_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (".nrrd", (1,), ())})
    write_label(tmp_path / "labels" / "a.nrrd", bars(1).astype(np.int32) * 65536)
    with pytest.raises(UserError, match="holds the value 65536"):
        found_values(tmp_path)


def _nnunet(folder: Path, labels: dict) -> Path:
    write_scan(folder / "imagesTr" / "a_0000.nii.gz")
    write_label(folder / "labelsTr" / "a.nii.gz", bars(1, 2, 3))
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "channel_names": {"0": "MR"},
                                                     "regions_class_order": [1, 2]}))
    return folder


def test_regions_that_do_not_overlap_are_joined(tmp_path: Path) -> None:
    _nnunet(tmp_path, {"background": 0, "tumour": [2, 1], "vessel": [3]})
    found = find_cases(tmp_path, labeled=True)
    assert found.label_names == {1: "tumour", 3: "vessel"} and "Joined to \"tumour\" (value 1)" in found.label_notes[0]
    assert read_values(found.cases[0], 255).array[1, 3, [2, 6, 10]].tolist() == [1, 1, 3]


def test_regions_that_overlap_are_refused_with_the_value_and_both_names(tmp_path: Path) -> None:
    _nnunet(tmp_path, {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3})
    with pytest.raises(UserError, match=r'The value 2 belongs to "whole" and to "core".*"join"'):
        find_cases(tmp_path, labeled=True)


def test_a_label_that_a_region_covers_overlaps_it(tmp_path: Path) -> None:
    for kidneys in (2, [2]):
        with pytest.raises(UserError, match='The value 2 belongs to "abdomen" and to "kidneys"'):
            find_cases(_nnunet(tmp_path, {"background": 0, "abdomen": [1, 2, 3], "kidneys": kidneys}), labeled=True)


def test_a_join_takes_the_place_of_regions_and_says_so(tmp_path: Path) -> None:
    _nnunet(tmp_path, {"background": 0, "whole": [1, 2, 3], "core": [2, 3]})
    (tmp_path / "cases.json").write_text('{"join": {"whole": [1, 2, 3]}}')
    found = find_cases(tmp_path, labeled=True)
    assert found.label_names == {1: "whole"} and "regions of dataset.json" in found.label_notes[-1]


@pytest.mark.parametrize("region", [[], [0.5, 1], ["1", "2"], [True, 1], [1, 70000], [[1], 2]])
def test_a_region_that_is_no_list_of_values_is_refused(tmp_path: Path, region: list) -> None:
    with pytest.raises(UserError, match='the region "odd"'):
        find_cases(_nnunet(tmp_path, {"background": 0, "odd": region, "liver": 1}), labeled=True)


@pytest.mark.parametrize("record", [{"liver": 1, "tumour": 1}, {"1": "liver", "01": "tumour"}])
def test_two_names_for_one_value_are_refused_with_both(record: dict) -> None:
    with pytest.raises(UserError, match='labels.json has two names for the value 1: "liver" and "tumour"'):
        parse_label_names("labels.json", record)


@pytest.mark.parametrize("file", ["labels.json", "cases.json", "dataset.json"])
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, file: str) -> None:
    write_folder(tmp_path, {"a": (".nrrd", (1,), ())})
    (tmp_path / file).write_text('{"3": "spleen", "3": "stomach"}')
    with pytest.raises(UserError, match=f'{file} has "3" twice: \'spleen\' and \'stomach\''):
        find_cases(tmp_path, labeled=True)


@pytest.mark.parametrize("record", [{"liver": True}, {"1.0": "liver"}, {"1": None}, {"1": {}}, {"": "liver"}])
def test_names_that_are_no_names_of_whole_numbers_are_refused(record: dict) -> None:
    with pytest.raises(UserError, match="The labels in labels.json are not one name for one whole number"):
        parse_label_names("labels.json", record)


def test_deep_json_beside_labels_is_one_line(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (".nrrd", (1,), ())})
    (tmp_path / "labels.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="labels.json is nested too deeply"):
        find_cases(tmp_path, labeled=True)


def _both(tmp_path: Path, names: dict) -> CaseSet:
    """A validation folder with names of its own, beside a folder of liver 1 and kidneys 2."""
    write_folder(tmp_path, {"v": (".nii.gz", (1, 2), ())}, names)
    return align_cases(find_cases(tmp_path, labeled=True), NAMES)


def test_a_validation_folder_of_other_numbers_is_mapped_by_name(tmp_path: Path) -> None:
    found = _both(tmp_path, {1: "Kidneys", 2: "liver"})
    assert found.label_names == NAMES and "Kidneys is 1, in this run 2" in found.label_notes[0]
    assert read_values(found.cases[0], 255).array[1, 3, [2, 6]].tolist() == [2, 1]


def test_segments_of_a_validation_folder_are_mapped_by_name(tmp_path: Path) -> None:
    write_folder(tmp_path, {"v": (SEG, (3, 4), {3: "kidneys", 4: "liver"})})
    found = align_cases(find_cases(tmp_path, labeled=True), NAMES)
    assert read_values(found.cases[0], 255).array[1, 3, [2, 6]].tolist() == [2, 1]


def test_a_validation_folder_that_clashes_is_left_as_it_is(tmp_path: Path) -> None:
    assert _both(tmp_path, {1: "kidneys", 2: "spleen"}).label_names == {1: "kidneys", 2: "spleen"}


def test_what_a_validation_case_lacks_is_mapped_too(tmp_path: Path) -> None:
    write_folder(tmp_path, {"v": (".nii.gz", (1,), ())}, {1: "kidneys", 2: "liver"})
    (tmp_path / "cases.json").write_text('{"cases": {"v": {"not_annotated": ["liver"]}}}')
    assert align_cases(find_cases(tmp_path, labeled=True), NAMES).cases[0].not_annotated == (1,)


def test_a_meaning_without_entries_changes_nothing() -> None:
    assert LabelMeaning().value_map("a", (1, 2, 70000, -5), {1: "liver"}) == {}
