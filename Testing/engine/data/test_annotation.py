"""What a label file says: classes, voxels that are not annotated, and structures that are missing in a case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from tiny_cases import LABELS, write_case

from alhvr.core.errors import UserError
from alhvr.data.case_io import LabelDecoder
from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe
from alhvr.formats.labels import NOT_ANNOTATED

SHAPE = (4, 12, 16)


def grid(case: Case) -> Geometry:
    return probe(case.image).geometry


def overwrite(case: Case, value: int, *, plane: int) -> None:
    """Puts ``value`` into one slice of the label."""
    image = SimpleITK.ReadImage(str(case.label))
    array = SimpleITK.GetArrayFromImage(image)
    array[plane] = value
    changed = SimpleITK.GetImageFromArray(array)
    changed.CopyInformation(image)
    SimpleITK.WriteImage(changed, str(case.label))


def test_voxels_with_the_value_for_not_annotated_have_no_class(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a", SHAPE, label=True)
    overwrite(case, 4, plane=2)
    found = LabelDecoder(LABELS, not_annotated=4).read(case, grid(case))
    assert (found[2] == NOT_ANNOTATED).all() and set(np.unique(found[1])) == {0, 1, 2}


def test_without_such_a_value_it_is_unknown_and_the_message_says_how_to_name_it(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a", SHAPE, label=True)
    overwrite(case, 4, plane=2)
    with pytest.raises(UserError, match="a.nrrd: The label has value 4; known are 0, 1, 3.*--not-annotated 4"):
        LabelDecoder(LABELS, not_annotated=255).read(case, grid(case))


def test_the_value_of_a_structure_is_never_taken_for_not_annotated(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a", SHAPE, label=True)
    assert set(np.unique(LabelDecoder(LABELS, not_annotated=3).read(case, grid(case)))) == {0, 1, 2}


def test_structures_missing_in_a_case_are_told_by_class(tmp_path: Path) -> None:
    case = replace(write_case(tmp_path, "a", SHAPE, label=True), not_annotated=(3, 9))
    assert LabelDecoder(LABELS).missing_classes(case) == (2,)
    assert LabelDecoder(LABELS).missing_classes(replace(case, not_annotated=())) == ()


def test_a_label_on_another_grid_is_refused(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a", SHAPE, label=True)
    other = write_case(tmp_path, "b", (5, 12, 16), label=True)
    with pytest.raises(UserError, match="b.nrrd lies on another grid than its scan a.nrrd"):
        LabelDecoder(LABELS).read(replace(case, label=other.label), grid(case))
