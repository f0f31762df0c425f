"""Memory: what is free is found without any library, and what does not fit is refused with the figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from alhvr.bundle.model import InferenceSettings
from alhvr.core import system as free_memory
from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Normalization
from alhvr.data.plan import Plan
from alhvr.formats.labels import LabelSet
from alhvr.inference import memory
from alhvr.inference.memory import NetworkMemory, available_bytes
from alhvr.inference.onnx_backend import OnnxBackend
from alhvr.inference.openvino_backend import MEMORY
from alhvr.inference.predictor import Predictor

GB = 10**9
LABELS = LabelSet.from_names({1: "liver", 2: "spleen", 3: "pancreas", 4: "kidney"})


def _system(root: Path, files: dict[str, str]) -> Path:
    """A folder with the proc and sys files of a computer with 8 GB free."""
    for name, text in {"proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable:    7812500 kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def _group(folder: str, limit: str, used: int, cached: int) -> dict[str, str]:
    return {f"{folder}/memory.max": f"{limit}\n", f"{folder}/memory.current": f"{used}\n",
            f"{folder}/memory.stat": f"anon 1\ninactive_file {cached}\n"}


def test_what_this_computer_has_free_is_what_psutil_says():
    assert available_bytes() == pytest.approx(psutil.virtual_memory().available, rel=0.3)


def test_without_control_groups_the_computers_own_figure_counts(tmp_path: Path):
    assert available_bytes(_system(tmp_path, {})) == 8 * GB


def test_a_container_with_a_limit_has_less_and_its_cached_files_count_as_free(tmp_path: Path):
    files = {"proc/self/cgroup": "0::/job/step\n", **_group("sys/fs/cgroup/job/step", str(4 * GB), 3 * GB, GB)}
    assert available_bytes(_system(tmp_path, files)) == 2 * GB


def test_the_tightest_of_nested_groups_counts_and_groups_without_limit_do_not(tmp_path: Path):
    files = {"proc/self/cgroup": "0::/job/step\n", **_group("sys/fs/cgroup/job/step", "max", GB, 0),
             **_group("sys/fs/cgroup/job", str(5 * GB), 4 * GB, 0)}
    assert available_bytes(_system(tmp_path, files)) == GB


def test_groups_of_the_first_version_are_known_too(tmp_path: Path):
    folder = "sys/fs/cgroup/memory/job"
    files = {"proc/self/cgroup": "5:cpu:/job\n4:memory:/job\n", f"{folder}/memory.limit_in_bytes": str(3 * GB),
             f"{folder}/memory.usage_in_bytes": str(2 * GB), f"{folder}/memory.stat": "total_inactive_file 7\n"}
    assert available_bytes(_system(tmp_path, files)) == GB + 7


def test_a_group_that_is_over_its_limit_has_nothing_left(tmp_path: Path):
    files = {"proc/self/cgroup": "0::/\n", **_group("sys/fs/cgroup", str(GB), 2 * GB, 0)}
    assert available_bytes(_system(tmp_path, files)) == 0


@pytest.mark.parametrize("system", ["linux", "win32", "darwin"])
def test_a_system_that_does_not_tell_gives_none(tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(free_memory.sys, "platform", system)
    assert available_bytes(tmp_path) is None


class NeverRunBackend:
    """Says what memory its networks take; it never runs."""

    def __init__(self, memory: NetworkMemory = OnnxBackend.memory) -> None:
        self.memory = memory


def _predictor(dimensions: int = 3, labels: LabelSet = LABELS, width: int = 16, backend: Any = None,
               network: str = "unet", **settings: bool) -> Predictor:
    plan = Plan(dimensions, network, (1.0, 1.0, 1.0), None, (96,) * dimensions, 2, 1, "CT", Normalization("ct"))
    return Predictor(backend or NeverRunBackend(), replace(plan, width=width), labels, InferenceSettings(**settings))


def _grid(*size_ijk: int) -> Geometry:
    return Geometry(size_ijk, (0.75, 0.75, 1.5), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("regions", [False, True])
def test_a_ct_of_512x512x300_is_forecast_to_stay_within_4_gb(dimensions: int, regions: bool):
    assert _predictor(dimensions).forecast(_grid(512, 512, 300), regions=regions).total < 3.5 * GB


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_ct_of_1024x1024x1000_is_forecast_to_stay_within_12_gb(dimensions: int):
    assert _predictor(dimensions).forecast(_grid(1024, 1024, 1000), regions=True, voxel_bytes=2).total < 11.7 * GB


def test_a_scan_that_does_not_fit_is_refused_with_need_free_memory_and_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 6 * GB)
    with pytest.raises(UserError) as refused:
        _predictor().require_memory(_grid(1024, 1024, 1000), regions=True, voxel_bytes=2)
    need = _predictor().forecast(_grid(1024, 1024, 1000), regions=True, voxel_bytes=2).total
    less = _predictor().forecast(_grid(1024, 1024, 1000), voxel_bytes=2).total
    assert f"1024 x 1024 x 1000 voxels takes about {need / 1e9:.1f} GB" in refused.value.message
    assert "6.0 GB are free" in refused.value.message
    assert f"leave out the regions ({less / 1e9:.1f} GB then)" in refused.value.hint
    assert less < need


@pytest.mark.parametrize("free", [4 * GB, None])
def test_a_scan_that_fits_or_may_fit_is_let_through_with_its_need(free: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    assert GB < _predictor().require_memory(_grid(512, 512, 300)) < 4 * GB


def test_larger_labels_and_voxels_need_more():
    wide = _predictor(labels=LabelSet.from_names({1: "liver", 1000: "cyst"}))
    narrow = _predictor(labels=LabelSet.from_names({1: "liver", 2: "cyst"}))
    size, voxels = _grid(512, 512, 300), 512 * 512 * 300
    assert wide.forecast(size).total - narrow.forecast(size).total == voxels
    assert narrow.forecast(size).total - narrow.forecast(size, voxel_bytes=2).total == 2 * voxels


def test_regions_need_two_confidences_and_the_teacher_of_each_voxel_more():
    size, voxels = _grid(512, 512, 300), 512 * 512 * 300
    with_regions, without = (_predictor().forecast(size, regions=regions) for regions in (True, False))
    assert with_regions.results - without.results == 5 * voxels


def test_narrow_networks_need_less_and_wide_ones_more():
    narrow, standard, wide = (_predictor(width=w).forecast(_grid(512, 512, 300)).networks for w in (4, 16, 32))
    assert 0.25 * standard < narrow < 0.5 * standard
    assert wide > 1.7 * standard


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_openvino_needs_more_in_f32_and_a_backend_that_does_not_say_counts_as_that(dimensions: int, regions: bool):
    backends = (NeverRunBackend(MEMORY["bf16"]), NeverRunBackend(MEMORY["f32"]), object())
    bf16, f32, unknown = (_predictor(dimensions, backend=backend).forecast(_grid(512, 512, 300), regions=regions)
                          for backend in backends)
    assert bf16.networks < 0.9 * f32.networks and f32 == unknown


@pytest.mark.parametrize("memory", [MEMORY["bf16"], OnnxBackend.memory], ids=["openvino", "onnxruntime"])
def test_mirrored_copies_need_more_beside_regions_where_these_have_graphs_of_their_own(memory: NetworkMemory):
    backend = NeverRunBackend(memory)
    plain, mirrored = (_predictor(2, backend=backend, mirror=mirror) for mirror in (False, True))
    size = _grid(512, 512, 300)
    more = mirrored.forecast(size, regions=True).networks > plain.forecast(size, regions=True).networks
    assert more == memory.graphs_for_regions and mirrored.forecast(size) == plain.forecast(size)


def test_a_network_that_takes_more_is_forecast_to_take_more() -> None:
    size = _grid(512, 512, 300)
    usual, residual = (_predictor(network=kind).forecast(size).networks for kind in ("unet", "dynunet"))
    assert 1.2 * usual < residual < 1.4 * usual


def test_components_need_memory_where_they_are_looked_for():
    size = _grid(128, 128, 300)
    plain, looking = (_predictor(2, largest_component=wanted).forecast(size) for wanted in (False, True))
    assert plain.stream < looking.stream == 16 * 128 * 128 * 300


def test_networks_that_have_worked_already_need_less_for_the_next_scan():
    predictor = _predictor()
    first = predictor.forecast(_grid(512, 512, 300))
    predictor._pixels_before = 96**3
    assert predictor.forecast(_grid(512, 512, 300)).networks == 0 < first.networks
