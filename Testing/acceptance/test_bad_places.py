"""Bad places, models and settings: one clear line and exit code 2; and paths of all letters, which are not bad."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command import alhvr
from small_disk import mounted_disk
from tiny_runs import make_scan, short_run, write_scan, write_study


def test_spaces_umlauts_and_non_latin_letters_in_every_path(tmp_path: Path) -> None:
    home = tmp_path / "Jürgen's 資料 (новые)"
    study = write_study(home / "Fälle 1", labeled=2, archive=1)
    for kind in ("images", "labels"):
        (study / "labeled" / kind / "case0.nii.gz").rename(study / "labeled" / kind / "Fall ä 一.nii.gz")
    done = alhvr(*short_run(study, home / "Lauf ö", "--iterations", 1, "--progress", "json"))
    assert done.code == 0 and done.out.isascii()
    scan = write_scan(home / "σάρωση 1.nii.gz", make_scan(9)[0])
    out = home / "Ergebnis ß"
    assert alhvr("segment", "--model", home / "Lauf ö" / "model", scan, "--out", out, "--regions").code == 0
    assert (out / "σάρωση 1.seg.nrrd").exists() and (out / "σάρωση 1.regions.json").exists()
    (home / "ref").mkdir()
    shutil.copy(study / "labeled" / "labels" / "Fall ä 一.nii.gz", home / "ref" / "σάρωση 1.nii.gz")
    scored = alhvr("evaluate", "--predictions", out, "--reference", home / "ref", "--out", home / "Werte ü.json")
    assert scored.code == 0 and "σάρωση 1" in json.loads((home / "Werte ü.json").read_text())["cases"]


def latin_1(path: Path, name: str) -> Path:
    """Gives a file or folder a name in an old encoding, as old archives have them."""
    renamed = os.path.join(os.fsencode(path.parent), name.encode("latin-1"))
    os.rename(os.fsencode(path), renamed)
    return Path(os.fsdecode(renamed))


def test_names_in_an_old_encoding_are_taken(tmp_path: Path) -> None:
    study = write_study(tmp_path, labeled=3, archive=2)
    latin_1(study / "archive" / "scan0.nii.gz", "Fäll 0.nii.gz")
    latin_1(write_scan(study / "archive" / "x.nrrd", make_scan(9)[0]), "Fäll 1.nrrd")
    for kind in ("images", "labels"):
        for case, name in (("case0", "Käse 0"), ("case1", "Käse 1")):
            latin_1(study / "labeled" / kind / f"{case}.nii.gz", f"{name}.nii.gz")
    out = latin_1(write_study(tmp_path / "x", labeled=1, archive=0), "Läufe") / "run"
    done = alhvr(*short_run(study, out, "--iterations", 1, "--progress", "json"))
    assert done.code == 0, done
    assert not [e["message"] for e in done.events if e["event"] == "warning"]
    results = tmp_path / "out"
    assert alhvr("segment", "--model", out / "model", *(study / "archive").iterdir(), "--out", results).code == 0
    assert len(list(results.glob("*.seg.nrrd"))) == 3
    shutil.copytree(results, tmp_path / "ref")
    scored = alhvr("evaluate", "--predictions", results, "--reference", tmp_path / "ref", "--out", tmp_path / "s.json")
    assert len(json.loads((tmp_path / "s.json").read_text())["cases"]) == 3 - scored.out.count("not scored")


def test_a_path_below_a_file_cannot_be_written(model: Path, study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    scan, below = study / "archive" / "scan0.nii.gz", tmp_path / "file" / "out"
    alhvr("segment", "--model", model, scan, "--out", below).refused("cannot be written (Not a directory)", "--out")
    begun = alhvr("train", "--labeled", study / "labeled", "--out", below)
    begun.refused("cannot be written (Not a directory)", "--out")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may write: by its rights, or where root may all the same, on a disk that is read-only."""
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if not os.access(folder, os.W_OK):
        yield folder
        return
    with mounted_disk(folder, 1, "ro"):
        yield folder


def test_a_read_only_folder_cannot_be_written(model: Path, study: Path, read_only: Path) -> None:
    scan = study / "archive" / "scan0.nii.gz"
    alhvr("segment", "--model", model, scan, "--out", read_only).refused("locked cannot be written (", "--out")
    begun = alhvr("train", "--labeled", study / "labeled", "--out", read_only / "run")
    begun.refused("run cannot be written (", "--out")


DAMAGE = ["weights", "description", "manifest", "file missing", "tampered", "foreign", "no folder"]


@pytest.mark.parametrize("cut", DAMAGE)
def test_a_damaged_model_is_one_clear_line(model: Path, study: Path, tmp_path: Path, cut: str) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    halve = {"weights": "models/model.pt", "description": "alhvr.json", "manifest": "manifest.json"}
    if cut in halve:
        content = (broken / halve[cut]).read_bytes()
        (broken / halve[cut]).write_bytes(content[:len(content) // 2])
    elif cut == "file missing":
        (broken / "models" / "model.pt").unlink()
    elif cut == "tampered":
        with (broken / "models" / "model.pt").open("r+b") as file:
            file.seek(1000)
            file.write(b"xxxx")
    else:
        shutil.rmtree(broken)
        if cut == "foreign":
            write_study(broken, labeled=1, archive=0)
    scan = study / "archive" / "scan0.nii.gz"
    alhvr("segment", "--model", broken, scan, "--out", tmp_path / "out").refused(str(broken))
    alhvr("describe", broken).refused(str(broken))
    begun = alhvr("train", "--labeled", study / "labeled", "--from", broken, "--out", tmp_path / "run")
    begun.refused(str(broken))


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
def test_cuda_where_there_is_none_is_refused(model: Path, study: Path, tmp_path: Path) -> None:
    scan = study / "archive" / "scan0.nii.gz"
    words = ("device is 'cuda'; PyTorch finds cpu here", "--device auto")
    alhvr("segment", "--model", model, scan, "--out", tmp_path / "out", "--device", "cuda").refused(*words)
    alhvr(*short_run(study, tmp_path / "run", "--iterations", 1), "--device", "cuda").refused(*words)


@pytest.mark.parametrize(("options", "words"), [
    (["--beta", "1.5"], "beta is 1.5. Accepted: a number above 0 and at most 1."),
    (["--patch-size", "33,32"], "patch-size is (33, 32). Accepted: 2 or 3 multiples of 16"),
    (["--patch-size", "32,32,32"], "patch-size is (32, 32, 32), but the plan is 2-D"),
    (["--temperature", "-1"], "temperature is -1.0. Accepted:"),
])
def test_a_setting_out_of_range_is_refused(study: Path, tmp_path: Path, options: list[str], words: str) -> None:
    alhvr(*short_run(study, tmp_path / "run", "--iterations", 1), *options).refused(words)


def test_a_backend_and_a_device_that_exclude_each_other_are_refused(model: Path, study: Path, tmp_path: Path) -> None:
    scan = study / "archive" / "scan0.nii.gz"
    done = alhvr("segment", "--model", model, scan, "--out", tmp_path, "--backend", "onnxruntime", "--device", "cuda")
    done.refused("backend onnxruntime runs on the CPU only", "--device cpu")
