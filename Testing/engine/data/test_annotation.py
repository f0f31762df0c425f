"""What a label file says: classes, voxels that are not annotated, and structures that are missing in a case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from tiny_cases import LABELS, write_case

from alhvr.checking.examine import ExamineOptions, examine_case
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


OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)
BOX = (slice(1, 3), slice(2, 10), slice(3, 13))


def cropped_case(folder: Path, direction: tuple[float, ...], *, off_mm: float = 0.0, ending: str = ".seg.nrrd",
                 ) -> tuple[Case, np.ndarray]:
    """A case whose label file is the BOX of the whole label; and the whole label."""
    scan = SimpleITK.GetImageFromArray(np.indices(SHAPE).sum(0).astype(np.float32))
    whole = np.zeros(SHAPE, np.uint8)
    whole[1:3, 2:6, 3:8], whole[1, 6:10, 10:13] = 1, 3
    label = SimpleITK.GetImageFromArray(whole[BOX])
    for image in (scan, label):
        image.SetSpacing((0.7, 0.9, 2.5))
        image.SetOrigin((-81.3, 12.9, 1033.7))
        image.SetDirection(direction)
    label.SetOrigin(np.add(scan.TransformIndexToPhysicalPoint((3, 2, 1)), (off_mm, 0, 0)).tolist())
    SimpleITK.WriteImage(scan, str(folder / "a.nrrd"))
    SimpleITK.WriteImage(label, str(folder / f"label{ending}"))
    return Case("a", folder / "a.nrrd", folder / f"label{ending}"), whole


@pytest.mark.parametrize("direction", [OBLIQUE, FLIPPED, (1.0, 0, 0, 0, 1, 0, 0, 0, 1)],
                         ids=["oblique", "flipped", "straight"])
def test_a_segmentation_that_slicer_cropped_has_background_around_it(tmp_path: Path,
                                                                     direction: tuple[float, ...]) -> None:
    case, whole = cropped_case(tmp_path, direction)
    found = LabelDecoder(LABELS).read(case, grid(case))
    assert (found == LABELS.to_class_index(whole, not_annotated=255)).all()
    facts = examine_case("labeled", case, ExamineOptions(255, b"key"))
    assert not facts.label.other_grid and facts.label.structures[1].voxels == np.count_nonzero(whole == 1)


@pytest.mark.parametrize(("direction", "wrong"), [(OBLIQUE, {"off_mm": 0.3}), (FLIPPED, {"off_mm": 0.3}),
                                                  (FLIPPED, {"ending": ".nrrd"}), (FLIPPED, {"off_mm": 7.0})],
                         ids=["between oblique voxels", "between voxels", "other file", "partly outside"])
def test_a_smaller_label_that_is_no_cropped_segmentation_is_refused(tmp_path: Path, direction: tuple[float, ...],
                                                                    wrong: dict) -> None:
    case, _whole = cropped_case(tmp_path, direction, **wrong)
    with pytest.raises(UserError, match="lies on another grid than its scan a.nrrd: size .16, 12, 4. against .10, 8"):
        LabelDecoder(LABELS).read(case, grid(case))
    assert examine_case("labeled", case, ExamineOptions(255, b"key")).label.other_grid


def test_a_label_on_another_grid_is_refused(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a", SHAPE, label=True)
    other = write_case(tmp_path, "b", (5, 12, 16), label=True)
    with pytest.raises(UserError, match="b.nrrd lies on another grid than its scan a.nrrd"):
        LabelDecoder(LABELS).read(replace(case, label=other.label), grid(case))
