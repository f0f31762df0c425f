"""Workers: every item comes back, within the memory, whatever happens to a worker; and none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support import ROOT

from alhvr.checking.context import RunContext
from alhvr.checking.workers import MemoryBudget, Task, work_through
from alhvr.core.errors import Cancelled

TWO = MemoryBudget(2, None)
KNOWS_THIS_FILE = ("import sys\n"
                   f"sys.path[:0] = {[str(ROOT / f) for f in ('Testing/engine/checking', 'Testing/support', '')]}\n"
                   "import test_workers as t\n")
"""How a program begins that uses what stands here."""


def double(item: int) -> int:
    return 2 * item


def own_number(item: float) -> int:
    time.sleep(item)
    return os.getpid()


def threads(item: str) -> str | None:
    return os.environ.get(item)


def die_on_three(item: tuple[int, str]) -> int:
    number, folder = item
    if number == 3:
        (Path(folder) / f"{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(item: tuple[int, str]) -> int:
    number, mark = item
    if number == 3 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def overlap(item: str) -> int:
    """How many items were in work at the start of this one; its folder holds a file for each."""
    folder = Path(item)
    mine = folder / f"{os.getpid()}-{time.monotonic_ns()}"
    mine.touch()
    n = len(list(folder.iterdir()))
    time.sleep(0.15)
    mine.unlink()
    return n


def mistake(item: int) -> float:
    return 1 / item


def hang_on_three(item: int) -> int:
    while item == 3:
        time.sleep(60)
    return item


def work(make: object, cost: object = lambda item: 0, limit_s: float = 600.0) -> Task:
    return Task(make, cost, lambda item, why: f"lost: {why}", lambda item: limit_s)


BEFORE: set[psutil.Process] = set()
"""What other tests keep running in this process."""


@pytest.fixture(autouse=True)
def _others() -> None:
    BEFORE.clear()
    BEFORE.update(psutil.Process().children(recursive=True))


def children() -> list[psutil.Process]:
    """Without the tracker that Python starts beside its first worker and keeps."""
    found = set(psutil.Process().children(recursive=True)) - BEFORE
    return [child for child in found if "resource_tracker" not in " ".join(child.cmdline())]


@pytest.mark.parametrize("room", [MemoryBudget(0, None), MemoryBudget(1, None), TWO, MemoryBudget(2, 0)])
def test_every_item_comes_back_once(room: MemoryBudget) -> None:
    found = list(work_through(range(7), work(double), room, RunContext()))
    assert sorted(found) == [(n, 2 * n) for n in range(7)]
    assert children() == []


def test_without_workers_the_work_is_done_in_this_process_and_with_some_in_others() -> None:
    assert dict(work_through([0.0], work(own_number), MemoryBudget(0, None), RunContext()))[0] == os.getpid()
    assert os.getpid() not in dict(work_through([0.3] * 4, work(own_number), TWO, RunContext())).values()


def test_libraries_in_a_worker_have_one_thread_each() -> None:
    names = ["OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"]
    assert {seen for _, seen in work_through(names, work(threads), TWO, RunContext())} == {"1"}


def test_a_killed_worker_is_replaced_and_its_item_done_again(tmp_path: Path) -> None:
    items = [(n, str(tmp_path / "mark")) for n in range(6)]
    assert dict(work_through(items, work(die_once), TWO, RunContext())) == {n: n for n in range(6)}


def test_an_item_that_kills_each_worker_is_given_up_and_the_others_are_done(tmp_path: Path) -> None:
    items = [(n, str(tmp_path)) for n in range(6)]
    assert dict(work_through(items, work(die_on_three), TWO, RunContext())) == {
        0: 0, 1: 1, 2: 2, 3: "lost: the program that read it was ended, perhaps for want of memory", 4: 4, 5: 5}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("room", [MemoryBudget(1, None), TWO])
def test_an_item_that_hangs_is_given_up_once_and_the_others_are_done(room: MemoryBudget) -> None:
    began = time.monotonic()
    found = dict(work_through(range(5), work(hang_on_three, limit_s=3.0), room, RunContext()))
    assert found == {0: 0, 1: 1, 2: 2, 3: "lost: it took too long", 4: 4}
    assert time.monotonic() - began < 30
    assert children() == []


def test_items_that_do_not_fit_the_memory_together_are_done_one_after_the_other(tmp_path: Path) -> None:
    items = [str(tmp_path)] * 4
    tight = list(work_through(items, work(overlap, lambda item: 60), MemoryBudget(2, 100), RunContext()))
    wide = list(work_through(items, work(overlap, lambda item: 50), MemoryBudget(2, 100), RunContext()))
    assert {n for _, n in tight} == {1}
    assert max(n for _, n in wide) == 2


def test_stopping_leaves_no_worker_behind_however_busy_it_is() -> None:
    began = time.monotonic()
    with pytest.raises(Cancelled):
        context = RunContext(should_stop=lambda: time.monotonic() > began + 2)
        list(work_through([60.0] * 4, work(own_number), TWO, context))
    assert time.monotonic() - began < 10
    assert children() == []


def test_a_mistake_of_the_program_is_raised_with_its_story() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(work_through([1, 0, 1], work(mistake), TWO, RunContext()))
    assert children() == []


def test_where_no_worker_can_start_the_work_is_done_in_this_process(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        f"{KNOWS_THIS_FILE}print(dict(t.work_through([1, 2], t.work(t.double), t.TWO, t.RunContext())))\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip().splitlines()[-1] == "{0: 2, 1: 4}", done.stderr[-500:]


def test_workers_end_with_the_program_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "guarded.py"
    script.write_text(
        f"{KNOWS_THIS_FILE}if __name__ == '__main__':\n"
        "    for _, n in t.work_through([0.0] + [1.0] * 99, t.work(t.own_number), t.TWO, t.RunContext()):\n"
        "        print(n, flush=True)\n")
    program = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    worker = psutil.Process(int(program.stdout.readline()))
    program.kill()
    program.wait()
    assert worker in psutil.wait_procs([worker], timeout=10)[0]


SCRIPT = """
print("begun")
from alhvr.checking.context import RunContext
from alhvr.checking.workers import MemoryBudget, Task, work_through

task = Task(make=abs, cost=lambda item: 1, lost=lambda item, why: why, limit_s=lambda item: 60.0)
print(sorted(made for _, made in work_through([-1, -2, -3], task, MemoryBudget(2, None), RunContext())))
"""


def test_a_script_that_uses_the_package_is_not_run_again_by_the_workers(tmp_path: Path) -> None:
    """People write scripts without "if __name__ == '__main__'"."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.stdout, done.stderr, done.returncode) == ("begun\n[1, 2, 3]\n", "", 0)
