"""What gets installed: pip's resolver shows that both sets leave the libraries of 3D Slicer 5.12 as they are.

pip reads the packages' metadata from the index and downloads none of them. For torch, whose builds are many and large,
a file stands in that has the requirements of the one installed here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from light_install import PROJECT, light_distributions
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import ROOT

from alhvr.core.errors import DEMO

SLICER_PYTHON = "3.12.10"
SLICER = {"numpy": "2.4.6", "scipy": "1.17.1", "simpleitk": "2.5.5", "pydicom": "3.0.2", "highdicom": "0.27.0",
          "pillow": "12.2.0", "pyjpegls": "1.5.1", "packaging": "26.2", "typing-extensions": "4.15.0"}
"""What Slicer 5.12 brings and the two sets have to do with; the first five are those that a change would break."""
HEAVY = {"torch", "monai", "onnx", "scipy", "matplotlib", "psutil", "sympy", "triton"}
BASE_MB = 150
UNREACHABLE = re.compile(r"Retrying \(|from versions: none\)")
PIP = """
import sys
from pip._vendor.packaging import markers
here = markers.default_environment
markers.default_environment = lambda: {**here(), "python_version": %(short)r, "python_full_version": %(full)r}
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""pip as it is, but that conditions such as ``python_version < "3.12"`` are true where they are for Slicer's Python."""


def resolve(folder: Path, requirements: list[str], *options: str) -> dict[str, str]:
    """Versions that pip would install into Slicer's Python, and their addresses; skips aloud without an index."""
    (folder / "wanted.txt").write_text("\n".join(requirements))
    (folder / "slicer.txt").write_text("\n".join(f"{name}=={version}" for name, version in SLICER.items()))
    short = SLICER_PYTHON.rpartition(".")[0]
    done = subprocess.run(
        [sys.executable, "-c", PIP % {"short": short, "full": SLICER_PYTHON}, "install", "--dry-run",
         "--ignore-installed", "--python-version", SLICER_PYTHON, "--only-binary=:all:", "--use-feature=fast-deps",
         "--retries=1", "--timeout=20", "--disable-pip-version-check", f"--target={folder / 'nowhere'}",
         f"--report={folder / 'report.json'}", f"--requirement={folder / 'wanted.txt'}",
         f"--constraint={folder / 'slicer.txt'}", *options],
        capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode and UNREACHABLE.search(done.stdout + done.stderr):
        pytest.skip("no package index is reachable, so pip could not resolve anything")
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["environment"]["python_version"] == short
    return {canonicalize_name(entry["metadata"]["name"]): entry for entry in report["install"]}


def versions(installed: dict[str, dict]) -> dict[str, str]:
    return {name: entry["metadata"]["version"] for name, entry in installed.items()}


def megabytes(address: str) -> float:
    """Size of a wheel, as the index or the disk tells."""
    if address.startswith("file:"):
        return Path(urllib.request.url2pathname(address.removeprefix("file://"))).stat().st_size / 1e6
    with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=20) as answer:
        return int(answer.headers["Content-Length"]) / 1e6


def stand_in(folder: Path, name: str) -> str:
    """A wheel with nothing but the name, version and requirements of an installed package; returns what asks for it."""
    package = distribution(name)
    record = f"{name}-{package.version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{package.version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{record}/METADATA", package.read_text("METADATA"))
        wheel.writestr(f"{record}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any")
        wheel.writestr(f"{record}/RECORD", "")
    return f"{name}==={package.version}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    return resolve(tmp_path_factory.mktemp("base"), PROJECT["dependencies"])


def test_segmenting_leaves_the_libraries_of_slicer_as_they_are(base: dict[str, dict]) -> None:
    found = versions(base)
    assert {name: found[name] for name in SLICER if name in found} == {n: v for n, v in SLICER.items() if n in found}
    assert found.keys() >= {"numpy", "simpleitk", "pydicom", "highdicom", "onnxruntime"}


def test_segmenting_brings_no_heavy_library(base: dict[str, dict]) -> None:
    assert not HEAVY & base.keys()


def test_the_download_of_the_light_install_is_small(base: dict[str, dict]) -> None:
    sizes = {name: megabytes(entry["download_info"]["url"]) for name, entry in base.items()}
    listing = ", ".join(f"{name} {versions(base)[name]} {size:.1f} MB" for name, size in sorted(sizes.items()))
    print(f"{listing}; together {sum(sizes.values()):.0f} MB")
    assert sum(sizes.values()) < BASE_MB, listing


def test_training_leaves_the_libraries_of_slicer_as_they_are(tmp_path: Path) -> None:
    train = [entry for entry in PROJECT["optional-dependencies"]["train"] if Requirement(entry).name != "torch"]
    wanted = [*PROJECT["dependencies"], *train, stand_in(tmp_path, "torch")]
    found = versions(resolve(tmp_path, wanted, f"--find-links={tmp_path}"))
    assert {name: found[name] for name in SLICER} == SLICER
    assert found.keys() >= {"torch", "monai", "onnx"} and found["torch"] == distribution("torch").version


def test_the_resolver_would_notice_a_library_of_slicer_that_had_to_change(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="conflict"):
        resolve(tmp_path, [*PROJECT["dependencies"], "numpy<2.4"])


def test_the_installed_torch_is_one_that_the_extra_accepts() -> None:
    (torch,) = [Requirement(r) for r in PROJECT["optional-dependencies"]["train"] if r.startswith("torch")]
    assert torch.specifier.contains(distribution("torch").version)


def test_the_packages_that_training_asks_for_first_are_those_of_the_extra() -> None:
    extra = {Requirement(entry).name for entry in PROJECT["optional-dependencies"]["train"]}
    assert set(DEMO) == extra - {"onnx", "h5py"}, "a model can be finished without onnx, and HDF5 files are few"


def test_the_light_install_here_brings_nothing_heavy_either() -> None:
    assert not HEAVY & light_distributions().keys()


def test_every_file_of_the_engine_that_is_no_program_is_installed_too() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    patterns = tools["setuptools"]["package-data"]["alhvr"]
    engine = ROOT / "alhvr"
    installed = {path for pattern in patterns for path in engine.glob(pattern)}
    known = subprocess.run(["git", "-C", engine, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    data = {engine / name for name in known.split("\0") if name and not name.endswith((".py", "CMakeLists.txt"))}
    assert data - installed == set() and engine / "pages" / "page.css" in data
