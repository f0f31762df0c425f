"""Faults of files and of intensities."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pydicom
import SimpleITK
from fault_list import FAULT, NOTE, WARNING, cut, fault
from nifti_files import write_nifti
from small_bodies import COUNTS, GRID, World
from tiny_runs import write_scan


@fault("a text file called .nii.gz", "unreadable_image", FAULT, seen="no NIfTI image", remedy="the file you meant",
       file="images/case1.nii.gz")
def _text(world: World) -> None:
    world.image("labeled", 1).write_text("This is no scan.")


@fault("a scan that is cut off", "unreadable_image", FAULT, seen="case1.nii.gz", remedy="opy",
       file="images/case1.nii.gz")
def _cut_off(world: World) -> None:
    cut(world.image("labeled", 1))


@fault("a label that is cut off", "unreadable_label", FAULT, seen="case1.nii.gz", remedy="opy",
       file="labels/case1.nii.gz")
def _cut_label(world: World) -> None:
    cut(world.label("labeled", 1))


@fault("a scan of the archive that is cut off", "unreadable_image", WARNING, seen="Left out of the archive: scan1",
       remedy="opy", file="images/scan1.nii.gz")
def _cut_archive(world: World) -> None:
    cut(world.image("archive", 1))


@fault("a picture of two dimensions", "unreadable_image", FAULT, seen="2 axes", remedy="Give the whole volume",
       file="images/case1.nii.gz")
def _flat(world: World) -> None:
    flat = SimpleITK.GetImageFromArray(world.body("labeled", 1).image[0])
    SimpleITK.WriteImage(flat, str(world.image("labeled", 1)))


@fault("a scan over time", "unreadable_image", FAULT, seen="case1.nii.gz has 4 axes", remedy="Export one of them",
       file="images/case1.nii.gz")
def _over_time(world: World) -> None:
    write_nifti(world.image("labeled", 1), np.stack([world.body("labeled", 1).image] * 3))


@fault("a label of fractions", "unreadable_label", FAULT, seen="a label holds whole numbers",
       remedy="Is this the scan itself?", file="labels/case1.nii.gz")
def _fractions(world: World) -> None:
    write_scan(world.label("labeled", 1), world.body("labeled", 1).label * np.float32(0.4), GRID)


@fault("labels without scans", "left_out_of_folder", WARNING, seen="case9", remedy="complete them",
       file="labeled")
def _label_alone(world: World) -> None:
    shutil.copy(world.label("labeled", 0), world.label("labeled", 9))


@fault("a document beside the scans", "layout", NOTE, seen="files of other kinds: 1 (notes.txt)",
       remedy="Nothing to do", file="labeled")
def _document(world: World) -> None:
    (world.folder / "labeled" / "notes.txt").write_text("Drawn by hand.")


@fault("a folder without scans", "unusable_folder", FAULT, seen="holds no scans", remedy="images/ with labels/",
       file="archive")
def _no_scans(world: World) -> None:
    shutil.rmtree(world.folder / "archive" / "images")


@fault("a case without its second channel", "missing_channel", FAULT, seen="lacks the channel case1_0001.nii.gz",
       remedy="Add the file", file="images/case1_0000.nii.gz")
def _missing_channel(world: World) -> None:
    _two_channels(world)
    (world.folder / "labeled" / "images" / "case1_0001.nii.gz").unlink()


@fault("a scan of the archive without its second channel", "missing_channel", WARNING,
       seen="lacks the channel scan1_0001", remedy="Add the file", file="images/scan1_0000.nii.gz")
def _archive_without_channel(world: World) -> None:
    _two_channels(world)
    (world.folder / "archive" / "images" / "scan1_0001.nii.gz").unlink()


@fault("a second channel of another place", "channels_apart", FAULT, seen="shares no place with case1_0000.nii.gz",
       remedy="register them", file="images/case1_0000.nii.gz")
def _other_place(world: World) -> None:
    _two_channels(world)
    _move_second_channel(world, (700.0, 0.0, 0.0))


@fault("a second channel on another grid", "channel_on_another_grid", WARNING, seen="is resampled to it; in case1",
       remedy="register them", file="images/case1_0000.nii.gz")
def _other_grid(world: World) -> None:
    _two_channels(world)
    _move_second_channel(world, (0.4, 0.0, 0.0))


@fault("a DICOM series with unequal gaps", "odd_file", WARNING, seen="unequal slice gaps",
       remedy="in a viewer", file="images/scan1")
def _unequal_gaps(world: World) -> None:
    path = sorted(world.put_series("archive", 1).iterdir())[4]
    moved = pydicom.dcmread(path)
    moved.ImagePositionPatient = [*moved.ImagePositionPatient[:2], moved.ImagePositionPatient[2] + 0.5]
    moved.save_as(path)


@fault("a DICOM series that lacks a slice", "unreadable_image", WARNING, seen="scan1 has a hole: ",
       remedy="xport the series again", file="images/scan1")
def _gap(world: World) -> None:
    sorted(world.put_series("archive", 1).iterdir())[4].unlink()


@fault("a DICOM series with a byte changed in the header of one image", "unreadable_image", WARNING,
       seen="ImagePositionPatient", remedy="xport the series again", file="images/scan1")
def _changed_byte(world: World) -> None:
    path = sorted(world.put_series("archive", 1).iterdir())[4]
    data = bytearray(path.read_bytes())
    data[data.index(b"\x20\x00\x32\x00DS") + 8] = 1
    path.write_bytes(data)


@fault("a scan of NaN", "not_finite", FAULT, seen="NaN or infinite", remedy="xport", file="images/case1.nii.gz")
def _all_nan(world: World) -> None:
    write_scan(world.image("labeled", 1), np.full(GRID.shape_kji, np.nan, np.float32), GRID)


@fault("a scan with some NaN and infinite voxels", "not_finite", WARNING, seen="42 of 23040 voxels",
       remedy="smallest finite value", file="images/case1.nii.gz")
def _some_nan(world: World) -> None:
    array = world.body("labeled", 1).image
    array[0, 0, :40], array[1, 1, :2] = np.nan, np.inf
    write_scan(world.image("labeled", 1), array, GRID)


@fault("a constant scan", "constant_image", FAULT, seen="every voxel is 7", remedy="how it was exported",
       file="images/case1.nii.gz")
def _constant(world: World) -> None:
    write_scan(world.image("labeled", 1), np.full(GRID.shape_kji, 7, np.float32), GRID)


@fault("a scan of one value but for a few voxels", "constant_image", WARNING, seen="1 scan is of one value",
       remedy="take out what is no scan", file="images/scan1.nii.gz", besides=("archive_unlike",))
def _nearly_constant(world: World) -> None:
    array = np.full(GRID.shape_kji, 7, np.float32)
    array[0, 0, :5] = 900
    write_scan(world.image("archive", 1), array, GRID)


@fault("a scan of wild scale", "intensity_scale", WARNING, seen="case3", remedy="scale of its own",
       file="images/case3.nii.gz")
def _wild(world: World) -> None:
    write_scan(world.image("labeled", 3), world.body("labeled", 3).image * np.float32(4000), GRID)


@fault("a CT scan that is not in Hounsfield units", "intensity_scale", FAULT, seen="case3",
       remedy="rescale slope and intercept", file="images/case3.nii.gz")
def _no_hounsfield(world: World) -> None:
    for part, count in COUNTS.items():
        for index in range(count):
            shift = 0 if (part, index) == ("labeled", 3) else -1024
            write_scan(world.image(part, index), world.body(part, index).image + np.float32(shift), GRID)


def _move_second_channel(world: World, by_mm: tuple[float, float, float]) -> None:
    path = world.folder / "labeled" / "images" / "case1_0001.nii.gz"
    origin = tuple(float(start + step) for start, step in zip(GRID.origin_lps_mm, by_mm, strict=True))
    write_scan(path, world.body("labeled", 1).image ** np.float32(0.9), replace(GRID, origin_lps_mm=origin))


def _two_channels(world: World) -> None:
    """Turns every scan into NAME_0000 and NAME_0001, which looks much the same."""
    for part, count in COUNTS.items():
        for index in range(count):
            path = world.image(part, index)
            name = path.name.removesuffix(".nii.gz")
            write_scan(path.with_name(f"{name}_0001.nii.gz"), world.body(part, index).image ** np.float32(0.9), GRID)
            path.rename(path.with_name(f"{name}_0000.nii.gz"))
