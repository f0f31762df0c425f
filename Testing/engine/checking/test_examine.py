"""Examining many cases: in order, in parallel, stopped cleanly, and known the second time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import SimpleITK as sitk

from alhvr.checking import examine as examining
from alhvr.checking.cache import FOLDER_VARIABLE
from alhvr.checking.context import RunContext
from alhvr.checking.examine import Item, examine, memory_of
from alhvr.checking.facts import CaseFacts
from alhvr.checking.workers import MemoryBudget
from alhvr.core.errors import Cancelled
from alhvr.core.progress import SilentReporter
from alhvr.data.cases import Case

OLD = 1_600_000_000


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for cases so small that workers are not worth their start."""
    monkeypatch.setattr(examining, "_room", lambda items: MemoryBudget(min(2, len(items)), None))


def make_cases(folder: Path, n: int = 4) -> list[Item]:
    folder.mkdir()
    rng, items = np.random.default_rng(0), []
    for number in range(n):
        image, label = folder / f"{number}.nii.gz", folder / f"{number}-label.nii.gz"
        marked = np.zeros((4, 10, 12), np.uint8)
        marked[1:3, 2:4 + number, 3:8] = 1
        sitk.WriteImage(sitk.GetImageFromArray(rng.normal(50, 9, marked.shape).astype(np.float32)), str(image))
        sitk.WriteImage(sitk.GetImageFromArray(marked), str(label))
        items.append(("labeled" if number else "unlabeled", Case(str(number), image, label if number else None)))
    age(folder)
    return items


def age(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, (OLD, OLD))


def look(items: list[Item], context: RunContext | None = None, not_annotated: int = 255) -> list[CaseFacts]:
    return examine(items, not_annotated=not_annotated, context=context or RunContext())


def gist(facts: list[CaseFacts]) -> list[tuple]:
    return [(f.part, f.case, f.images[0].content, f.images[0].print, f.label and f.label.structures,
             f.images[0].thumbnail.tobytes()) for f in facts]


