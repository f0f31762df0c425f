"""Data sets as they are downloaded, from the check to results: each is read whole, and a model is learnt from two."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from command import alhvr
from PIL import Image
from tiny_runs import make_scan, short_run, write_scan

from alhvr.checking.context import RunContext
from alhvr.checking.findings import Severity
from alhvr.checking.run import Folders, check
from alhvr.data.reading import probe, read_label


def _acdc(folder: Path, seeds: range, *, labels: bool = True) -> None:
    for seed in seeds:
        name = f"patient{seed:03d}"
        for frame in (1, 12):
            image, label = make_scan(100 * seed + frame)
            write_scan(folder / name / f"{name}_frame{frame:02d}.nii.gz", image)
            if labels:
                write_scan(folder / name / f"{name}_frame{frame:02d}_gt.nii.gz", label)
        (folder / name / f"{name}_4d.nii.gz").write_bytes(b"a film")


def _brats(folder: Path, seeds: range, *, labels: bool = True) -> None:
    for seed in seeds:
        name, (image, label) = f"BraTS2021_{seed:05d}", make_scan(seed)
        for number, kind in enumerate(("t1", "t1ce", "t2", "flair")):
            noise = np.random.default_rng([seed, number]).normal(0, 5, image.shape)
            write_scan(folder / name / f"{name}_{kind}.nii.gz", (image * (number + 1) + noise).astype(np.float32))
        if labels:
            write_scan(folder / name / f"{name}_seg.nii.gz", np.where(label == 3, 4, label).astype(np.uint8))


def _abdomen(folder: Path, seeds: range) -> None:
    for seed in seeds:
        image, label = make_scan(seed)
        write_scan(folder / f"Case_{seed:05d}_0000.nii.gz", image)
        write_scan(folder / "Mask" / f"Case_{seed:05d}.nii.gz", label)


def _ssl4mis(folder: Path, seeds: range) -> None:
    (folder / "data" / "slices").mkdir(parents=True)
    names = []
    for seed in seeds:
        image, label = make_scan(seed)
        for number, (pixels, values) in enumerate(zip(image, label, strict=True)):
            values[:number] = 0  # so that no two labels are the same
            names.append(f"patient{seed:03d}_frame01_slice_{number}")
            with h5py.File(folder / "data" / "slices" / f"{names[-1]}.h5", "w") as file:
                file["image"], file["label"] = pixels, values
    (folder / "train_slices.list").write_text("\n".join(names))


def _bids(folder: Path, seeds: range) -> None:
    for seed in seeds:
        image, label = make_scan(seed)
        write_scan(folder / f"sub-{seed}" / "anat" / f"sub-{seed}_T1w.nii.gz", image)
        write_scan(folder / "derivatives" / "hand" / f"sub-{seed}" / "anat" / f"sub-{seed}_dseg.nii.gz", label)


def _pictures(folder: Path, seeds: range, *, labels: bool = True) -> None:
    for place in ("images", "masks") if labels else ("images",):
        (folder / place).mkdir(parents=True)
    for seed in seeds:
        image, label = make_scan(seed, (1, 48, 64))
        Image.fromarray(np.clip(image[0], 0, 255).astype(np.uint8)).save(folder / "images" / f"x{seed}.png")
        if labels:
            Image.fromarray(label[0]).save(folder / "masks" / f"x{seed}.png")


@pytest.mark.parametrize(("write", "n_cases", "words"), [
    (_acdc, 6, "ACDC: 6 scans of 3 patients; 6 labels"),
    (_brats, 3, "BraTS: 3 scans with T1, T1ce, T2, FLAIR; 3 labels"),
    (_abdomen, 3, "AbdomenCT-1K: 3 scans; 3 labels"), (_ssl4mis, 12, "SSL4MIS: 12 scans in HDF5 files; 12 labels"),
    (_bids, 3, "BIDS: 3 scans T1w of 3 subjects; 3 labels"), (_pictures, 3, "taken from the folder masks")])
def test_every_case_of_a_downloaded_data_set_is_read(tmp_path: Path, write: Callable, n_cases: int, words: str) -> None:
    write(tmp_path / "set", range(1, 4))
    found = check(Folders(labeled=tmp_path / "set"), RunContext())
    assert [finding.seen for finding in found.findings if finding.severity is Severity.FAULT] == []
    assert [finding.kind for finding in found.findings if words in finding.seen] == ["layout"]
    assert len(found.facts) == n_cases and all(facts.usable and facts.label for facts in found.facts)


@pytest.mark.parametrize(("write", "n_channels"), [(_brats, 4), (_pictures, 1)])
def test_a_model_is_learnt_from_a_downloaded_data_set_and_segments_it(tmp_path: Path, write: Callable, n_channels: int
                                                                      ) -> None:
    write(tmp_path / "labeled", range(1, 5))
    write(tmp_path / "archive", range(11, 13), labels=False)
    done = alhvr(*short_run(tmp_path, tmp_path / "run", "--iterations", 2))
    assert done.code == 0, done.err
    segmented = alhvr("segment", tmp_path / "archive", "--model", tmp_path / "run" / "model", "--out", tmp_path / "out")
    assert segmented.code == 0, segmented.err
    plan = json.loads((tmp_path / "run" / "model" / "alhvr.json").read_text())["plan"]
    assert len(plan.get("channels") or [1]) == n_channels
    scans = sorted(path for path in (tmp_path / "archive").rglob("*") if path.suffix in (".gz", ".png"))[::n_channels]
    results = sorted((tmp_path / "out").glob("*.seg.nrrd"))
    assert len(results) == 2
    assert [read_label(path).geometry.difference(probe(scan).geometry, 1e-3)
            for path, scan in zip(results, scans, strict=True)] == ["", ""]
