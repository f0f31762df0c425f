"""Freed memory stays with the process, so that the next step has it at once."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from alhvr.training.device import Compute

if sys.argv[1] == "kept":
    Compute("cpu", "fp32", 1).apply()
for step in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(25_000_000) for _ in range(3)]  # 100 MB each
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults_of_a_late_step(way: str) -> int:
    """Of a process that allocates, fills and frees 300 MB again and again."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, way], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_step_gets_the_memory_of_the_step_before_without_page_faults() -> None:
    assert page_faults_of_a_late_step("kept") < 100
    assert page_faults_of_a_late_step("returned") > 10_000
