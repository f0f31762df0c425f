"""A checkpoint is whole or not there, and one in which anything has changed is not used."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
import torch
from small_disk import mounted_disk

from alhvr.core.errors import UserError
from alhvr.training.run_folder import RunFolderGone, load_checkpoint, save_checkpoint


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "new" / "last.pt", {"weights": torch.arange(3), "iteration": 7})
    loaded = load_checkpoint(tmp_path / "new" / "last.pt")
    assert loaded["iteration"] == 7
    assert loaded["weights"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"last\.pt cannot be read"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"weights": Evil()}, tmp_path / "last.pt")
    with pytest.raises(UserError):
        load_checkpoint(tmp_path / "last.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [[torch.zeros(3)], torch.zeros(3), 3, "text"])
def test_a_checkpoint_that_holds_something_else_is_named(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "last.pt")
    with pytest.raises(UserError, match=r"last\.pt cannot be read \(it holds a .* in place of named values\)"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_pipe_or_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "last.pt")
    (tmp_path / "best.pt").mkdir()
    for name in ("last.pt", "best.pt"):
        with pytest.raises(UserError, match=f"{name} is a "):
            load_checkpoint(tmp_path / name)


def test_a_flipped_bit_is_told_or_harmless_wherever_it_is(tmp_path: Path) -> None:
    state = {"weights": torch.arange(2000.0), "loop": {"iteration": 7}, "name": "text"}
    save_checkpoint(tmp_path / "last.pt", state)
    whole, draw, told = (tmp_path / "last.pt").read_bytes(), random.Random(0), 0
    for position in [*range(0, 300), *draw.sample(range(len(whole)), 500), *range(len(whole) - 700, len(whole))]:
        changed = bytearray(whole)
        changed[position] ^= 1 << draw.randrange(8)
        (tmp_path / "changed.pt").write_bytes(changed)
        try:
            found = load_checkpoint(tmp_path / "changed.pt")
        except UserError as error:
            assert "changed.pt cannot be read" in error.message and "resume" in error.hint
            told += 1
        else:
            assert torch.equal(found["weights"], state["weights"])
            assert (found["loop"], found["name"]) == (state["loop"], state["name"])
    assert told > 900


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_checkpoint_that_is_cut_short_is_told(tmp_path: Path, share: float) -> None:
    save_checkpoint(tmp_path / "last.pt", {"weights": torch.arange(2000.0)})
    os.truncate(tmp_path / "last.pt", int(share * (tmp_path / "last.pt").stat().st_size))
    with pytest.raises(UserError, match=r"last\.pt cannot be read"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_checkpoint_that_torch_wrote_before_is_read(tmp_path: Path) -> None:
    torch.save({"weights": torch.arange(3), "iteration": 7}, tmp_path / "last.pt")
    assert load_checkpoint(tmp_path / "last.pt")["iteration"] == 7


def test_a_full_disk_leaves_the_older_checkpoint_and_is_told_with_what_is_free(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with mounted_disk(tmp_path / "run", 1):
        target = tmp_path / "run" / "checkpoints" / "last.pt"
        save_checkpoint(target, {"iteration": 1})
        full = r"^last\.pt could not be written: the disk of .* is full \(1\.\d\d MB free\)$"
        with pytest.raises(OSError, match=full):
            save_checkpoint(target, {"weights": torch.zeros(400_000)})
        assert load_checkpoint(target) == {"iteration": 1}
        assert [path.name for path in target.parent.iterdir()] == ["last.pt"]


def test_links_at_names_that_could_be_guessed_are_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    for name in ("last.pt", ".last.pt.part", ".last.pt.partial"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    save_checkpoint(tmp_path / "last.pt", {"iteration": 1})
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_run_folder_that_was_removed_is_told_and_not_made_again(tmp_path: Path) -> None:
    target = tmp_path / "run" / "checkpoints" / "last.pt"
    target.parent.mkdir(parents=True)
    save_checkpoint(target, {"iteration": 1})
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(RunFolderGone, match=r"run was removed during the training"):
        save_checkpoint(target, {"iteration": 2})
    assert not (tmp_path / "run").exists()
