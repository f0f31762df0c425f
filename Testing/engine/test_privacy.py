"""Nothing is looked up, nothing is sent, and no file is left but where the user asked for one or the README names it.

strace watches every process of a command: its sockets, and the files that it makes or changes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from model_worlds import engine_model
from support import ROOT
from tiny_runs import make_scan, short_run, write_scan, write_study

CHILD = ROOT / "ALHVRSegmentation" / "Resources" / "Scripts" / "ALHVRChild.py"
PATIENT = "Maier-Petra"
SYSTEM = ("/dev/", "/proc/", "/sys/")
WATCHED = "trace=socket,connect,bind,listen,sendto,sendmsg,open,openat,creat,mkdir,mkdirat"
SEGMENTING = ("onnxruntime", "openvino", "torch")

PROBE = re.compile(r"""^(\d+) +socket\(AF_INET6, SOCK_STREAM[^\n]*\) = (\d+)
\1 +bind\(\2, \{sa_family=AF_INET6, sin6_port=htons\(0\),[^\n]*"::1"[^\n]*\n""", re.MULTILINE)

pytestmark = pytest.mark.skipif(shutil.which("strace") is None,
                                reason="strace is not installed: apt-get install strace")


@dataclass(frozen=True)
class World:
    """A home, a temporary folder and a working folder that are empty, and data to work on."""

    folder: Path

    def run(self, *command: Any) -> Seen:
        """Runs a command to its end; fails where it fails."""
        for name in ("home", "tmp", "cwd"):
            (self.folder / name).mkdir(exist_ok=True)
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("XDG_", "ORT_", "ALHVR_", "MPLCONFIG"))}
        environment |= {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp"),
                        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
        log = self.folder / "strace.log"
        done = subprocess.run(["strace", "-f", "-qq", "-s", "300", "-e", WATCHED, "-o", log, *map(str, command)],
                              env=environment, cwd=self.folder / "cwd", capture_output=True, text=True, check=False,
                              timeout=600)
        assert done.returncode == 0, done.stderr
        return Seen(log.read_text(encoding="utf-8", errors="replace"), self.folder)

    def caches(self) -> list[Path]:
        """Where a check and a training keep something for the next one; the list of fonts is matplotlib's own."""
        return [self.folder / "home" / name for name in (".cache/alhvr", ".cache/matplotlib", ".config/matplotlib")]

    def alhvr(self, *arguments: Any) -> Seen:
        """The command ``alhvr``."""
        return self.run(sys.executable, "-m", "alhvr", *arguments)


@dataclass(frozen=True)
class Seen:
    """What strace saw."""

    log: str
    folder: Path

    def network(self) -> list[str]:
        """Calls that name a network: a socket of the internet, a listener, a connection to anything but a local one.

        urllib3, which MONAI loads where it is there, asks the system at its import whether it knows IPv6, by a socket
        on this computer's own address that nobody can reach; that pair of calls is left out.
        """
        log = PROBE.sub("", self.log)
        return [line for line in log.splitlines() if re.search(r"AF_(INET|INET6|NETLINK|PACKET)|\blisten\(", line)
                or (re.search(r"\bconnect\(", line) and "AF_UNIX" not in line)]

    def written(self) -> set[str]:
        """Files that were opened for writing and folders that were made, as far as they are still there."""
        opened = re.findall(r'\bopen(?:at)?\([^"]*"([^"]+)", [^)]*(?:O_WRONLY|O_RDWR|O_CREAT)[^)]*\) += \d', self.log)
        made = re.findall(r'\b(?:creat|mkdir|mkdirat)\([^"]*"([^"]+)",[^)]*\) += 0', self.log)
        left = {path for name in ("home", "tmp", "cwd") for path in (self.folder / name).rglob("*")}
        places = {os.path.normpath(os.path.join(self.folder / "cwd", name)) for name in (*opened, *made, *left)}
        return {name for name in places if os.path.lexists(name) and not name.startswith(SYSTEM)}

    def stays_within(self, *places: Path) -> None:
        """Asserts that no network was touched and that nothing new is left but ``places`` and what is in them."""
        assert self.network() == []
        above = {str(parent) for place in places for parent in place.parents}
        assert {name for name in self.written() - above if not _is_below(name, places)} == set()


def _is_below(name: str, places: tuple[Path, ...]) -> bool:
    return any(name == str(place) or name.startswith(f"{place}/") for place in places)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan, a model that segments it, and a study to train on."""
    folder = tmp_path_factory.mktemp("data")
    write_scan(folder / "one.nii.gz", make_scan(1)[0])
    engine_model(folder / "model")
    return write_study(folder)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("backend", SEGMENTING)
def test_segmenting_looks_nothing_up_and_leaves_nothing_behind(world: World, data: Path, backend: str) -> None:
    seen = world.alhvr("segment", data / "one.nii.gz", "--model", data / "model", "--out", world.folder / "out",
                       "--backend", backend, "--device", "cpu", "--regions")
    seen.stays_within(world.folder / "out")


def test_describing_a_model_writes_nothing(world: World, data: Path) -> None:
    world.alhvr("describe", data / "model").stays_within()


def test_a_check_leaves_its_report_and_caches_that_the_readme_names(world: World, data: Path) -> None:
    (world.folder / "out").mkdir()
    seen = world.alhvr("check", "--labeled", data / "labeled", "--unlabeled", data / "archive", "--out",
                       world.folder / "out" / "check.json", "--no-forecast")
    seen.stays_within(world.folder / "out", *world.caches())


def test_training_leaves_its_run_and_caches_that_the_readme_names(world: World, data: Path) -> None:
    run = world.folder / PATIENT
    seen = world.alhvr(*short_run(data, run, "--iterations", "2"))
    seen.stays_within(run, *world.caches())
    kept, model = ([path for path in folder.rglob("*") if path.is_file()]
                   for folder in (world.folder / "home", run / "model"))
    assert len(model) > 8 and not [path for path in kept + model if PATIENT.encode() in path.read_bytes()]


def test_the_sample_leaves_what_it_was_asked_for(world: World) -> None:
    world.alhvr("sample", "--out", world.folder / "sample").stays_within(world.folder / "sample")


def test_the_child_of_the_panel_that_tries_an_import_leaves_nothing_behind(world: World) -> None:
    packages = next(path for path in map(Path, sys.path) if (path / "onnxruntime").is_dir())
    world.run(sys.executable, CHILD, "--import", "onnxruntime", packages).stays_within()


def test_the_watch_sees_a_network_and_a_file(world: World) -> None:
    program = ("import pathlib, socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\n"
               "pathlib.Path.home().joinpath('left').write_text('x')")
    seen = world.run(sys.executable, "-c", program)
    assert len(seen.network()) == 2 and seen.written() == {str(world.folder / "home" / "left")}
    with pytest.raises(AssertionError):
        seen.stays_within()
