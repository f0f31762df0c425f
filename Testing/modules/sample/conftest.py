"""For the tests of the sample: an engine of the test's own that makes a tiny one."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from child_watch import write_engine
from model_worlds import engine_model
from tiny_cases import write_case

BODY = """
import shutil
def made(kind, path):
    print(json.dumps({{"event": "artifact", "kind": kind, "path": path}}))
if arguments[0] != "sample":
    sys.path[:] = [folder for folder in sys.path if folder != {engine!r}] + [{root!r}]
    for name in [name for name in sys.modules if name.partition(".")[0] == "alhvr"]:
        del sys.modules[name]
    from alhvr.cli import main as real
    return real(arguments)
{before}
out = arguments[arguments.index("--out") + 1]
shutil.copytree({source!r}, out)
for number in (1, 2):
    say("progress", stage="making the sample", done=number, total=2, seconds_left=0)
for name in ("One", "Two"):
    made("scan", out + "/images/" + name + ".nrrd")
made("labels", out + "/labels/One.nrrd")
made("model", out + "/model")
return 0
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What the engine's command makes: two scans, labels, a model."""
    folder = tmp_path_factory.mktemp("made") / "sample"
    engine_model(folder / "model")
    for seed, name in enumerate(("One", "Two")):
        write_case(folder, name, (4, 32, 32), label=name == "One", seed=seed)
    return folder


@pytest.fixture
def engine(made: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Puts an engine in the place of ours whose command "sample" first does what a test says; counts its calls."""
    from ALHVRLib import paths

    calls = tmp_path / "calls"
    root = str(pathlib.Path(__file__).resolve().parents[3])
    folder = tmp_path / "engine"
    monkeypatch.setattr(paths, "engine_root", lambda: folder)

    def write(before: str = "") -> Callable[[], int]:
        count = f"open({str(calls)!r}, 'a').write('x')\n{before}"
        write_engine(tmp_path, BODY.format(before=count, source=str(made), root=root, engine=str(folder)))
        return lambda: len(calls.read_text()) if calls.exists() else 0

    return write


@pytest.fixture
def sample_data(slicer_app: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Slicer's module SampleData, played."""
    import slicer
    from slicer_stand_in import sample_data as played

    monkeypatch.setitem(sys.modules, "SampleData", played)
    yield played
    vars(slicer.modules).pop("sampleDataSources", None)
    played.titles.clear()