@pytest.mark.usefixtures("two_workers")
def test_workers_find_what_one_process_finds_in_the_order_asked_for(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = make_cases(tmp_path / "cases", 5)
    found = look(items)
    monkeypatch.setattr(examining, "_room", lambda items: MemoryBudget(0, None))
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    assert gist(found) == gist(look(items))
    assert [f.case for f in found] == [case for _, case in items]


def test_a_second_check_knows_every_case(tmp_path: Path) -> None:
    items = make_cases(tmp_path / "cases")
    first, second = look(items), look(items)
    assert not any(f.known for f in first) and all(f.known for f in second)
    assert gist(first) == gist(second)


def test_renamed_and_copied_cases_are_known_by_their_bytes(tmp_path: Path) -> None:
    items = make_cases(tmp_path / "cases")
    look(items)
    shutil.copytree(tmp_path / "cases", tmp_path / "copies")
    copies = [("labeled", Case(f"c{n}", tmp_path / "copies" / f"{n}.nii.gz", tmp_path / "copies" / f"{n}-label.nii.gz"))
              for n in range(1, 4)]
    found = look(copies)
    assert all(f.known for f in found)
    assert [(f.part, f.case) for f in found] == copies


def test_a_changed_label_or_another_value_for_not_annotated_is_looked_at_anew(tmp_path: Path) -> None:
    items = make_cases(tmp_path / "cases")
    look(items)
    label = items[1][1].label
    sitk.WriteImage(sitk.ReadImage(str(label)) * 2, str(label))
    found = look(items)
    assert [f.known for f in found] == [True, False, True, True]
    assert list(found[1].label.structures) == [2]
    assert look(items, not_annotated=1)[2].label.structures == {}


def test_bad_files_are_told_of_each_time_and_stop_nothing(tmp_path: Path, cache_folder: Path) -> None:
    items = make_cases(tmp_path / "cases")
    items[1][1].image.write_bytes(items[1][1].image.read_bytes()[:300])
    items[2][1].label.unlink()
    for _ in range(2):
        found = look(items)
        assert [f.usable for f in found] == [True, False, False, True]
        assert "1.nii.gz" in found[1].image_problem.message
        assert "2-label.nii.gz is not there" in found[2].label_problem.message
    shutil.rmtree(cache_folder)
    cache_folder.write_text("no folder")
    assert [f.usable for f in look(items)] == [True, False, False, True]


def test_nothing_in_the_cache_names_a_scan_or_its_place(tmp_path: Path, cache_folder: Path) -> None:
    look(make_cases(tmp_path / "Frau Mustermann"))
    entries = [path for path in cache_folder.rglob("*") if path.is_file()]
    assert len(entries) == 10  # 8 scans and labels, the key and the mark
    assert not [path for path in entries if b"Mustermann" in path.read_bytes() or b".nii" in path.read_bytes()]


def test_progress_is_told_and_the_stop_is_heard(tmp_path: Path) -> None:
    items, seen = make_cases(tmp_path / "cases"), []

    class Listener(SilentReporter):
        def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
            seen.append((stage, done, total))

    look(items, RunContext(Listener()))
    assert seen == [("examining", n, 4) for n in range(1, 5)]
    seen.clear()
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(Cancelled):
        look(items, RunContext(Listener(), lambda: len(seen) >= 2))
    assert len(seen) == 2


def test_memory_is_forecast_from_the_headers(tmp_path: Path) -> None:
    items = make_cases(tmp_path / "cases", 2)
    assert memory_of(items[0]) == 3 * 4 * 480
    assert memory_of(items[1]) == (3 * 4 + 20) * 480
    assert memory_of(("unlabeled", Case("x", tmp_path / "none.nii", None))) == 0


def test_a_scan_larger_than_the_free_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = make_cases(tmp_path / "cases", 1)
    monkeypatch.setattr(examining, "available_bytes", lambda: 1000)
    (found,) = look(items)
    assert "takes about 0.0 GB of memory" in found.image_problem.message and not found.images


@pytest.mark.parametrize(("name", "workers"), [("series", 1), ("x.dcm", 1), ("x.nii.gz", 0), ("x.mha", 0)])
def test_a_single_case_gets_a_worker_where_code_of_others_decodes_it(tmp_path: Path, name: str, workers: int) -> None:
    (tmp_path / "series").mkdir()
    assert examining._room([("unlabeled", Case("x", tmp_path / name, None))]).workers == workers


@pytest.mark.parametrize(("seconds", "free", "cores", "workers"), [
    (600.0, 64e9, 8, 8), (600.0, 1e9, 8, 0), (600.0, 4e9, 8, 6), (7.0, 64e9, 8, 3), (1.0, 64e9, 8, 0),
    (600.0, None, 4, 4)])
def test_workers_are_as_many_as_cores_and_memory_allow_and_as_are_worth_their_start(
        monkeypatch: pytest.MonkeyPatch, seconds: float, free: float | None, cores: int, workers: int) -> None:
    monkeypatch.setattr(examining, "_seconds", lambda item: seconds / 100)
    monkeypatch.setattr(examining, "available_bytes", lambda: free)
    monkeypatch.setattr(examining, "free_cores", lambda: cores)
    room = examining._room([("unlabeled", Case("x", Path("x.nii"), None))] * 100)
    assert room.workers == workers
    assert room.n_bytes is None if free is None else 0 < room.n_bytes <= free / 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_ends_the_check_and_its_workers(tmp_path: Path, number: int) -> None:
    make_cases(tmp_path / "cases", 4)
    script = tmp_path / "check.py"
    script.write_text(f"""
import sys, time
from pathlib import Path
from alhvr.checking import examine as examining
from alhvr.checking.context import RunContext
from alhvr.checking.workers import MemoryBudget
from alhvr.data.cases import Case
from alhvr.core.errors import Cancelled
from alhvr.core.signals import StopRequest
if __name__ == "__main__":
    examining._room = lambda items: MemoryBudget(2, None)
    items = [("unlabeled", Case(str(n), Path({str(tmp_path)!r}) / "cases" / f"{{n % 4}}.nii.gz", None))
             for n in range(100_000)]
    with StopRequest() as stop:
        print("begun", flush=True)
        try:
            examining.examine(items, not_annotated=255, context=RunContext(should_stop=stop))
        except Cancelled:
            print("cancelled", flush=True)
""")
    environment = {**os.environ, FOLDER_VARIABLE: ""}
    program = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=environment, start_new_session=True)
    assert program.stdout.readline() == "begun\n"
    family: list[psutil.Process] = []
    while len(family) < 3 and program.poll() is None:  # two workers and Python's tracker
        family = psutil.Process(program.pid).children(recursive=True)
        time.sleep(0.05)
    os.killpg(program.pid, number)
    out, err = program.communicate(timeout=30)
    assert out == "cancelled\n" and err == "" and program.returncode == 0
    assert not psutil.wait_procs(family, timeout=10)[1]
