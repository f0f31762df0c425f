"""Commands in a process that may use little memory: they end well or with one line, and no library ends them."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from command import Finished, fresh
from tiny_runs import make_scan, short_run, write_scan
from untrained import write_untrained


def limited(kind: int, megabytes: int, *arguments: object) -> Finished:
    limit = megabytes * 1_000_000
    return fresh(*arguments, preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)))


def assert_done_or_told(done: Finished) -> None:
    assert "Traceback" not in done.err
    if done.code != 0:
        done.refused("emory")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model, and a scan."""
    folder = tmp_path_factory.mktemp("world")
    return write_untrained(folder / "model"), write_scan(folder / "scan.nii.gz", make_scan(0)[0])


@pytest.mark.parametrize(("kind", "megabytes", "what"), [
    (resource.RLIMIT_AS, 350, "address space"), (resource.RLIMIT_AS, 700, "address space"),
    (resource.RLIMIT_DATA, 150, "data"), (resource.RLIMIT_DATA, 400, "data"),
])
def test_a_limit_below_what_the_libraries_take_is_told_with_the_figures(world, tmp_path, kind, megabytes, what) -> None:
    done = limited(kind, megabytes, "segment", "--model", world[0], world[1], "--out", tmp_path / "out", "--regions")
    done.refused(f"of memory ({what}) at the least; this process may use {megabytes} MB.", "Raise the limit")


@pytest.mark.parametrize(("kind", "megabytes"), [(resource.RLIMIT_AS, 1310), (resource.RLIMIT_AS, 1600),
                                                 (resource.RLIMIT_DATA, 510), (resource.RLIMIT_DATA, 700)])
def test_with_little_memory_a_scan_is_segmented_or_it_is_told(world, tmp_path: Path, kind: int, megabytes: int) -> None:
    assert_done_or_told(limited(kind, megabytes, "segment", "--model", world[0], world[1], "--out", tmp_path / "out",
                                "--regions"))


@pytest.mark.parametrize(("kind", "megabytes"), [(resource.RLIMIT_AS, 1200), (resource.RLIMIT_AS, 2010),
                                                 (resource.RLIMIT_AS, 2400),
                                                 (resource.RLIMIT_DATA, 800), (resource.RLIMIT_DATA, 1050)])
def test_with_little_memory_a_run_ends_well_or_it_is_told(study, tmp_path: Path, kind: int, megabytes: int) -> None:
    assert_done_or_told(limited(kind, megabytes, *short_run(study, tmp_path / "run", "--iterations", 4)))


def test_what_loads_no_library_needs_no_memory(world) -> None:
    assert limited(resource.RLIMIT_AS, 350, "describe", world[0]).code == 0
