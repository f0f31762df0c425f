"""Previews: what is shown of a run while it trains, which changes nothing in it and costs it nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_cases import Listener
from tiny_loops import loop_of, never, new_run, same_end, scored_iterations
from tiny_runs import write_study

from alhvr.config import PreviewConfig, to_dict
from alhvr.core.errors import Cancelled
from alhvr.data.reading import read_label
from alhvr.inference.backends import Backend
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.group import NetworkGroup
from alhvr.training import preview
from alhvr.training.preview import PreviewWriter
from alhvr.training.run_folder import RUN_FILE, RunFolder
from alhvr.training.setup import RunSetup


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"), labeled=2, archive=2)


@pytest.fixture(scope="module")
def begun(study: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of four iterations that is about to begin."""
    return new_run(study, tmp_path_factory.mktemp("begun") / "run")


def copied(begun: RunFolder, out: Path, **wishes) -> RunFolder:
    """A copy of the run, with previews."""
    shutil.copytree(begun.path, out)
    run = RunFolder(out)
    values = run.read_json(RUN_FILE)
    values["config"]["preview"] = to_dict(PreviewConfig(write=True, **wishes))
    run.write_json(RUN_FILE, values)
    return run


@cache
def untrained() -> Backend:
    """Networks for the study that learnt nothing yet."""
    networks = NetworkGroup("unet", 2, 3)
    return TorchBackend(networks, "cpu", "fp32")


def writer_of(run: RunFolder, reporter: Listener | None = None, **changes):
    """Writes previews of networks that learnt nothing yet."""
    setup = replace(RunSetup.from_dict(run.read_json(RUN_FILE)), **changes)
    writer = PreviewWriter(setup, run, reporter or Listener())
    return lambda iteration, stop=never: writer.write(untrained(), iteration, 1.5, stop)


def previews(run: RunFolder) -> list[str]:
    return sorted(path.name for path in (run.path / "previews").iterdir())


def test_a_run_is_the_same_with_and_without_previews_also_where_it_was_stopped_in_one(begun, tmp_path: Path) -> None:
    shutil.copytree(begun.path, tmp_path / "without")
    without, with_them = RunFolder(tmp_path / "without"), copied(begun, tmp_path / "with")
    assert loop_of(without).train(never)
    loop = loop_of(with_them)

    def stopped(*_: object) -> None:
        raise Cancelled("Stopped.")

    loop._previews.write = stopped
    assert not loop.train(never) and scored_iterations(with_them) == [2]
    assert loop_of(with_them).train(never)
    assert same_end(with_them, without) and previews(with_them) == ["00000004"]
    assert not (without.path / "previews").exists()


def test_a_preview_shows_a_held_out_case_and_a_scan_of_the_archive_on_their_own_grids(begun, tmp_path: Path) -> None:
    run = copied(begun, tmp_path / "run")
    writer_of(run)(1200)
    folder = run.path / "previews" / "00001200"
    record = json.loads((folder / "preview.json").read_text())
    setup = RunSetup.from_dict(run.read_json(RUN_FILE))
    held_out, archive = setup.validation[0], setup.unlabeled[0]
    assert (record["iteration"], record["elapsed_s"]) == (1200, 1.5)
    assert [(c["name"], c["role"], c["image"]) for c in record["cases"]] == [
        (held_out.name, "held-out", str(held_out.image)), (archive.name, "archive", str(archive.image))]
    for entry in record["cases"]:
        regions, found = read_label(folder / entry["regions"]), read_label(folder / entry["segmentation"])
        assert set(np.unique(regions.array)) <= {1, 2, 3} and set(np.unique(found.array)) <= {0, 1, 3}
        assert not regions.geometry.difference(found.geometry)
    assert len(list(folder.iterdir())) == 5


