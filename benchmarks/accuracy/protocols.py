"""Protocols: which patients are labelled in which draw, which are the archive, and which are scored, and for how long.

A draw is another order of the patients that may be labelled; its first n are the labelled ones, so that 1 in 3 in 7.
Two groups of patients are scored that no run of a protocol learns from or chooses by: "common", the same in every draw,
and "held back", those that come last in the draw (not for the arm with all labels, which learns from them).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from training import labelled_order

from accuracy import DATA, NAMES

COMMON, HELD_BACK = "common", "held back"
ALL = "all"
"""In place of a number of labelled patients."""
DATA_FOLDER = Path(os.environ.get("ALHVR_BENCHMARK_DATA", Path.home() / "alhvr-data"))
"""Where ``convert`` puts the data sets of the paper."""


class NotHere(Exception):
    """The data of a protocol is not on this machine; one line."""


@dataclass(frozen=True)
class Needed:
    """What has to lie where, and where it comes from in words."""

    place: Path
    words: str


@dataclass(frozen=True)
class CaseFiles:
    """One scan of a patient."""

    name: str
    """File name of the case."""
    patient: str
    image: Path
    label: Path | None
    """None where nobody is to know it."""


@dataclass(frozen=True)
class Pool:
    """Everybody of a data set, by what they are for."""

    drawable: tuple[str, ...]
    """Patients that may be labelled, in the data set's own order."""
    archive: tuple[str, ...]
    """Patients that never are, but in the arm with all labels where they have any."""
    common: tuple[str, ...]
    """Patients that are scored in every draw."""
    cases: tuple[CaseFiles, ...]
    names: dict[str, str]
    """Label value to structure."""


@dataclass(frozen=True)
class Protocol:
    """A data set, numbers of labelled patients, and how much a run may cost."""

    name: str
    title: str
    make_pool: Callable[[Path], Pool]
    """From a folder for what has to be made first."""
    needs: tuple[Needed, ...]
    labeled: tuple[int, ...]
    budget: int
    """What a run may cost, in steps of the arm "labels"."""
    options: tuple[str, ...] = ()
    """Of ``alhvr train``."""
    plan: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    draws: int = 5
    paper_metrics: bool = False
    """Distances in voxels, as MedPy defines them."""
    order: Callable[[Pool, int], Sequence[str]] | None = None
    """The patients of a draw; None permutes them by its number, and leaves draw 0 as it is."""
    hold_back: bool = True
    """Score also those who come last in a draw; else they are in the archive."""
    remark: str = ""
    """What a reader of its tables should know."""

    def missing(self) -> str:
        """What is not here and where to get it, in one line; "" where all is here."""
        return next((need.words for need in self.needs if not need.place.exists()), "")

    def pool(self, work: Path) -> Pool:
        """Everybody; raises NotHere. What has to be made is made by one process at a time."""
        import filelock

        if self.missing():
            raise NotHere(self.missing())
        work.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(work / ".pool.lock"):
            return self.make_pool(work)

    def drawn(self, pool: Pool, draw: int) -> list[str]:
        """The patients that may be labelled, in the order of a draw."""
        if self.order:
            return list(self.order(pool, draw))
        names = list(pool.drawable)
        return names if draw == 0 else [names[i] for i in np.random.default_rng(draw).permutation(len(names))]

    def link(self, labeled: int | str, draw: int, work: Path) -> Path:
        """Makes the folders labeled, unlabeled, common and held_back of one cell of links; returns their folder."""
        pool, root = self.pool(work), work / f"cases-{self.name}-{labeled}-{draw}"
        order = self.drawn(pool, draw)
        known = list(pool.drawable) + [p for p in pool.archive if _has_label(pool, p)]
        first = known if labeled == ALL else order[:int(labeled)]
        last = [] if labeled == ALL or not self.hold_back else order[max(self.labeled):]
        rest = [p for p in (*order, *pool.archive) if p not in {*first, *last}]
        for part, patients in (("labeled", first), ("held_back", last), ("common", pool.common), ("unlabeled", rest)):
            _link(root / part, [c for c in pool.cases if c.patient in set(patients)], pool.names,
                  labels=part != "unlabeled")
        return root

    def shorter(self, budget: int | None) -> Protocol:
        """With another budget, where one is given; its results are kept apart."""
        if budget is None or budget == self.budget:
            return self
        return replace(self, name=f"{self.name}-{budget}", title=f"{self.title}, {budget:,} steps", budget=budget)


def _has_label(pool: Pool, patient: str) -> bool:
    return any(case.label for case in pool.cases if case.patient == patient)


