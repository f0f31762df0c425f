"""Reading one scan ahead only where memory suffices for it beside the one under way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_cases import LABELS
from tiny_runs import make_scan, write_scan

from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Scan, Segmentation
from alhvr.inference import run as room
from alhvr.inference.pipeline import Pipeline, Steps
from alhvr.inference.predictor import Prediction
from alhvr.inference.request import SegmentRequest
from alhvr.inference.results_index import ResultsIndex
from alhvr.inference.run import CaseProcessor

BYTES_A_VOXEL = 10


class Machine:
    """A predictor on a machine with so much free memory, of which the scan under way takes its share."""

    ran_with = "nothing"

    def __init__(self, free: int) -> None:
        self.free, self.taken = free, 0
        self.read_beside: list[str] = []

    def available_bytes(self) -> int:
        return self.free - self.taken

    def forecast(self, geometry: Geometry, *, regions: bool, voxel_bytes: int) -> SimpleNamespace:
        assert voxel_bytes == 4
        return SimpleNamespace(total=BYTES_A_VOXEL * int(np.prod(geometry.size_ijk)) * (2 if regions else 1))

    def require_memory(self, geometry: Geometry, *, regions: bool, voxel_bytes: int) -> int:
        needed = self.forecast(geometry, regions=regions, voxel_bytes=voxel_bytes).total
        if needed > self.available_bytes():
            raise UserError(f"This scan needs {needed} bytes; {self.available_bytes()} are free.")
        return needed

    def segment(self, scan: Scan, **_: object) -> Prediction:
        return Prediction(Segmentation(scan.name, (scan.array > 150).astype(np.uint8), scan.geometry, LABELS), None)


def run(tmp_path: Path, machine: Machine, *depths: int, regions: bool = False) -> dict[str, str]:
    """Segments scans of these numbers of slices (1024 voxels each); the reason of each failure by name."""
    cases, failed = [], {}
    for index, depth in enumerate(depths):
        name = f"scan{index}"
        cases.append(Case(name, write_scan(tmp_path / f"{name}.nrrd", make_scan(index, (depth, 32, 32))[0]), None))
    (tmp_path / "out").mkdir()
    request = SegmentRequest(tmp_path / "m", (), tmp_path / "out", regions=regions)
    work = CaseProcessor(request, ResultsIndex(request.out), machine, "m")

    def read(case: Case, computing: room.Loaded | None) -> room.Loaded | None:
        loaded = work.read(case, computing)
        machine.read_beside += [case.name] if loaded is not None and computing is not None else []
        return loaded

    def compute(case: Case, loaded: room.Loaded) -> room.Made:
        machine.taken = loaded.needed_bytes // 2
        made = work.compute(case, loaded, SilentReporter(), pipeline.pulse)
        machine.taken = 0
        return made

    pipeline = Pipeline(Steps(read, compute, work.write, lambda *_: None,
                              lambda case, error: failed.update({case.name: str(error)})), lambda: False)
    pipeline.run(cases)
    return failed


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Machine]:
    """Makes a machine with so many free bytes."""
    def make(free: int) -> Machine:
        made = Machine(free)
        monkeypatch.setattr(room, "available_bytes", made.available_bytes)
        return made
    return make


SLICE = BYTES_A_VOXEL * 1024


def test_with_enough_memory_every_scan_is_read_beside_another(tmp_path: Path, machine) -> None:
    large = machine(100 * SLICE)
    assert run(tmp_path, large, 4, 4, 4) == {} and large.read_beside == ["scan1", "scan2"]


def test_where_two_do_not_fit_the_next_is_read_afterwards(tmp_path: Path, machine) -> None:
    small = machine(15 * SLICE)
    assert run(tmp_path, small, 10, 10, 10) == {} and small.read_beside == []


def test_a_scan_that_never_fits_is_refused_and_the_others_go_on(tmp_path: Path, machine) -> None:
    small = machine(15 * SLICE)
    failed = run(tmp_path, small, 4, 20, 4)
    assert failed == {"scan1": f"This scan needs {20 * SLICE} bytes; {15 * SLICE} are free."}
    assert (tmp_path / "out" / "scan2.seg.nrrd").exists()


def test_maps_count_as_memory_too(tmp_path: Path, machine) -> None:
    small = machine(15 * SLICE)
    assert list(run(tmp_path, small, 4, 8, regions=True)) == ["scan1"]
