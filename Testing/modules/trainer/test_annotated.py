"""Which slices of which structures count, along any axis, and what the label must not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

SHAPE = (6, 8, 10)


@pytest.fixture(autouse=True)
def clean_slate() -> None:
    """Nothing of Slicer is needed here."""


@pytest.fixture
def one(slicer_app: object) -> Any:
    """A scan with two structures, of which nothing was looked at."""
    from ALHVRTrainerLib.review.annotated import Annotated

    annotated = Annotated(SHAPE)
    annotated.begin({"liver": np.zeros(SHAPE, bool), "spleen": np.zeros(SHAPE, bool)})
    return annotated


def painted(*where: slice | int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[where] = True
    return mask


@pytest.mark.parametrize(("axis", "where"), [(0, (2, slice(1, 5), slice(2, 6))), (1, (slice(1, 5), 3, slice(2, 6))),
                                             (2, (slice(1, 5), slice(2, 6), 4))])
def test_an_edit_counts_along_the_axis_in_which_it_was_made(one: Any, axis: int, where: tuple) -> None:
    assert one.edited({"liver": painted(*where)}, ())
    counted = [seen.sum() for seen in one.structures["liver"].slices]
    assert counted[axis] == 1 and sum(counted) == 1
    assert one.structures["liver"].slices[axis][next(i for i in where if isinstance(i, int))]


def test_a_filter_through_many_slices_counts_where_somebody_looks(one: Any) -> None:
    from ALHVRTrainerLib.review.annotated import Slice

    one.edited({"liver": painted(slice(0, 6), slice(0, 8), slice(0, 10))}, [Slice(0, 4)])
    assert np.flatnonzero(one.structures["liver"].slices[0]).tolist() == [4]
    assert not one.structures["liver"].slices[1].any()


def test_what_is_as_it_was_counts_for_nothing(one: Any) -> None:
    assert not one.edited({"liver": np.zeros(SHAPE, bool)}, ())
    assert one.annotated() == ()


def test_background_is_known_where_every_structure_counts_that_counts_anywhere(one: Any) -> None:
    from ALHVRTrainerLib.review.annotated import Slice

    liver, spleen = painted(slice(0, 6), 1, 1), painted(slice(0, 6), 5, 5)
    one.callRight(["liver"], [Slice(0, 1), Slice(0, 2)])
    one.callRight(["spleen"], [Slice(0, 2)])
    open_voxels = one.open({"liver": liver, "spleen": spleen})
    assert open_voxels[0].all() and not open_voxels[2].any()
    assert not open_voxels[1][liver[1]].any() and open_voxels[1][~liver[1]].all()


def test_a_structure_that_counts_nowhere_does_not_hide_the_background(one: Any) -> None:
    one.callAllRight(["liver"])
    assert not one.open({"liver": painted(2, 2, 2), "spleen": painted(3, 3, 3)}).any()


def test_the_dice_is_that_of_what_counts(one: Any) -> None:
    from ALHVRTrainerLib.review.annotated import Slice

    one.callRight(["liver"], [Slice(0, 0)])
    draft, mask = painted(slice(0, 2), slice(0, 2), 0), painted(slice(0, 1), slice(0, 4), 0)
    assert one.dice({"liver": draft}, {"liver": mask}) == {"liver": pytest.approx(4 / 6)}


@pytest.mark.parametrize("notes", [None, [], {"liver": 3}, {"liver": {"k": "all"}}, {"other": {"k": [1]}},
                                   {"liver": {"k": [99, -1, "1", 2.0, True]}}])
def test_notes_of_a_stranger_count_as_far_as_they_make_sense(one: Any, notes: object) -> None:
    one.fromNotes(notes)
    assert one.count("liver")[0] <= 1 and one.annotated() in ((), ("liver",))


def test_notes_bring_back_what_counted(one: Any, slicer_app: object) -> None:
    from ALHVRTrainerLib.review.annotated import Annotated

    one.edited({"spleen": painted(slice(1, 5), slice(2, 6), 4)}, ())
    other = Annotated(SHAPE)
    other.begin({"liver": np.zeros(SHAPE, bool), "spleen": np.zeros(SHAPE, bool)})
    other.fromNotes(one.toNotes())
    assert other.count("spleen") == (1, 10) and other.annotated() == ("spleen",)