def _link(folder: Path, cases: Sequence[CaseFiles], names: dict[str, str], *, labels: bool) -> None:
    """Links these cases and no others; what an earlier version of a protocol left is removed."""
    wanted = {case.name for case in cases}
    for left in [path for kind in ("images", "labels") for path in (folder / kind).glob("*")]:
        if left.name not in wanted and left.is_symlink():
            left.unlink()
    for case in cases:
        for kind, source in (("images", case.image), ("labels", case.label if labels else None)):
            if source is None:
                continue
            link = folder / kind / case.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(source.absolute())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.json").write_text(json.dumps(names))


def _acdc_small(work: Path) -> Pool:
    folder = DATA / "acdc"
    split = json.loads((folder / "split.json").read_text())
    order, cases = split["train_patients_in_order"], []
    for part in ("train", "val"):
        for image in sorted((folder / part / "images").iterdir()):
            label = folder / part / "labels" / image.name
            cases.append(CaseFiles(image.name, image.name.split("_")[0], image, label if label.exists() else None))
    common = sorted({case.patient for case in cases} - set(order))
    return Pool(tuple(order[:14]), tuple(order[14:]), tuple(common), tuple(cases), NAMES["acdc"])


def _hippocampus(work: Path, change: Callable[[Path, CaseFiles, int], CaseFiles | None] | None = None) -> Pool:
    folder = DATA / "hippocampus"
    split = json.loads((folder / "split.json").read_text())
    drawable, common = tuple(split["labeled_20"]), tuple(split["val"])
    cases = [CaseFiles(path.name, path.name, path, folder / "labels" / path.name)
             for path in sorted((folder / "images").iterdir())]
    archive = [case for case in cases if case.name not in {*drawable, *common}]
    if change:
        made = [change(work, case, number) or case for number, case in enumerate(archive)]
        cases = [case for case in cases if case not in archive] + made
    return Pool(drawable, tuple(case.name for case in archive), common, tuple(cases), NAMES["hippocampus"])


def _shifted(work: Path, case: CaseFiles, number: int) -> CaseFiles:
    """As from another scanner: scaled intensities, blurred by 0.8 voxels."""
    import SimpleITK

    target = work / "hippocampus-shifted" / case.name
    if not target.exists():
        image = SimpleITK.Cast(SimpleITK.ReadImage(str(case.image)), SimpleITK.sitkFloat32)
        blurred = SimpleITK.DiscreteGaussian(image, [(0.8 * step) ** 2 for step in image.GetSpacing()])
        _write(blurred * 1.7 + 40.0, target)
    return replace(case, image=target, label=None)


