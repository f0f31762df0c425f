"""The whole path on real scans: a few of the hippocampus (3-D), of the heart (2-D) and of a DICOM study."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import Finished, alhvr
from support import shared_data

from alhvr.bundle.model import read_model
from alhvr.data.reading import probe, read_label


def link(names: list[str], source: Path, target: Path, *, labels: bool = True) -> Path:
    """A cases folder of links to some of the scans in ``source``."""
    for kind in ("images", "labels") if labels else ("images",):
        (target / kind).mkdir(parents=True)
        for name in names:
            (target / kind / name).symlink_to(source / kind / name)
    return target


def train(tmp_path: Path, folders: dict[str, Path], *options: str) -> Finished:
    """A short run as JSON lines; the settings leave the plan to the engine."""
    config = tmp_path / "settings.json"
    config.write_text(json.dumps({"training": {"threads": 1, "precision": "fp32", "validations": 1}}))
    places = [part for name, folder in folders.items() for part in (f"--{name}", folder)]
    return alhvr("train", *places, "--out", tmp_path / "run", "--config", config, "--progress", "json", *options)


@pytest.fixture(scope="module")
def hippocampus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """A 3-D run of one step on three labelled crops, five without labels and one to validate on."""
    data, folder = shared_data("hippocampus"), tmp_path_factory.mktemp("hippocampus")
    split = json.loads((data / "split.json").read_text())
    known = {*split["labeled_10"], *split["val"]}
    archive = [p.name for p in sorted((data / "images").iterdir()) if p.name not in known][:5]
    folders = {"labeled": link(split["labeled_10"][:3], data, folder / "a"),
               "unlabeled": link(archive, data, folder / "b", labels=False),
               "validation": link(split["val"][:1], data, folder / "c")}
    return folder, train(folder, folders, "--iterations", "1")


def test_the_hippocampus_is_planned_in_3_d_and_trained(hippocampus: tuple[Path, Finished]) -> None:
    folder, done = hippocampus
    assert done.code == 0, done
    about = read_model(folder / "run" / "model").description
    assert (about.plan.dimensions, about.plan.network, about.plan.patch_size) == (3, "unet", (32, 48, 32))
    assert about.training["cases"] == {"labeled": 3, "unlabeled": 5, "validation": 1}
    assert done.events[-1]["dice"].keys() == {"label 1", "label 2", "mean"}


def test_a_dicom_crop_is_segmented_in_its_own_place(hippocampus: tuple[Path, Finished], tmp_path: Path) -> None:
    series = shared_data("brain-dicom", "Study3", "11_HCropVolume")
    model = hippocampus[0] / "run" / "model"
    done = alhvr("segment", "--model", model, series, "--out", tmp_path, "--regions", "--progress", "json")
    assert done.code == 0, done
    results = sorted(path.name for path in tmp_path.glob("*.nrrd"))
    assert results == [f"11_HCropVolume.{kind}.nrrd" for kind in ("confidence-a", "confidence-b", "regions", "seg",
                                                                   "teacher")]
    for name in results:
        assert probe(tmp_path / name).geometry.difference(probe(series).geometry, tolerance_mm=0.01) == ""


def test_the_heart_is_planned_in_2_d_trained_and_scored_in_voxels(tmp_path: Path) -> None:
    data = shared_data("acdc")
    train_names = sorted(p.name for p in (data / "train" / "labels").iterdir())[:2]
    archive = sorted(p.name for p in (data / "train" / "images").iterdir())[-2:]
    held = sorted(p.name for p in (data / "val" / "images").iterdir())[:1]
    folders = {"labeled": link(train_names, data / "train", tmp_path / "a"),
               "unlabeled": link(archive, data / "train", tmp_path / "b", labels=False),
               "validation": link(held, data / "val", tmp_path / "c")}
    done = train(tmp_path, folders, "--iterations", "3", "--patch-size", "64,64", "--batch-size", "4")
    assert done.code == 0, done
    plan = read_model(tmp_path / "run" / "model").description.plan
    assert (plan.dimensions, plan.network, plan.patch_size, plan.batch_size) == (2, "unet", (64, 64), 4)
    scan = data / "val" / "images" / held[0]
    out = tmp_path / "out"
    assert alhvr("segment", "--model", tmp_path / "run" / "model", scan, "--out", out, "--format", "nii.gz").code == 0
    found = read_label(out / held[0])
    assert found.geometry.difference(probe(scan).geometry, tolerance_mm=1e-3) == ""
    assert set(np.unique(found.array)) <= {0, 1, 2, 3}
    scored = alhvr("evaluate", "--predictions", out, "--reference", tmp_path / "c", "--paper-metrics")
    assert scored.code == 0 and "HD95 [voxels]" in scored.out and held[0].removesuffix(".nii.gz") in scored.out
