"""alhvr.sh installs what was asked for and no more; a Python that only writes down its calls stands in for .venv's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support import ROOT

PYTHON = """#!/usr/bin/env bash
cd "$(dirname "$0")"
echo "$*" >> calls
case "$*" in
    *"import torch"*) [ -e torch ] ;;
    *"pip install"*) [ ! -e offline ] || exit 1 ;;&
    *"pip install"*torch==*) touch torch ;;
esac
"""


class Checkout:
    """alhvr.sh and pyproject.toml in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / ".venv" / "bin"
        self.bin.mkdir(parents=True)
        for name in ("alhvr.sh", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        (self.bin / "python").write_text(PYTHON)
        (self.bin / "python").chmod(0o755)

    def run(self, *arguments: str, code: int = 0) -> list[str]:
        """What pip was asked to install, and the last call, which is the command itself."""
        calls = self.bin / "calls"
        calls.unlink(missing_ok=True)
        done = subprocess.run([self.folder / "alhvr.sh", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == code and done.stdout == "", done
        lines = calls.read_text().splitlines()
        return [line.split()[-1] for line in lines if "pip install" in line] + lines[-1:]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a check out")


def test_who_only_segments_gets_no_torch_and_installs_once(checkout: Checkout) -> None:
    command = "-P -m alhvr segment x --out y"
    assert checkout.run("segment", "x", "--out", "y") == ["out", command]
    assert checkout.run("segment", "x", "--out", "y") == [command]
    assert checkout.run("describe", "m") == ["-P -m alhvr describe m"]


def test_a_check_of_the_data_is_set_up_as_a_training_is(checkout: Checkout) -> None:
    assert checkout.run("check", "--labeled", "d")[:2] == ["torch==2.13.0", "out[train]"]


def test_the_first_training_adds_torch_before_the_rest(checkout: Checkout) -> None:
    checkout.run("segment", "x")
    assert checkout.run("train", "--out", "r") == ["torch==2.13.0", "out[train]", "-P -m alhvr train --out r"]
    assert checkout.run("demo", "--out", "d") == ["-P -m alhvr demo --out d"]
    assert checkout.run("segment", "x") == ["-P -m alhvr segment x"]


def test_the_set_for_tests_is_enough_for_everything(checkout: Checkout) -> None:
    assert checkout.run("test", "-x")[:2] == ["torch==2.13.0", "out[test]"]
    assert checkout.run("train", "--out", "r") == ["-P -m alhvr train --out r"]


def test_a_changed_list_of_requirements_is_installed_again(checkout: Checkout) -> None:
    checkout.run("segment", "x")
    with (checkout.folder / "pyproject.toml").open("a") as file:
        file.write("\n")
    assert checkout.run("segment", "x") == ["out", "-P -m alhvr segment x"]


def test_an_install_that_failed_is_tried_again(checkout: Checkout) -> None:
    (checkout.bin / "offline").touch()
    checkout.run("segment", "x", code=1)
    (checkout.bin / "offline").unlink()
    assert checkout.run("segment", "x") == ["out", "-P -m alhvr segment x"]
