"""What the panel says to fetch is what pip takes."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import sys

import pytest
from setup_worlds import write_wheel

SYSTEMS = ["mac-intel", "mac-intel-old", "mac-arm", "windows", "linux", "linux-old"]


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_command_fetches_the_file_that_is_named(bare_slicer: pathlib.Path, tmp_path: pathlib.Path,
                                                    name: str) -> None:
    from ALHVRLib.requirements import ONNXRUNTIME

    wheel = ONNXRUNTIME.wheels[name]
    file = ONNXRUNTIME.file_name(wheel)
    _, version, tag = file.removesuffix(".whl").split("-", 2)
    write_wheel(tmp_path / "server", tag=tag, version=version)
    command = shlex.split(ONNXRUNTIME.fetch_command(wheel))
    assert command[0] == "python"
    offline = ["--no-index", "--find-links", str(tmp_path / "server")]
    subprocess.run([sys.executable, *command[1:], *offline], check=True, capture_output=True, cwd=tmp_path)
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == [file]


@pytest.mark.parametrize(("system", "machine", "version", "expected"), [
    ("win32", "AMD64", "", "windows"), ("darwin", "x86_64", "15.1", "mac-intel"),
    ("darwin", "x86_64", "12.7.1", "mac-intel-old"), ("darwin", "arm64", "14.0", "mac-arm"),
    ("linux", "x86_64", "2.39", "linux"), ("linux", "x86_64", "2.27", "linux-old"), ("linux", "x86_64", "", "linux")])
def test_each_computer_gets_its_own(slicer_app: object, system: str, machine: str, version: str,
                                    expected: str) -> None:
    from ALHVRLib import requirements

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requirements.sys, "platform", system)
        patch.setattr(requirements.platform, "machine", lambda: machine)
        patch.setattr(requirements.platform, "mac_ver", lambda: (version, ("", "", ""), machine))
        patch.setattr(requirements.platform, "libc_ver", lambda: ("glibc", version))
        assert requirements.this_computer() == expected