def _foreign(work: Path, case: CaseFiles, number: int) -> CaseFiles | None:
    """In every fourth place a crop of a heart in place of the hippocampus."""
    import SimpleITK

    if number % 4:
        return None
    target = work / "hippocampus-foreign" / case.name
    if not target.exists():
        hearts = sorted((DATA / "left-atrium" / "images").iterdir())
        heart = SimpleITK.Cast(SimpleITK.ReadImage(str(hearts[number // 4 % len(hearts)])), SimpleITK.sitkFloat32)
        size = SimpleITK.ReadImage(str(case.image)).GetSize()
        rng = np.random.default_rng(number)
        start = [int(rng.integers(0, max(1, whole - part + 1)))
                 for whole, part in zip(heart.GetSize(), size, strict=True)]
        _write(SimpleITK.RegionOfInterest(heart, [min(a, b) for a, b in zip(size, heart.GetSize(), strict=True)],
                                          start), target)
    return replace(case, image=target, label=None)


def _write(image: object, target: Path) -> None:
    """A reader never sees half of it."""
    import SimpleITK

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"partial-{os.getpid()}-{target.name}")
    SimpleITK.WriteImage(image, str(partial))
    partial.replace(target)


PHANTOM_SEED = 404
PHANTOMS = {"drawable": range(0, 8), "common": range(8, 11), "archive": range(11, 19)}


def _phantom(work: Path) -> Pool:
    """Generated CT scans, made on the spot."""
    from alhvr.phantom.study import LABEL_NAMES, make_phantom, write_phantom_case

    folder = work / "phantom"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        for numbers in PHANTOMS.values():
            for number in numbers:
                write_phantom_case(folder, make_phantom(PHANTOM_SEED, number), labeled=True)
        (folder / "done").touch()
    named = {part: tuple(f"phantom_{number:03d}.nii.gz" for number in numbers) for part, numbers in PHANTOMS.items()}
    cases = tuple(CaseFiles(name, name, folder / "images" / name, folder / "labels" / name)
                  for names in named.values() for name in names)
    return Pool(**named, cases=cases, names={str(value): name for value, name in LABEL_NAMES.items()})


def _development(name: str, words: str) -> Needed:
    """A data set of the developers."""
    return Needed(DATA / name, f"{words} is needed, as {DATA / name} has it, which is not there; ALHVR_TEST_DATA may "
                  "say another folder.")


def _download(name: str, words: str) -> Needed:
    """A data set of the paper."""
    folder = DATA_FOLDER / name
    return Needed(folder / "pool.json", f"{name} is not there: get {words}, and run: python -m benchmarks accuracy "
                  f"convert {name} DOWNLOAD (it writes {folder}; ALHVR_BENCHMARK_DATA may say another place).")


def _converted(name: str) -> Callable[[Path], Pool]:
    """The pool of a data set that ``convert`` wrote."""
    def read(work: Path) -> Pool:
        folder = DATA_FOLDER / name
        record = json.loads((folder / "pool.json").read_text())
        cases = tuple(CaseFiles(case["name"], case["patient"], folder / "images" / case["name"],
                                folder / "labels" / case["name"]) for case in record["cases"])
        return Pool(tuple(record["drawable"]), (), tuple(record["common"]), cases, record["names"])
    return read


def _shared_order(data: str) -> Callable[[Pool, int], Sequence[str]]:
    """The draws of benchmarks/training.py, so that results of both are of the same patients."""
    return lambda pool, draw: labelled_order(data, draw)


_ACDC = ("--patch-size", "128,128", "--batch-size", "8")
_VOLUMES = ("--patch-size", "96,96,96", "--batch-size", "4")
_HIPPOCAMPUS = {"labeled": (1, 3, 10), "budget": 180, "plan": {"network": "unet"}, "training": {"validations": 3},
                "order": _shared_order("hippocampus")}
_OF_HIPPOCAMPUS = _development("hippocampus", "The hippocampus task of the Medical Segmentation Decathlon")
_PAPER = {"budget": 30_000, "training": {"validations": 20}, "draws": 3, "paper_metrics": True, "hold_back": False,
          "order": lambda pool, draw: pool.drawable}
PROTOCOLS = {protocol.name: protocol for protocol in (
    Protocol("acdc-small", "ACDC, 2-D, 128 x 128, batch 8", _acdc_small, (_development("acdc", "ACDC"),), (1, 3, 7),
             1000, _ACDC, training={"validations": 5}, order=_shared_order("acdc"),
             remark="The spacing is nominal, so that distances are in voxels. All labels: 14 patients."),
    Protocol("hippocampus-small", "Hippocampus, 3-D", _hippocampus, (_OF_HIPPOCAMPUS,), **_HIPPOCAMPUS),
    Protocol("hippocampus-shifted", "Hippocampus, 3-D, an archive from another scanner (scaled, blurred)",
             lambda work: _hippocampus(work, _shifted), (_OF_HIPPOCAMPUS,), **_HIPPOCAMPUS,
             remark="All labels: 20 patients, because the archive has none."),
    Protocol("hippocampus-foreign", "Hippocampus, 3-D, every fourth scan of the archive a heart",
             lambda work: _hippocampus(work, _foreign), (_OF_HIPPOCAMPUS, _development(
                 "left-atrium", "The left atrium data set")), **_HIPPOCAMPUS),
    Protocol("phantom", "Generated CT, 2-D, 64 x 64, batch 4", _phantom, (), (1, 3), 150,
             ("--patch-size", "64,64", "--batch-size", "4"), {"width": 4, "dimensions": 2}, {"validations": 3},
             draws=3),
    Protocol("acdc-paper", "ACDC, 2-D, the paper's split", _converted("acdc-paper"), (_download(
                 "acdc-paper", "the ACDC challenge's training set (100 patients), from its organisers after "
                 "registration"),), (7, 14), options=("--patch-size", "256,256", "--batch-size", "24"), **_PAPER,
             remark="The labelled patients are the paper's in every draw; a draw is another seed."),
    Protocol("abdomen-paper", "AbdomenCT-1K, 3-D, 30 scans to train and 11 to test", _converted("abdomen-paper"),
             (_download("abdomen-paper", "AbdomenCT-1K (three parts of images and the masks), from Zenodo"),), (1, 3),
             options=_VOLUMES, **_PAPER, remark="The paper's split is not published; this one is ours, so that its "
             "figures cannot be compared one to one."),
    Protocol("brats-paper", "BraTS 2019, 3-D, whole tumour on FLAIR", _converted("brats-paper"), (_download(
                 "brats-paper", "the BraTS 2019 training set (HGG and LGG), from its organisers after registration"),),
             (25,), options=_VOLUMES, **_PAPER,
             remark="Where the download has no lists of the 250 and 60 patients, the split is ours."),
)}


def protocol_named(name: str) -> Protocol:
    """A protocol, also with another budget: phantom-40; raises ValueError in one line for one that there is not."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    base, _, budget = name.rpartition("-")
    if base in PROTOCOLS and budget.isdecimal() and int(budget) >= 1:
        return PROTOCOLS[base].shorter(int(budget))
    raise ValueError(f"There is no protocol {name}. Accepted: {', '.join(PROTOCOLS)}, each also with another budget of "
                     "steps behind it, such as acdc-small-2000.")
