"""The store of prepared scans: its budget in real bytes, its errors, and reading ahead."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from tiny_cases import LABELS, damage, tiny_plan, with_channels, write_case

from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.data.case_io import LabelDecoder
from alhvr.data.cases import Case
from alhvr.data.store import ScanStore

SHAPE = (6, 20, 24)
SCAN_BYTES = 4 * 6 * 20 * 24
PLAN = tiny_plan(2, (16, 16))


def archive(folder: Path, count: int) -> list[Case]:
    return [write_case(folder, f"scan{n}", SHAPE, seed=n) for n in range(count)]


def store_of(cases: list[Case], *, budget: int = 10**9, label_set=None, plan=PLAN) -> ScanStore:
    return ScanStore(cases, plan, label_set and LabelDecoder(label_set), budget_bytes=budget, reporter=SilentReporter())


def wait_until(condition, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def real_bytes(store: ScanStore) -> int:
    """Bytes that the kept arrays really own, views included."""
    arrays = [a for c in store._held.values() for a in (c.image, c.label, *c.points) if a is not None]
    return sum((a if a.base is None else a.base).nbytes for a in arrays)


def test_a_case_is_prepared_with_classes_and_its_background(tmp_path: Path) -> None:
    case = store_of([write_case(tmp_path, "a", SHAPE, label=True)], label_set=LABELS).get(0)
    assert case.image.shape == (1, *SHAPE) and case.label.shape == SHAPE and case.image.dtype == np.float32
    assert case.label.dtype == np.uint8 and np.unique(case.label).tolist() == [0, 1, 2]
    assert case.background == (case.image.min(),)


def test_shape_and_bytes_are_known_without_the_voxels(tmp_path: Path) -> None:
    cases = archive(tmp_path, 1)
    damage(cases[0])
    store = store_of(cases)
    assert store.shape(0) == SHAPE and store.expected_bytes(0) == SCAN_BYTES


@pytest.mark.parametrize("labeled", [False, True])
def test_a_case_of_two_channels_takes_what_is_expected(tmp_path: Path, labeled: bool) -> None:
    first, second = (write_case(tmp_path, name, SHAPE, label=labeled, seed=n) for n, name in enumerate("ab"))
    case = replace(first, more_images=(second.image,))
    store = store_of([case], label_set=LABELS if labeled else None, plan=with_channels(PLAN, "T1", "T2"))
    found = store.get(0)
    assert found.image.shape == (2, *SHAPE) and found.background == tuple(c.min() for c in found.image)
    assert real_bytes(store) == store.expected_bytes(0) == (2 * 4 + labeled) * SCAN_BYTES // 4
    with pytest.raises(UserError, match=r"has 1 channel; needed: 2 channels \(T1, T2\)"):
        store_of([first], plan=with_channels(PLAN, "T1", "T2")).get(0)


def test_an_archive_of_ten_times_the_budget_never_takes_more_than_the_budget(tmp_path: Path) -> None:
    store = store_of(archive(tmp_path, 20), budget=2 * SCAN_BYTES + 100)
    for index in (*range(20), *range(19, -1, -3)):
        store.get(index)
        assert SCAN_BYTES <= real_bytes(store) == store.held_bytes <= store.budget_bytes


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_labelled_case_takes_no_more_than_expected(tmp_path: Path, dimensions: int) -> None:
    plan = tiny_plan(dimensions, (16,) * dimensions)
    store = store_of([write_case(tmp_path, "a", SHAPE, label=True)], label_set=LABELS, plan=plan)
    store.get(0)
    assert 5 * SCAN_BYTES // 4 <= real_bytes(store) <= store.expected_bytes(0)


def test_what_is_kept_is_not_read_again(tmp_path: Path) -> None:
    cases = archive(tmp_path, 2)
    store = store_of(cases)
    first = store.get(0)
    cases[0].image.unlink()
    assert store.get(0) is first


def test_the_least_recently_used_scan_goes_first(tmp_path: Path) -> None:
    store = store_of(archive(tmp_path, 3), budget=2 * SCAN_BYTES)
    for index in (0, 1, 0, 2):
        store.get(index)
    assert list(store._held) == [0, 2]


def test_a_scan_larger_than_the_budget_is_given_out_and_drops_nothing(tmp_path: Path) -> None:
    large = write_case(tmp_path, "large", (6, 60, 64))
    store = store_of([*archive(tmp_path, 1), large], budget=2 * SCAN_BYTES)
    store.get(0)
    assert store.get(1).image.shape == (1, 6, 60, 64)
    assert list(store._held) == [0]


def test_a_damaged_scan_names_its_file_every_time(tmp_path: Path) -> None:
    cases = archive(tmp_path, 1)
    damage(cases[0])
    store = store_of(cases)
    for _ in range(2):
        with pytest.raises(UserError, match="scan0.nrrd"):
            store.get(0)


def test_a_label_on_another_grid_is_refused_with_both_geometries(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a", SHAPE, label=True)
    label = SimpleITK.ReadImage(str(case.label))
    label.SetSpacing((1.0, 1.0, 2.5))
    SimpleITK.WriteImage(label, str(case.label))
    with pytest.raises(UserError, match=r"label a\.nrrd.*scan a\.nrrd.*\(1, 1, 1\).*\(1, 1, 2\.5\)"):
        store_of([case], label_set=LABELS).get(0)


def test_a_label_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a", SHAPE, label=True)
    other = write_case(tmp_path / "other", "b", (6, 20, 25), label=True)
    with pytest.raises(UserError, match=r"24, 20, 6.*25, 20, 6"):
        store_of([Case("a", case.image, other.label)], label_set=LABELS).get(0)


def test_an_unknown_label_value_names_its_file(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a", SHAPE, label=True)
    label = SimpleITK.ReadImage(str(case.label)) * 2
    SimpleITK.WriteImage(label, str(case.label))
    with pytest.raises(UserError, match=r"a\.nrrd: .*2"):
        store_of([case], label_set=LABELS).get(0)


def test_wishes_are_read_in_the_background_in_order_within_the_budget(tmp_path: Path) -> None:
    store = store_of(archive(tmp_path, 6), budget=3 * SCAN_BYTES)
    store.get(0)
    store.prefetch([4, 2, 5, 1])
    assert wait_until(lambda: store._reader is None)
    assert sorted(store._held) == [2, 4, 5] and store.held_bytes <= store.budget_bytes


def test_reading_on_demand_drops_wishes_last(tmp_path: Path) -> None:
    store = store_of(archive(tmp_path, 4), budget=2 * SCAN_BYTES)
    store.prefetch([1])
    assert wait_until(lambda: list(store._held) == [1])
    for index in (0, 2, 3):
        store.get(index)
    assert sorted(store._held) == [1, 3]


def test_a_damaged_wish_is_passed_over_and_told_when_asked_for(tmp_path: Path) -> None:
    cases = archive(tmp_path, 3)
    damage(cases[0])
    cases[1].image.write_text("no scan")
    store = store_of(cases)
    store.prefetch([0, 1, 2])
    assert wait_until(lambda: 2 in store._held)
    for index in (0, 1):
        with pytest.raises(UserError, match=f"scan{index}.nrrd"):
            store.get(index)


def test_threads_that_ask_for_the_same_scan_read_it_once(tmp_path: Path) -> None:
    store = store_of(archive(tmp_path, 3))
    store.prefetch([2, 1, 0])
    found = []
    threads = [threading.Thread(target=lambda: found.append([store.get(n) for n in range(3)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(case is found[0][n] for cases in found for n, case in enumerate(cases))
