"""Files of tensors on a disk that is full: the disk's own reason is told, and a model is not left half written."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tiny_cases import LABELS, tiny_plan

from alhvr.bundle.model import ModelDescription, NetworkSpec, read_model, write_model
from alhvr.core.errors import UserError
from alhvr.core.torch_file import write_tensors
from alhvr.training.run_folder import save_checkpoint


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses larger files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


LARGE = {f"weights{n}": torch.zeros(100_000) for n in range(10)}


def test_tensors_come_back(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x.pt", {"weights": torch.arange(3), "name": "x"})
    loaded = torch.load(tmp_path / "x.pt", weights_only=True)
    assert loaded["weights"].tolist() == [0, 1, 2] and loaded["name"] == "x"


@pytest.mark.parametrize("size", [10, 300_000, 1_000_000])
def test_the_disks_own_reason_is_told_not_that_of_torch(tmp_path: Path, size: int) -> None:
    with largest_file(size), pytest.raises(OSError, match="File too large"):
        write_tensors(tmp_path / "x.pt", LARGE)


def test_a_checkpoint_that_does_not_fit_leaves_the_older_one(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", {"iteration": 1})
    with largest_file(300_000), pytest.raises(OSError, match=r"last\.pt could not be written: File too large"):
        save_checkpoint(tmp_path / "last.pt", LARGE)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    assert torch.load(tmp_path / "last.pt", weights_only=True) == {"iteration": 1}


def test_a_model_that_does_not_fit_is_one_line_and_leaves_the_older_one(tmp_path: Path) -> None:
    about = ModelDescription("M", tiny_plan(2, (16, 16)), LABELS, NetworkSpec("unet", 2, 3))
    write_model(tmp_path / "m", about, {"a": {"x": torch.ones(3)}, "b": {"x": torch.ones(3)}})
    with largest_file(300_000), pytest.raises(UserError, match=r"The model cannot be written to .*File too large"):
        write_model(tmp_path / "m", about, {"a": LARGE, "b": LARGE})
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert read_model(tmp_path / "m").load_state()["a"]["x"].tolist() == [1, 1, 1]
