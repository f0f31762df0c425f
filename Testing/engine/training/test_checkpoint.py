"""A checkpoint is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from alhvr.errors import UserError
from alhvr.training.checkpoint import load_checkpoint, save_checkpoint


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "new" / "last.pt", {"weights": torch.arange(3), "iteration": 7})
    loaded = load_checkpoint(tmp_path / "new" / "last.pt")
    assert loaded["iteration"] == 7
    assert loaded["weights"].tolist() == [0, 1, 2]


def test_a_full_disk_leaves_the_older_checkpoint_and_no_rest(tmp_path: Path) -> None:
    small = Path("/dev/full")
    if not small.exists():
        pytest.skip("no /dev/full on this system")
    target = tmp_path / "last.pt"
    save_checkpoint(target, {"iteration": 1})
    (tmp_path / ".last.pt.part").symlink_to(small)
    with pytest.raises(OSError, match=r"last\.pt could not be written"):
        save_checkpoint(target, {"weights": torch.zeros(100_000), "iteration": 2})
    assert load_checkpoint(target) == {"iteration": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


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
