"""Labels come from the model folder, or one sentence says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CODE = {"scheme": "SCT", "value": "10200004", "meaning": "Liver"}
TERMS = {"category": CODE, "type": CODE, "modifier": None}
LABEL = {"value": 3, "name": "Leber ä~|^", "colour_rgb": [0.5, 0.25, 0], **TERMS}


def write(folder: Path, **changes: object) -> Path:
    entry = {**LABEL, **changes}
    (folder / "alhvr.json").write_text(json.dumps({"labels": {"labels": [entry]}}), encoding="utf-8")
    return folder


def test_labels_have_value_name_colour_and_codes(tmp_path: Path) -> None:
    from ALHVRLib.scene.label_images import labels_of

    (label,) = labels_of(write(tmp_path, modifier={**CODE, "meaning": "Left"}))
    assert (label.value, label.name, label.colour_rgb) == (3, "Leber ä~|^", (0.5, 0.25, 0.0))
    assert (label.type.meaning, label.modifier.meaning) == ("Liver", "Left")


def test_slicer_understands_the_terms_as_they_were_meant(tmp_path: Path) -> None:
    import slicer

    from ALHVRLib.scene.label_images import labels_of, terminology_entry

    (label,) = labels_of(write(tmp_path, modifier={"scheme": "SCT", "value": "7771000", "meaning": "Le~ft"}))
    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.modules.terminologies.logic().DeserializeTerminologyEntry(terminology_entry(label), entry)
    assert entry.GetTypeObject().GetCodeValue() == "10200004"
    assert entry.GetCategoryObject().GetCodeMeaning() == "Liver"
    assert entry.GetTypeModifierObject().GetCodeMeaning() == "Le ft"


def test_a_model_of_the_engine_is_read(tmp_path: Path) -> None:
    from ALHVRLib.scene.label_images import labels_from

    engine = pytest.importorskip("alhvr.formats.labels")
    theirs = engine.LabelSet.from_names({1: "liver", 7: "left kidney"})
    ours = labels_from(json.loads(json.dumps({"labels": theirs.to_dict()})))
    assert [(label.value, label.name, label.type.value) for label in ours] == [
        (label.value, label.name, label.type.value) for label in theirs.labels
    ]


@pytest.mark.parametrize("changes", [
    {"value": 0}, {"value": 70000}, {"value": "1"}, {"name": ""}, {"name": 5}, {"name": "x" * 1000},
    {"colour_rgb": [1, 1]}, {"colour_rgb": [2, 0, 0]}, {"type": None}, {"category": {"scheme": "SCT"}},
])  # fmt: skip
def test_improper_labels_are_one_sentence(changes: dict[str, object], tmp_path: Path) -> None:
    from ALHVRLib.scene.errors import SceneError
    from ALHVRLib.scene.label_images import labels_of

    with pytest.raises(SceneError, match="alhvr.json"):
        labels_of(write(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "[]", '{"labels": 5}', "[" * 100000, "\x00\xff", '{"labels": {"labels": []}}'])
def test_files_that_are_no_description_are_one_sentence(text: str, tmp_path: Path) -> None:
    from ALHVRLib.scene.errors import SceneError
    from ALHVRLib.scene.label_images import labels_of

    (tmp_path / "alhvr.json").write_text(text, encoding="latin-1")
    with pytest.raises(SceneError):
        labels_of(tmp_path)
