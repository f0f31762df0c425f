"""Faults of labels: their values, their shapes, and where their structures lie."""

from __future__ import annotations

import numpy as np
from fault_list import FAULT, WARNING, fault, middle, without
from small_bodies import COUNTS, GRID, NAMES, Body, World

from alhvr.data.geometry import Geometry


@fault("a label with fewer slices than its scan", "label_on_another_grid", FAULT,
       seen="size (48, 40, 12) against (48, 40, 11)", remedy="resample the label", file="labels/case1.nii.gz")
def _short_label(world: World) -> None:
    world.put_label("labeled", 1, world.body("labeled", 1).label[1:])


@fault("a label beside its scan", "label_on_another_grid", FAULT, seen="origin", remedy="belong together",
       file="labels/check1.nii.gz")
def _moved_label(world: World) -> None:
    moved = Geometry(GRID.size_ijk, GRID.spacing_mm, (0.0, 0.0, 0.0), GRID.direction)
    world.put_label("validation", 1, world.body("validation", 1).label, moved)


@fault("a label value that has no name", "unknown_label_value", FAULT, seen="holds the value 7, which has no name",
       remedy="Add it to labels.json", file="labels/case1.nii.gz")
def _unknown_value(world: World) -> None:
    label = world.body("labeled", 1).label
    label[2, 5:9, 5:9] = 7
    world.put_label("labeled", 1, label)


@fault("scribbles whose value for not annotated was not told", "unknown_label_value", FAULT,
       seen="holds the value 9", remedy="--not-annotated 9", file="labels/case0.nii.gz")
def _scribbles(world: World) -> None:
    for index in range(COUNTS["labeled"]):
        world.put_label("labeled", index, _scribbled(world.body("labeled", index).label, 9))


@fault("scribbles without any names", "looks_not_annotated", WARNING, seen="Value 9 covers",
       remedy="--not-annotated 9", file="labels/case0.nii.gz")
def _nameless_scribbles(world: World) -> None:
    _scribbles(world)
    for index in range(COUNTS["validation"]):
        world.put_label("validation", index, _scribbled(world.body("validation", index).label, 9))
    for part in ("labeled", "validation"):
        (world.folder / part / "labels.json").unlink()


@fault("a structure with the value for not annotated", "not_annotated_is_named", FAULT, seen="Value 4 is spleen",
       remedy="another value with --not-annotated", file="labeled", options=("--not-annotated", "4"))
def _named_not_annotated(world: World) -> None:
    assert NAMES[4] == "spleen", world


@fault("folders that mean different structures by one value", "names_differ", FAULT,
       seen='Label value 1 is "liver" in one folder and "heart" in validation', remedy="by the same names",
       file="validation")
def _other_names(world: World) -> None:
    world.put_json("validation", "labels.json", {**NAMES, 1: "heart"})


@fault("two label values of one name", "unusable_names", FAULT, seen="Two labels have the same name: liver",
       remedy="Make each one unique", file="labeled")
def _same_names(world: World) -> None:
    for part in ("labeled", "validation"):
        world.put_json(part, "labels.json", {**NAMES, 4: "liver"})


@fault("an empty label", "empty_label", WARNING, seen="1 label without any structure: case1",
       remedy="learnt as background", file="labels/case1.nii.gz")
def _empty(world: World) -> None:
    world.put_label("labeled", 1, np.zeros(GRID.shape_kji, np.uint8))


@fault("nothing but empty labels", "all_labels_empty", FAULT, seen="are empty (value 0 everywhere)",
       remedy="something is labelled", file="labels/case0.nii.gz")
def _all_empty(world: World) -> None:
    for index in range(COUNTS["labeled"]):
        world.put_label("labeled", index, np.zeros(GRID.shape_kji, np.uint8))


@fault("a case in which nothing is annotated", "nothing_annotated", WARNING, seen="case1",
       remedy="move the scans to the archive", file="labels/case1.nii.gz")
def _unseen(world: World) -> None:
    world.put_label("labeled", 1, np.full(GRID.shape_kji, 255, np.uint8))


@fault("a structure declared as not annotated that is there", "declared_but_present", WARNING, seen="spleen",
       remedy="Take it out of not_annotated", file="labels/case1.nii.gz")
def _declared(world: World) -> None:
    world.put_json("labeled", "cases.json", {"cases": {"case1": {"not_annotated": ["spleen"]}}})


@fault("a structure that one case lacks without saying so", "absent_structure", WARNING,
       seen="spleen is in 6 of 7 labels, and not in case1", remedy="declare it under not_annotated",
       file="labels/case1.nii.gz")
def _absent(world: World) -> None:
    world.put_label("labeled", 1, without(world.body("labeled", 1).label, 4))


@fault("a hole in a structure", "holes", WARNING, seen="liver has holes in case1", remedy="Fill them",
       file="labels/case1.nii.gz")
def _hole(world: World) -> None:
    label = world.body("labeled", 1).label
    k, j, i = middle(label, 1)
    label[k - 1:k + 2, j - 2:j + 3, i - 2:i + 3] = 0
    world.put_label("labeled", 1, label)


@fault("a stray piece of a structure", "stray_parts", WARNING, seen="liver is in parts in case1: 2 parts",
       remedy="erase those that are slips", file="labels/case1.nii.gz")
def _stray(world: World) -> None:
    label = world.body("labeled", 1).label
    label[1:3, 3:6, 22:26] = 1
    world.put_label("labeled", 1, label)


@fault("left and right kidney swapped in a label", "swapped_sides", FAULT, seen="case1 has left kidney",
       remedy="names are swapped", file="labels/case1.nii.gz")
def _swapped(world: World) -> None:
    label = world.body("labeled", 1).label
    world.put_label("labeled", 1, np.array([0, 1, 3, 2, 4], np.uint8)[label])


@fault("a scan and label seen in a mirror", "swapped_sides", FAULT, seen="case1 has left kidney",
       remedy="scan and label are flipped", file="labels/case1.nii.gz")
def _mirrored(world: World) -> None:
    body = world.body("labeled", 1)
    world.put("labeled", 1, Body(body.image[:, :, ::-1], body.label[:, :, ::-1]))


@fault("a mirrored case where no structure is called left or right", "swapped_sides", WARNING,
       seen="case1 differs from all other cases", remedy="flipped", file="labels/case1.nii.gz")
def _mirrored_without_sides(world: World) -> None:
    _mirrored(world)
    for part in ("labeled", "validation"):
        world.put_json(part, "labels.json", {1: "liver", 2: "one", 3: "other", 4: "spleen"})


@fault("a case upside down", "moved_structure", WARNING, seen="case1 differs from all other cases", remedy="flipped",
       file="labels/case1.nii.gz")
def _upside_down(world: World) -> None:
    body = world.body("labeled", 1)
    world.put("labeled", 1, Body(body.image[::-1], body.label[::-1]))


def _scribbled(label: np.ndarray, value: int) -> np.ndarray:
    """A line in every structure and in the background; ``value`` elsewhere."""
    drawn = np.full_like(label, value)
    rows = (slice(None), slice(None, None, 7))
    drawn[rows] = label[rows]
    return drawn
