"""Labels come from the model folder, or one sentence says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_worlds import write_model_folder

CODE = {"scheme": "SCT", "value": "10200004", "meaning": "Liver"}
LABEL = {"value": 3, "name": "Leber ä~|^", "colour_rgb": [0.5, 0.25, 0], "category": CODE, "type": CODE}


def model(folder: Path, **changes: object) -> Path:
    return write_model_folder(folder / "m", {"labels": {"labels": [{**LABEL, **changes}]}})


def test_labels_have_value_name_colour_and_codes(tmp_path: Path) -> None:
    from ALHVRLib.scene.label_images import labels_of

    (label,) = labels_of(model(tmp_path, modifier={**CODE, "meaning": "Left"}))
    assert (label.value, label.name, label.colour_rgb) == (3, "Leber ä~|^", (0.5, 0.25, 0.0))
    assert (label.type.meaning, label.modifier.meaning) == ("Liver", "Left")


def test_slicer_understands_the_terms_as_they_were_meant(tmp_path: Path) -> None:
    import slicer

    from alhvr.formats.terminology import terminology_entry
    from ALHVRLib.scene.label_images import labels_of

    (label,) = labels_of(model(tmp_path, modifier={"scheme": "SCT", "value": "7771000", "meaning": "Le~ft"}))
    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.modules.terminologies.logic().DeserializeTerminologyEntry(terminology_entry(label), entry)
    assert entry.GetTypeObject().GetCodeValue() == "10200004"
    assert entry.GetCategoryObject().GetCodeMeaning() == "Liver"
    assert entry.GetTypeModifierObject().GetCodeMeaning() == "Le ft"


@pytest.mark.parametrize("text", ["", "[]", '{"labels": 5}', "[" * 100000, "\x00\xff", '{"labels": {"labels": []}}'])
def test_files_that_are_no_description_are_one_sentence(text: str, tmp_path: Path) -> None:
    from ALHVRLib.scene.errors import SceneError
    from ALHVRLib.scene.label_images import labels_of

    (tmp_path / "alhvr.json").write_text(text, encoding="latin-1")
    with pytest.raises(SceneError, match="alhvr.json"):
        labels_of(tmp_path)
