"""How long PyTorch's threads spin: shortened before PyTorch is loaded, and left alone where the user has chosen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
import alhvr.training
assert "torch" not in sys.modules
print(os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(("chosen", "expected"), [
    ({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
])
def test_threads_spin_shortly_unless_the_user_chose_otherwise(chosen: dict[str, str], expected: str) -> None:
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env={**clean, **chosen}, capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == expected


def test_the_variable_is_set_before_anything_that_trains_loads_torch() -> None:
    script = ("import builtins, os\nreal = builtins.__import__\n"
              "def watch(name, *rest, **named):\n"
              "    assert name.split('.')[0] != 'torch' or 'GOMP_SPINCOUNT' in os.environ\n"
              "    return real(name, *rest, **named)\n"
              "builtins.__import__ = watch\nimport {module}\nimport torch\n")
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    for module in ("alhvr.training.run", "alhvr.demo.story"):
        subprocess.run([sys.executable, "-c", script.format(module=module)], env=clean, check=True)
