"""The list of uncertain places: the right parts, in the right order, with what they touch."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from region_worlds import confidences, make_result, move_under

SURE, UNSURE = 65535, 20000


def two_blobs() -> tuple[np.ndarray, np.ndarray]:
    """Region 3: a large mild part, a small deep one (less doubt in all), and one voxel of region 2."""
    con_a, con_b = np.full((2, 20, 24, 28), SURE, np.uint16)
    for con in (con_a, con_b):
        con[2:8, 3:9, 4:10] = 40000
        con[5, 6, 7] = 39000
        con[15:17, 15:17, 15:17] = UNSURE
    con_a[12, 3, 20] = UNSURE
    return con_a, con_b


def test_parts_come_worst_first_with_their_worst_voxel_and_box() -> None:
    from ALHVRSegmentationLib.regions.list import find_parts

    con_a, con_b = two_blobs()
    first, second, third = find_parts(con_a, con_b, 60000)
    assert (first.region, first.voxels, first.worst) == (3, 216, (7, 6, 5))
    assert first.box == (slice(2, 8), slice(3, 9), slice(4, 10))
    assert first.doubt == pytest.approx(215 * (1 - 40000 / 65535) + 1 - 39000 / 65535, rel=1e-5)
    assert (second.region, second.voxels) == (3, 8)
    assert (third.region, third.voxels, third.worst) == (2, 1, (20, 3, 12))
    assert third.doubt == pytest.approx((1 - UNSURE / 65535) / 2, rel=1e-5)


def test_every_uncertain_voxel_is_in_one_part_and_masks_agree_with_the_regions() -> None:
    from ALHVRSegmentationLib.regions import list as places
    from ALHVRSegmentationLib.regions.values import region_of

    con_a, con_b = confidences((8, 9, 10))
    regions = region_of(con_a, con_b, 50000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "LONGEST", 10**6)
        parts = places.find_parts(con_a, con_b, 50000)
    painted = np.ones_like(regions)
    for part in parts:
        mask = places.part_mask(con_a, con_b, 50000, part)
        assert mask.sum() == part.voxels and (painted[part.box][mask] == 1).all()
        painted[part.box][mask] = part.region
    assert np.array_equal(painted, regions) and len(parts) > 20


def test_the_list_is_not_endless_and_keeps_the_worst() -> None:
    from ALHVRSegmentationLib.regions.list import LONGEST, find_parts

    con_a, con_b = np.full((2, 40, 40, 40), SURE, np.uint16)
    depth = np.linspace(1000, 50000, 8000).astype(np.uint16).reshape(20, 20, 20)
    con_a[::2, ::2, ::2] = con_b[::2, ::2, ::2] = depth
    parts = find_parts(con_a, con_b, 60000)
    assert len(parts) == LONGEST and parts[0].worst == (0, 0, 0)
    assert [part.doubt for part in parts] == sorted((part.doubt for part in parts), reverse=True)


def test_where_all_are_sure_there_is_no_place_and_where_none_is_there_is_one() -> None:
    from ALHVRSegmentationLib.regions.list import find_parts

    con = np.full((4, 5, 6), 30000, np.uint16)
    assert find_parts(con, con, 30000) == ()
    assert [part.voxels for part in find_parts(con, con, 30001)] == [120]


def test_the_teacher_is_averaged_where_neither_is_sure_only() -> None:
    from ALHVRSegmentationLib.regions.list import find_parts

    con_a, con_b = two_blobs()
    teacher = np.zeros_like(con_a)
    teacher[15:17, 15:17, 15:17] = 65535
    parts = find_parts(con_a, con_b, 60000, teacher)
    assert [part.teacher for part in parts] == [0.0, 1.0, None]


def test_a_search_that_is_not_wanted_any_more_ends() -> None:
    from ALHVRSegmentationLib.regions.list import Stopped, find_parts

    con_a, con_b = two_blobs()
    with pytest.raises(Stopped):
        find_parts(con_a, con_b, 60000, stopped=lambda: True)


def test_only_the_newest_search_answers(slicer_app: Any) -> None:
    from one_section import wait_until

    from ALHVRSegmentationLib.regions.list import find_parts
    from ALHVRSegmentationLib.regions.result import RegionResult
    from ALHVRSegmentationLib.regions.search import PartSearch

    world = make_result((30, 60, 60))
    result, answers = RegionResult(world.node), []
    search = PartSearch(lambda parts, problem: answers.append((parts, problem)))
    for beta in (0.9, 0.7, 0.01):
        search.start(result, beta)
    wait_until(lambda: answers)
    time.sleep(0.1)
    slicer_app.processEvents()
    (parts, problem), = answers
    expected = find_parts(world.con_a, world.con_b, result.level(0.01))
    assert problem == "" and [part.worst for part in parts] == [part.worst for part in expected]


def test_a_stopped_search_never_answers_and_its_thread_ends(slicer_app: Any) -> None:
    from one_section import wait_until

    from ALHVRSegmentationLib.regions.result import RegionResult
    from ALHVRSegmentationLib.regions.search import PartSearch

    before = threading.active_count()
    answers = []
    search = PartSearch(lambda *answer: answers.append(answer))
    search.start(RegionResult(make_result((30, 60, 60)).node), 0.9)
    search.stop()
    wait_until(lambda: threading.active_count() == before)
    slicer_app.processEvents()
    assert answers == [] and not search.isRunning


def test_a_search_ends_though_the_event_loop_never_lets_go_of_python(slicer_app: Any) -> None:
    from ALHVRSegmentationLib.regions.result import RegionResult
    from ALHVRSegmentationLib.regions.search import PartSearch

    answers: list = []
    search = PartSearch(lambda *answer: answers.append(answer))
    usual, until = sys.getswitchinterval(), time.monotonic() + 10
    sys.setswitchinterval(1000)
    try:
        search.start(RegionResult(make_result((30, 60, 60)).node), 0.9)
        while not answers and time.monotonic() < until:
            search.onPoll()
    finally:
        sys.setswitchinterval(usual)
    assert answers


def test_a_failing_search_tells_why(slicer_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from one_section import wait_until

    from ALHVRSegmentationLib.regions import search as module
    from ALHVRSegmentationLib.regions.result import RegionResult

    def fail(*_arguments: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(module, "find_parts", fail)
    answers = []
    search = module.PartSearch(lambda *answer: answers.append(answer))
    search.start(RegionResult(make_result().node), 0.9)
    wait_until(lambda: answers)
    assert answers == [(None, "no room")]


def segment(node: Any, scan: Any, name: str, box: tuple) -> None:
    """A box of the scan as a segment."""
    import slicer

    mask = np.zeros(slicer.util.arrayFromVolume(scan).shape, np.uint8)
    mask[box] = 1
    segment_id = node.GetSegmentation().AddEmptySegment(name, name)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment_id, scan)


@pytest.mark.parametrize("moved", [False, True], ids=["same place", "segmentation elsewhere in the tree"])
def test_segments_at_the_voxels_and_beside_them_are_named_most_voxels_first(clean_slate: None, moved: bool) -> None:
    from ALHVRSegmentationLib.regions.list import find_parts
    from ALHVRSegmentationLib.regions.neighbours import segments_at
    from ALHVRSegmentationLib.regions.result import SCAN, SEGMENTATION

    world = make_result(arrays=two_blobs())
    node, scan = (world.node.GetNodeReference(role) for role in (SEGMENTATION, SCAN))
    segment(node, scan, "beside", (slice(2, 8), slice(3, 9), slice(10, 12)))  # shares faces with the first part
    segment(node, scan, "inside", (slice(2, 8), slice(3, 9), slice(2, 8)))
    segment(node, scan, "elsewhere", (slice(0, 1), slice(20, 24), slice(0, 28)))
    if moved:
        turn = move_under(world, np.array([[0, -1.0, 0, 5], [1, 0, 0, 3], [0, 0, 1, -2], [0, 0, 0, 1]]))
        node.SetAndObserveTransformNodeID(None)
        node.ApplyTransformMatrix(turn_matrix(turn))
    parts = find_parts(world.con_a, world.con_b, 60000)
    assert segments_at(node, world.node, [part.around for part in parts]) == [("inside", "beside"), (), ()]
    assert segments_at(None, world.node, [part.around for part in parts]) == [()] * 3


def turn_matrix(transform: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToParent(matrix)
    return matrix
