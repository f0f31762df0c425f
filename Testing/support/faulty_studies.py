"""Faults of whole studies: mixtures, repetition, too little of something, and the archive."""

from __future__ import annotations

import shutil

import numpy as np
from fault_list import FAULT, NOTE, WARNING, cut, fault, middle, without
from small_bodies import COUNTS, GRID, NAMES, World, make_body
from tiny_runs import write_scan

from alhvr.data.geometry import Geometry


@fault("a case of sagittal slices among axial ones", "mixed_orientations", WARNING, seen="sagittal",
       remedy="cut alike", file="/case1.nii.gz")
def _sagittal(world: World) -> None:
    turned = Geometry((40, 26, 22), (2.5, 2.5, 5.5), (-57.75, -48.75, 31.25),
                      (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    world.put("labeled", 1, make_body(1, turned), turned)


@fault("a case stored the other way round", "mixed_orientations", NOTE, seen="RAS", remedy="Nothing to do",
       file="/case1.nii.gz")
def _other_way_round(world: World) -> None:
    grid = Geometry(GRID.size_ijk, GRID.spacing_mm, (58.75, 48.75, -30.25), (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    world.put("labeled", 1, make_body(1, grid), grid)


@fault("a case of coarse pixels", "mixed_spacings", WARNING, seen="Pixels are 2.5 to 6 mm apart", remedy="coarser",
       file="/case1.nii.gz")
def _coarse(world: World) -> None:
    coarse = Geometry((20, 16, 12), (6.0, 6.0, 6.0), (-57.0, -45.0, -33.0), GRID.direction)
    world.put("labeled", 1, make_body(1, coarse), coarse)


@fault("a case whose spacing was lost", "mixed_spacings", WARNING, seen="spacing of exactly 1 mm",
       remedy="true spacing", file="/case1.nii.gz")
def _lost_spacing(world: World) -> None:
    world.put("labeled", 1, world.body("labeled", 1), Geometry(GRID.size_ijk, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0),
                                                               GRID.direction))


@fault("no case with a known spacing", "nominal_spacing", NOTE, seen="exactly 1 mm in all labelled scans",
       remedy="Nothing to do where it is true", file=".nii.gz")
def _no_spacing(world: World) -> None:
    lost = Geometry(GRID.size_ijk, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), GRID.direction)
    for part, count in COUNTS.items():
        for index in range(count):
            world.put(part, index, world.body(part, index), lost)


@fault("a CT scan among MR scans", "mixed_modalities", WARNING, seen="CT", remedy="one kind of scan",
       file="images/case2")
def _modalities(world: World) -> None:
    for index, modality in enumerate(("MR", "MR", "CT")):
        world.put_series("labeled", index, Modality=modality, PatientID=f"P{index}")


@fault("scanners of two field strengths", "mixed_field_strengths", NOTE, seen="1.5 T", remedy="mixed alike",
       file="images/case2")
def _fields(world: World) -> None:
    for index, tesla in enumerate((3.0, 3.0, 1.5)):
        world.put_series("labeled", index, MagneticFieldStrength=tesla, PatientID=f"P{index}")


@fault("a labelled scan twice", "scan_twice", WARNING, seen="case9.nii.gz", remedy="Keep one of them",
       file="case1.nii.gz")
def _twice(world: World) -> None:
    shutil.copy(world.image("labeled", 1), world.image("labeled", 9))
    shutil.copy(world.label("labeled", 1), world.label("labeled", 9))


@fault("a scan in training and in validation", "scan_in_training_and_validation", FAULT, seen="case1",
       remedy="Take it out of one of the two", file="case1.nii.gz")
def _across(world: World) -> None:
    world.put("validation", 1, world.body("labeled", 1))


@fault("a labelled scan in the archive under another name and in another format", "scan_in_archive_too", WARNING,
       seen="scan9.mha is the same scan as case1", remedy="Nothing to do", file="images/scan9.mha")
def _archived_too(world: World) -> None:
    write_scan(world.folder / "archive" / "images" / "scan9.mha", world.body("labeled", 1).image, GRID)


@fault("a scan of the archive twice", "scan_twice", WARNING, seen="scan9.nii.gz is the same scan as scan1",
       remedy="Nothing to do", file="images/scan9.nii.gz")
def _archived_twice(world: World) -> None:
    shutil.copy(world.image("archive", 1), world.image("archive", 9))


@fault("one label under two scans", "label_twice", WARNING, seen="the very same label", remedy="which scan it belongs",
       file=".nii.gz")
def _label_twice(world: World) -> None:
    shutil.copy(world.label("labeled", 1), world.label("labeled", 2))


@fault("a patient in training and in validation by cases.json", "patient_in_training_and_validation", FAULT,
       seen="case1 to learn from and check0 to validate on", remedy="on one side", file=".nii.gz")
def _declared_patient(world: World) -> None:
    world.put_json("labeled", "cases.json", {"cases": {"case1": {"patient": "A17"}}})
    world.put_json("validation", "cases.json", {"cases": {"check0": {"patient": "A17"}}})


@fault("a patient in training and in validation by the DICOM header", "patient_in_training_and_validation", FAULT,
       seen="case1 to learn from and check0 to validate on", remedy="on one side", file="images/case1")
def _same_patient(world: World) -> None:
    world.put_series("labeled", 1, PatientID="4711")
    world.put_series("validation", 0, PatientID="4711")


@fault("a patient in training and in validation by the names", "patient_in_training_and_validation", WARNING,
       seen="by their names", remedy="on one side", file="patient012_day1.nii.gz")
def _same_name(world: World) -> None:
    for part, index, name in (("labeled", 1, "patient012_day1"), ("validation", 0, "patient012_day2")):
        for path in (world.image(part, index), world.label(part, index)):
            path.rename(path.with_name(f"{name}.nii.gz"))


@fault("a structure that no case shows", "absent_everywhere", WARNING, seen="5 pancreas", remedy="Label it in some",
       file="labeled")
def _nowhere(world: World) -> None:
    world.put_json("labeled", "labels.json", {**NAMES, 5: "pancreas"})


@fault("a structure that one case alone shows", "rare_to_learn", WARNING, seen="spleen is in 1 of 5 labelled cases",
       remedy="Label more cases", file="labels/case0.nii.gz")
def _rare(world: World) -> None:
    for index in range(1, COUNTS["labeled"]):
        world.put_label("labeled", index, without(world.body("labeled", index).label, 4))


@fault("a structure of a few voxels", "rare_to_learn", WARNING, seen="voxels", remedy="Label more cases",
       file="labels/case0.nii.gz")
def _tiny(world: World) -> None:
    for index in range(COUNTS["labeled"]):
        label = world.body("labeled", index).label
        place = middle(label, 4)
        label[label == 4] = 0
        label[place[0], place[1], place[2]:place[2] + 5] = 4
        world.put_label("labeled", index, label)


@fault("a structure that no validation case shows", "rare_to_validate", WARNING,
       seen="No validation case shows spleen", remedy="Add a case that shows it", file="labels/check0.nii.gz",
       besides=("absent_structure",))
def _unscored(world: World) -> None:
    for index in range(COUNTS["validation"]):
        world.put_label("validation", index, without(world.body("validation", index).label, 4))


@fault("two labelled cases", "few_cases", WARNING, seen="2 labelled cases", remedy="Label some more",
       file="case0.nii.gz")
def _few(world: World) -> None:
    for index in range(2, COUNTS["labeled"]):
        world.image("labeled", index).unlink()
        world.label("labeled", index).unlink()


@fault("one labelled case and none to validate on", "no_validation", WARNING, seen="There is one labelled case",
       remedy="Label one more case", file="case0.nii.gz", parts=("labeled", "archive"))
def _one(world: World) -> None:
    for index in range(1, COUNTS["labeled"]):
        world.image("labeled", index).unlink()
        world.label("labeled", index).unlink()


@fault("no labelled case that can be used", "no_usable_case", FAULT, seen="None of the 5 labelled cases",
       remedy="Fix the faults", file="labeled", besides=("unreadable_image",))
def _none(world: World) -> None:
    for index in range(COUNTS["labeled"]):
        cut(world.image("labeled", index))


@fault("an archive of which no scan can be read", "no_archive", WARNING, seen="training goes on with the labels only",
       remedy="scans like the labelled ones", file="archive", besides=("unreadable_image",))
def _no_archive(world: World) -> None:
    for index in range(COUNTS["archive"]):
        cut(world.image("archive", index))


@fault("a scan of the archive of another field of view", "archive_unlike", WARNING, seen="scan1.nii.gz: field of view",
       remedy="Take out", file="scan1.nii.gz")
def _other_view(world: World) -> None:
    narrow = Geometry((16, 14, 8), (2.5, 2.5, 4.0), (-40.0, -20.0, 0.0), GRID.direction)
    world.put("archive", 1, make_body(1, narrow), narrow)


@fault("a scan of the archive of other intensities", "archive_unlike", WARNING, seen="scan1.nii.gz", remedy="Take out",
       file="scan1.nii.gz")
def _other_intensities(world: World) -> None:
    noise = np.random.default_rng(5).exponential(1e6, GRID.shape_kji)
    write_scan(world.image("archive", 1), noise.astype(np.float32), GRID)


@fault("a scan of the archive of another spacing", "archive_unlike", WARNING, seen="spacing 10 x 11",
       remedy="Take out", file="scan1.nii.gz")
def _other_spacing(world: World) -> None:
    coarse = Geometry((12, 10, 6), (10.0, 10.0, 11.0), (-55.0, -45.0, -27.5), GRID.direction)
    world.put("archive", 1, make_body(1, coarse), coarse)


@fault("a CT scan in an archive for MR scans", "archive_unlike", WARNING, seen="CT instead of MR", remedy="Take out",
       file="images/scan1")
def _other_modality(world: World) -> None:
    for index in range(2):
        world.put_series("labeled", index, Modality="MR", PatientID=f"P{index}")
    world.put_series("archive", 1, Modality="CT", PatientID="P9")
