"""The paper's data sets from their official downloads: what a download looks like, and how it becomes cases.

Nothing here reaches the network: who wants a data set gets it from where it is given out, and unpacks it. What is
checked is the layout, the number of patients, and that each image and label have one grid. The ACDC and BraTS
organisers publish no checksums that we know of; the host of AbdomenCT-1K lists an MD5 beside each file, which are not
repeated here because we could not compare them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accuracy import NAMES


class Unlike(Exception):
    """A download is not as it should be; one line."""


@dataclass(frozen=True)
class Source:
    """One scan of a download."""

    patient: str
    name: str
    """Of the case, without an ending."""
    image: Path
    label: Path


@dataclass(frozen=True)
class DataSet:
    """How a download becomes cases."""

    layout: str
    """For people: what lies where."""
    patients: int
    """In the whole download; another number is said."""
    find: Callable[[Path], Iterator[Source]]
    split: Callable[[Path, Sequence[str]], tuple[list[str], list[str]]]
    """From the download and all patients: those to train on, in their order, and those to score."""
    names: dict[str, str]
    label: Callable[[np.ndarray], np.ndarray]
    """From the label values of the download [K, J, I] to ours."""


_ACDC_TRAIN = (
    99, 38, 50, 100, 58, 21, 49, 20, 72, 40, 60, 89, 4, 56, 98, 96, 31, 18, 94, 47, 48, 55, 97, 74, 43, 41, 63, 37, 95,
    54, 26, 88, 32, 69, 6, 71, 12, 73, 61, 17, 25, 10, 57, 29, 51, 5, 36, 46, 62, 34, 76, 92, 70, 77, 67, 3, 91, 16, 14,
    44, 42, 90, 53, 27, 35, 86, 23, 9, 79, 15)
"""Patients of the usual split in the order of its slice list: the first 7 are its 10 %, the first 14 its 20 %."""
_ACDC_VALIDATION = (28, 85, 82, 87, 19, 30, 78, 45, 2, 39)


def _acdc(root: Path) -> Iterator[Source]:
    for folder in sorted(root.glob("**/patient[0-9][0-9][0-9]")):
        frames = sorted(path for path in folder.glob(f"{folder.name}_frame[0-9][0-9].nii*"))
        for number, image in enumerate(frames, start=1):
            stem, _, ending = image.name.partition(".")
            yield Source(folder.name, f"{folder.name}_frame{number:02d}", image, folder / f"{stem}_gt.{ending}")


def _acdc_split(root: Path, patients: Sequence[str]) -> tuple[list[str], list[str]]:
    """Training patients and the 20 to test on; the 10 for validation are left out, as nothing is chosen."""
    train, aside = ([f"patient{number:03d}" for number in part] for part in (_ACDC_TRAIN, _ACDC_VALIDATION))
    return train, sorted(p for p in patients if p not in {*train, *aside} and int(p.removeprefix("patient")) <= 100)


def _abdomen(root: Path) -> Iterator[Source]:
    labels = {path.name: path for path in root.glob("**/Case_[0-9][0-9][0-9][0-9][0-9].nii.gz")}
    for image in sorted(root.glob("**/Case_[0-9][0-9][0-9][0-9][0-9]_0000.nii.gz"), key=lambda path: path.name):
        name = image.name.removesuffix("_0000.nii.gz")
        if f"{name}.nii.gz" in labels:
            yield Source(name, name, image, labels[f"{name}.nii.gz"])


def _abdomen_split(root: Path, patients: Sequence[str]) -> tuple[list[str], list[str]]:
    """30 and 11 of the first 41 cases by name, mixed by a fixed seed: the paper does not publish which it took."""
    some = sorted(patients)[:41]
    order = [some[i] for i in np.random.default_rng(2025).permutation(len(some))]
    return order[:30], order[30:]


def _brats(root: Path) -> Iterator[Source]:
    for image in sorted(root.glob("**/*_flair.nii*"), key=lambda path: path.name):
        patient, _, ending = image.name.partition("_flair")
        yield Source(patient, patient, image, image.with_name(f"{patient}_seg{ending}"))


def _brats_split(root: Path, patients: Sequence[str]) -> tuple[list[str], list[str]]:
    """By train.txt and test.txt in the download, where somebody put them; else 250 and 60 by a fixed seed."""
    lists = [root / name for name in ("train.txt", "test.txt")]
    if all(path.is_file() for path in lists):
        known = set(patients)
        train, test = ([p for p in re.findall(r"BraTS19_\w+?_\d+(?=\W|$)", path.read_text()) if p in known]
                       for path in lists)
        return train, test
    order = [sorted(patients)[i] for i in np.random.default_rng(2019).permutation(len(patients))]
    return order[:250], order[275:335]


DATA_SETS = {
    "acdc-paper": DataSet(
        "training/patientNNN/ with patientNNN_frameFF.nii.gz and patientNNN_frameFF_gt.nii.gz, two frames each; 4-D "
        "files and Info.cfg are not needed", 100, _acdc, _acdc_split, NAMES["acdc"], lambda array: array),
    "abdomen-paper": DataSet(
        "AbdomenCT-1K-ImagePart1 to 3 with Case_NNNNN_0000.nii.gz, and Mask with Case_NNNNN.nii.gz (the first 41 "
        "cases are enough)", 41, _abdomen, _abdomen_split,
        {"1": "liver", "2": "kidney", "3": "spleen", "4": "pancreas"}, lambda array: array),
    "brats-paper": DataSet(
        "HGG and LGG with BraTS19_*/BraTS19_*_flair.nii[.gz] and _seg.nii[.gz]; train.txt and test.txt beside them "
        "where they are known", 335, _brats, _brats_split, {"1": "whole tumour"},
        lambda array: (array > 0).astype(np.uint8)),
}


def convert(name: str, source: Path, out: Path) -> str:
    """Writes OUT/images, OUT/labels and OUT/pool.json; returns what was done. Raises Unlike in one line.

    A case that is there already is not written again.
    """
    if not source.is_dir():
        raise Unlike(f"There is no folder {source}. Expected: {DATA_SETS[name].layout}.")
    about = DATA_SETS[name]
    found = list(about.find(source))
    if not found:
        raise Unlike(f"{source} holds no case of {name}. Expected: {about.layout}.")
    lacking = [case for case in found if not case.label.is_file()]
    if lacking:
        raise Unlike(f"{len(lacking)} of {len(found)} scans have no label, the first: {lacking[0].image.name}. "
                     f"Expected: {about.layout}.")
    patients = list(dict.fromkeys(case.patient for case in found))
    train, test = about.split(source, patients)
    absent = sorted({*train, *test} - set(patients))
    if absent or not train or not test:
        raise Unlike(f"{len(absent)} patients of the split are missing, among them {', '.join(absent[:3]) or 'all'}; "
                     f"the download has {len(patients)} patients, {about.patients} are expected.")
    used = [case for case in found if case.patient in {*train, *test}]
    for case in used:
        _write(case, out, about.label)
    record = {"drawable": train, "common": test, "names": about.names,
              "cases": [{"name": f"{case.name}.nii.gz", "patient": case.patient} for case in used]}
    partial = out / "pool.partial"
    partial.write_text(json.dumps(record, indent=1) + "\n")
    partial.replace(out / "pool.json")
    many = "" if len(patients) == about.patients else f" (the download has {len(patients)}, {about.patients} expected)"
    return f"{name}: {len(train)} patients to train on, {len(test)} to score, {len(used)} scans in {out}{many}."


def _write(case: Source, out: Path, label_of: Callable[[np.ndarray], np.ndarray]) -> None:
    """The image as it is, the label in our values; raises Unlike where the two have differing grids."""
    import SimpleITK

    targets = [out / kind / f"{case.name}.nii.gz" for kind in ("images", "labels")]
    if all(target.exists() for target in targets):
        return
    image, label = (SimpleITK.ReadImage(str(path)) for path in (case.image, case.label))
    if image.GetSize() != label.GetSize():
        raise Unlike(f"{case.image.name} has {image.GetSize()} voxels, its label {label.GetSize()}.")
    changed = SimpleITK.GetImageFromArray(label_of(SimpleITK.GetArrayFromImage(label)).astype(np.uint8))
    changed.CopyInformation(image)
    for target, volume in zip(targets, (image, changed), strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"partial-{target.name}")
        SimpleITK.WriteImage(volume, str(partial))
        partial.replace(target)
