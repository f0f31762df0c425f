"""Facts that were kept come back as they were, and what is kept names nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alhvr.checking.facts import CaseFacts, ImageFacts, LabelFacts, Problem, StructureFacts, from_text, to_text
from alhvr.data.cases import Case
from alhvr.data.fingerprint import Fingerprint
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics

GRID = Geometry((4, 3, 2), (0.1, 1 / 3, 2.5), (1e-7, -3.25, 100.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
STATISTICS = Statistics(-1000.1, 3.3, 2000.7, 0.1 + 0.2, 5.5)
CASE = Case("Meier", Path("/data/Meier.nii.gz"), Path("/data/Meier-label.nii.gz"))
IMAGE = ImageFacts(
    content="abc", print=Fingerprint(GRID, "MR", STATISTICS, STATISTICS), lowest=-1024.0, highest=3e38, n_not_finite=3,
    histogram=tuple(range(64)), thumbnail=np.arange(12, dtype=np.uint8).reshape(3, 4), patient="d1g3st",
    field_strength_t=1.5, warnings=("Meier.nii.gz holds 3 voxels that are NaN.",))
LABEL = LabelFacts(
    content="def", geometry=GRID, other_grid="", n_voxels=24, n_not_annotated=2, annotated_slices=2, slices=2,
    structures={3: StructureFacts(5, 0.1 + 0.7, 2, (1.1, 2.2, -3.3), 2, 0.8, 1)},
    outline=np.full((3, 4), 3, dtype=np.uint8))
FACTS = CaseFacts("labeled", CASE, (IMAGE,), LABEL)


def test_everything_comes_back_as_it_was() -> None:
    again = from_text(to_text(FACTS), "labeled", CASE)
    image, label = again.images[0], again.label
    assert again.known and not FACTS.known
    assert np.array_equal(image.thumbnail, IMAGE.thumbnail) and np.array_equal(label.outline, LABEL.outline)
    assert replace(image, thumbnail=IMAGE.thumbnail) == IMAGE
    assert replace(label, outline=LABEL.outline) == LABEL


def test_facts_without_label_or_measures_come_back_too() -> None:
    case = Case("x", Path("x.nrrd"), None)
    bare = replace(IMAGE, print=Fingerprint(GRID, "other"), patient=None, field_strength_t=None, warnings=())
    again = from_text(to_text(CaseFacts("unlabeled", case, (bare,))), "unlabeled", case)
    assert again.label is None and again.images[0].print == bare.print


def test_no_name_is_kept_and_the_new_name_is_put_in() -> None:
    text = to_text(FACTS)
    assert "Meier" not in text and "data" not in text
    other = Case("Schulz", Path("/other/Schulz.nii.gz"), Path("/other/Schulz-label.nii.gz"))
    assert from_text(text, "validation", other).images[0].warnings == ("Schulz.nii.gz holds 3 voxels that are NaN.",)


@pytest.mark.parametrize("warning", ["Its name is Meier.", "Meier.nii.gz was made by Meier."])
def test_a_warning_that_tells_a_name_elsewhere_is_not_kept(warning: str) -> None:
    assert to_text(replace(FACTS, images=(replace(IMAGE, warnings=(warning,)),))) is None


def test_facts_with_a_problem_are_not_kept() -> None:
    assert to_text(replace(FACTS, label_problem=Problem("Meier-label.nii.gz is cut short."))) is None
    assert to_text(replace(FACTS, images=())) is None


@pytest.mark.parametrize("change", [{"images": []}, {"label": None}, {"label": {}}, {"images": [{}]}])
def test_a_text_that_does_not_fit_is_as_none(change: dict) -> None:
    assert from_text(json.dumps(json.loads(to_text(FACTS)) | change), "labeled", CASE) is None
    assert from_text("{", "labeled", CASE) is None and from_text("[]", "labeled", CASE) is None