def test_scans_inside_of_the_project_are_named_relative_to_it_so_that_it_can_be_moved(begun, study: Path,
                                                                                      tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project.json").write_text("{}")
    run = copied(begun, tmp_path / "project" / "runs" / "1" / "archive")
    setup = RunSetup.from_dict(run.read_json(RUN_FILE))
    held_out, archive = setup.validation[0], setup.unlabeled[0]
    inside = tmp_path / "project" / "cases" / "images" / held_out.image.name
    inside.parent.mkdir(parents=True)
    shutil.copy(held_out.image, inside)
    writer_of(run, validation=(replace(held_out, image=inside),))(1)
    record = json.loads((run.path / "previews" / "00000001" / "preview.json").read_text())
    assert [entry["image"] for entry in record["cases"]] == [f"cases/images/{inside.name}", str(archive.image)]


def test_the_cases_to_show_may_be_chosen_and_one_that_is_not_there_is_told(begun, tmp_path: Path) -> None:
    run, listener = copied(begun, tmp_path / "run", held_out="nobody", archive="scan1"), Listener()
    writer_of(run, listener)(10)
    record = json.loads((run.path / "previews" / "00000010" / "preview.json").read_text())
    assert record["cases"][1]["name"] == "scan1"
    assert len(listener.warnings) == 1 and '"nobody"' in listener.warnings[0]


def test_two_cases_of_one_name_have_files_of_their_own(begun, tmp_path: Path) -> None:
    run = copied(begun, tmp_path / "run")
    setup = RunSetup.from_dict(run.read_json(RUN_FILE))
    writer_of(run, unlabeled=(replace(setup.unlabeled[0], name=setup.validation[0].name),))(10)
    assert len(list((run.path / "previews" / "00000010").iterdir())) == 5


def test_the_last_ten_are_kept_and_what_is_no_preview_stays(begun, tmp_path: Path, monkeypatch) -> None:
    run = copied(begun, tmp_path / "run")
    (run.path / "previews" / "mine").mkdir(parents=True)
    for iteration in range(1, 13):
        (run.path / "previews" / f"{iteration:08d}").mkdir()
    writer_of(run)(13)
    assert previews(run) == [*(f"{iteration:08d}" for iteration in range(4, 14)), "mine"]


def test_previews_of_steps_that_are_done_again_are_forgotten(begun, tmp_path: Path) -> None:
    run = copied(begun, tmp_path / "run")
    for iteration in (2, 4):
        (run.path / "previews" / f"{iteration:08d}").mkdir(parents=True)
    loop_of(run)
    assert previews(run) == []


def test_a_scan_that_cannot_be_read_costs_its_preview_and_one_warning(begun, tmp_path: Path) -> None:
    run, listener = copied(begun, tmp_path / "run"), Listener()
    setup = RunSetup.from_dict(run.read_json(RUN_FILE))
    write = writer_of(run, listener, unlabeled=(replace(setup.unlabeled[0], image=tmp_path / "gone.nii.gz"),))
    write(10)
    write(20)
    record = json.loads((run.path / "previews" / "00000020" / "preview.json").read_text())
    assert [entry["role"] for entry in record["cases"]] == ["held-out"]
    assert len(listener.warnings) == 1 and "no preview of the scan of the archive scan0" in listener.warnings[0]


def test_a_full_disk_costs_the_preview_and_leaves_nothing_half_written(begun, tmp_path: Path, monkeypatch) -> None:
    run, listener = copied(begun, tmp_path / "run"), Listener()
    write = writer_of(run, listener)

    def refuse(path: Path, values: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(preview, "write_json", refuse)
    write(10)
    write(20)
    assert previews(run) == [] and len(listener.warnings) == 1 and "is full" in listener.warnings[0]


def test_a_link_in_place_of_the_folder_is_not_followed(begun, tmp_path: Path) -> None:
    run, listener = copied(begun, tmp_path / "run"), Listener()
    (tmp_path / "theirs" / "00000001").mkdir(parents=True)
    (run.path / "previews").symlink_to(tmp_path / "theirs")
    writer_of(run, listener)(10)
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["00000001"] and len(listener.warnings) == 1


def test_previews_that_take_long_are_made_less_often(begun, tmp_path: Path, monkeypatch) -> None:
    run, listener = copied(begun, tmp_path / "run"), Listener()
    monkeypatch.setattr(preview, "ALWAYS_S", 0.0)
    write = writer_of(run, listener)
    write(10)
    write(20)
    assert previews(run) == ["00000010"] and "not made at each validation" in listener.warnings[0]


def test_a_preview_stops_when_the_run_is_to_stop(begun, tmp_path: Path) -> None:
    run = copied(begun, tmp_path / "run")
    with pytest.raises(Cancelled):
        writer_of(run)(10, stop=lambda: True)
    assert previews(run) == []


def test_a_preview_leaves_the_random_numbers_of_the_run_alone(begun, tmp_path: Path) -> None:
    write, before = writer_of(copied(begun, tmp_path / "run")), (torch.get_rng_state(), np.random.get_state()[1])
    write(10)
    assert torch.equal(before[0], torch.get_rng_state()) and (before[1] == np.random.get_state()[1]).all()
