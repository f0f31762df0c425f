"""What the panel says to fetch is what pip takes."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import sys

import pytest
from setup_worlds import write_wheel

SYSTEMS = ["INTEL_MAC", "OLD_MAC", "ARM_MAC", "WINDOWS", "LINUX", "OLD_LINUX"]


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_command_fetches_the_file_that_is_named(bare_slicer: pathlib.Path, tmp_path: pathlib.Path,
                                                    name: str) -> None:
    from ALHVRLib import requirements

    system = getattr(requirements, name)
    file = requirements.file_name(system)
    _, version, tag = file.removesuffix(".whl").split("-", 2)
    write_wheel(tmp_path / "server", tag=tag, version=version)
    command = shlex.split(requirements.fetch_command(system))
    assert command[0] == "python"
    offline = ["--no-index", "--find-links", str(tmp_path / "server")]
    subprocess.run([sys.executable, *command[1:], *offline], check=True, capture_output=True, cwd=tmp_path)
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == [file]


@pytest.mark.parametrize(("system", "machine", "version", "expected"), [
    ("win32", "AMD64", "", "WINDOWS"), ("darwin", "x86_64", "15.1", "INTEL_MAC"),
    ("darwin", "x86_64", "12.7.1", "OLD_MAC"), ("darwin", "arm64", "14.0", "ARM_MAC"),
    ("linux", "x86_64", "2.39", "LINUX"), ("linux", "x86_64", "2.27", "OLD_LINUX"), ("linux", "x86_64", "", "LINUX")])
def test_each_computer_gets_its_own(slicer_app: object, system: str, machine: str, version: str,
                                    expected: str) -> None:
    from ALHVRLib import requirements

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requirements.sys, "platform", system)
        patch.setattr(requirements.platform, "machine", lambda: machine)
        patch.setattr(requirements.platform, "mac_ver", lambda: (version, ("", "", ""), machine))
        patch.setattr(requirements.platform, "libc_ver", lambda: ("glibc", version))
        found = requirements.this_system()
    assert found is getattr(requirements, expected)
