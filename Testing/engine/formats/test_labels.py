"""LabelSet: names find their codes and colours, values their class indices."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from pydicom.sr._concepts_dict import concepts

from alhvr.core.errors import UserError
from alhvr.formats import labels as module
from alhvr.formats.labels import Code, Label, LabelSet

LEFT, RIGHT = Code("SCT", "7771000", "Left"), Code("SCT", "24028007", "Right")
DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
"""Published simulation matrix (Machado 2009) for linear RGB."""


def _one(name: str) -> Label:
    return LabelSet.from_names({1: name}).labels[0]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("liver", "10200004"),
        ("SPLEEN", "78961009"),
        ("pancreas", "15776009"),
        ("right ventricle", "53085002"),
        ("RV", "53085002"),
        ("heart_ventricle_left", "87878005"),
        ("Myo", "74281007"),
        ("LeftAtrium", "82471001"),
        ("the kidneys", "64033007"),
        ("hippocampus", "5366008"),
        ("liver tumour", "108369006"),
        ("Oedema", "79654002"),
        ("necrotic and non-enhancing tumor core", "6574001"),
    ],
)
def test_a_known_name_has_its_code(name: str, code: str) -> None:
    assert _one(name).type.value == code


def test_an_organ_is_an_anatomical_structure() -> None:
    assert _one("liver").category == Code("SCT", "123037004", "Anatomical Structure")


def test_a_tumour_is_morphologically_abnormal() -> None:
    assert _one("tumor").category.value == "49755003"


@pytest.mark.parametrize(
    ("name", "side"),
    [("left kidney", LEFT), ("kidney_right", RIGHT), ("Kidney (left)", LEFT), ("RightKidney", RIGHT), ("kidney", None)],
)
def test_a_side_becomes_the_modifier(name: str, side: Code | None) -> None:
    label = _one(name)
    assert (label.type.value, label.modifier) == ("64033007", side)


def test_anterior_and_posterior_hippocampus_differ_by_modifier() -> None:
    one, two = LabelSet.from_names({1: "anterior hippocampus", 2: "hippocampus posterior"}).labels
    assert (one.type, one.modifier.meaning, two.modifier.meaning) == (two.type, "Anterior", "Posterior")


def test_both_sides_in_one_name_give_no_modifier() -> None:
    assert _one("left and right kidney").modifier is None


def test_an_unknown_name_is_tissue_and_keeps_its_name() -> None:
    label = _one("Frobnicator 7")
    assert (label.name, label.category.value, label.type.value) == ("Frobnicator 7", "85756007", "85756007")


def test_every_code_is_in_the_dicom_dictionary() -> None:
    known = {code for entry in concepts["SCT"].values() for code in entry} | {"74281007"}  # Myocardium: SNOMED only
    anatomy = module._anatomy()
    codes = [structure.type for structure in anatomy.structures.values()] + list(anatomy.modifiers.values())
    assert not {code.value for code in codes} - known


def test_about_forty_structures_are_known() -> None:
    assert len({structure.type for structure in module._anatomy().structures.values()}) >= 40


@pytest.mark.parametrize("names", [["left kidney", "right kidney", "liver", "spleen", "tumour"], list("abcdef")])
def test_colours_stay_apart_for_colour_blind_people(names: list[str]) -> None:
    colours = [np.array(label.colour_rgb) for label in LabelSet.from_names(dict(enumerate(names, 1))).labels]
    seen = [np.clip(DEUTERANOPIA @ colour**2.2, 0, 1) ** (1 / 2.2) for colour in colours]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 0.12


def test_thirty_labels_have_thirty_colours_within_range() -> None:
    colours = [label.colour_rgb for label in LabelSet.from_names({i: f"part {i}" for i in range(1, 31)}).labels]
    assert len(set(colours)) == 30 and np.min(colours) >= 0 and np.max(colours) <= 1


def test_a_hundred_labels_are_possible() -> None:
    assert LabelSet.from_names({i: f"part {i}" for i in range(1, 101)}).n_classes == 101


def test_background_is_no_label() -> None:
    labels = LabelSet.from_names({0: "background", 4: "liver", 2: "spleen"})
    assert (labels.names, labels.values, labels.n_classes) == (("spleen", "liver"), (2, 4), 3)


def test_a_label_set_survives_json() -> None:
    labels = LabelSet.from_names({1: "left kidney", 2: "tumour", 9: "Größe"})
    assert LabelSet.from_dict(json.loads(json.dumps(labels.to_dict()))) == labels


@pytest.mark.parametrize("record", [{}, {"labels": [{"value": 1}]}, {"labels": 3}, {"labels": []}])
def test_an_unreadable_record_is_refused(record: dict) -> None:
    with pytest.raises(UserError, match="label"):
        LabelSet.from_dict(record)


@pytest.mark.parametrize("changes", [
    {"value": 0}, {"value": 70000}, {"value": "1"}, {"value": True}, {"name": ""}, {"name": 5}, {"name": "x" * 1000},
    {"colour_rgb": [1, 1]}, {"colour_rgb": [2, 0, 0]}, {"colour_rgb": [0, float("nan"), 0]}, {"type": None},
    {"category": {"scheme": "SCT"}}, {"modifier": {"scheme": "SCT", "value": "1", "meaning": 5}},
])  # fmt: skip
def test_an_improper_label_in_a_record_is_refused(changes: dict) -> None:
    (entry,) = LabelSet.from_names({3: "liver"}).to_dict()["labels"]
    with pytest.raises(UserError):
        LabelSet.from_dict({"labels": [{**entry, **changes}]})


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint16])
def test_values_become_class_indices_and_come_back(dtype: type) -> None:
    labels = LabelSet.from_names({2: "liver", 7: "spleen"})
    values = np.array([[0, 2], [7, 7]], dtype=dtype)
    index = labels.to_class_index(values)
    assert index.dtype == np.uint8 and index.tolist() == [[0, 1], [2, 2]]
    assert labels.to_values(index).tolist() == values.tolist()


def test_large_values_come_back_as_uint16() -> None:
    labels = LabelSet.from_names({600: "liver"})
    assert labels.to_values(np.array([0, 1])).tolist() == [0, 600]


@pytest.mark.parametrize("value", [3, 8, 255, -1, 70000])
def test_an_unknown_value_is_named(value: int) -> None:
    with pytest.raises(UserError, match=str(value)):
        LabelSet.from_names({2: "liver", 7: "spleen"}).to_class_index(np.array([0, 2, value]))


@pytest.mark.parametrize("names", [{0: "background"}, {1: "a", 2: "a"}, {-1: "a"}, {70000: "a"}, {1: " "}])
def test_impossible_labels_are_refused(names: dict) -> None:
    with pytest.raises(UserError):
        LabelSet.from_names(names)
