"""Device, arithmetic and threads: what is asked for is given or refused, and auto measures."""

from __future__ import annotations

import pytest
import torch

from alhvr.config import TrainingConfig
from alhvr.core.errors import UserError
from alhvr.training import device as room
from alhvr.training.device import Compute, choose_compute, memory_as_user_error


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_device_that_is_not_there_is_refused() -> None:
    absent = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(UserError, match=rf"device is '{absent}'; PyTorch finds .*cpu.* here\. Use --device auto\."):
        choose_compute(TrainingConfig(device=absent))


def test_half_precision_is_refused_on_a_cpu() -> None:
    with pytest.raises(UserError, match=r"precision is fp16 on the CPU\. Accepted there: auto, fp32, bf16"):
        choose_compute(TrainingConfig(device="cpu", precision="fp16"))


@pytest.mark.parametrize(("capabilities", "expected"), [
    ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True, "avx512_bf16": False}, "bf16"),
    ({"avx512_bf16": False, "avx2": True}, "fp32"), ({}, "fp32"),
])
def test_bf16_is_taken_on_a_cpu_only_where_it_has_units_for_it(capabilities, expected, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_compute(TrainingConfig(device="cpu", threads=1)).precision == expected


def test_a_pytorch_that_cannot_say_what_the_cpu_has_trains_in_fp32(monkeypatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_compute(TrainingConfig(device="cpu", threads=1)).precision == "fp32"


def test_threads_that_are_asked_for_are_set() -> None:
    compute = choose_compute(TrainingConfig(device="cpu", threads=1, precision="fp32"))
    assert compute == Compute("cpu", "fp32", 1) and torch.get_num_threads() == 1
    Compute("cpu", "fp32", 2).apply()
    assert torch.get_num_threads() == 2


def test_memory_for_a_step_is_part_of_what_is_free() -> None:
    assert 0 < Compute("cpu", "fp32", 1).memory_gb() < room.psutil.virtual_memory().total / 1e9


def test_autocast_is_off_in_full_precision() -> None:
    x = torch.ones(2, 2)
    with Compute("cpu", "fp32", 1).autocast():
        assert (x @ x).dtype == torch.float32
    with Compute("cpu", "bf16", 1).autocast():
        assert (x @ x).dtype == torch.bfloat16


def test_running_out_of_memory_is_told_in_one_line() -> None:
    with pytest.raises(UserError, match=r"The memory is used up\. Lower --batch-size"), memory_as_user_error():
        torch.empty(10**16)


def test_other_failures_of_torch_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="must match"), memory_as_user_error():
        torch.ones(2) + torch.ones(3)
