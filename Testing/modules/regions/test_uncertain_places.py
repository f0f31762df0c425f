"""The list of uncertain places: the right parts, in the right order, with what they touch."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from region_worlds import confidences, make_result, move_under

from alhvr.formats.region_tables import regions_at

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


def find(con_a: np.ndarray, con_b: np.ndarray, level: int, **volume: object) -> Any:
    from ALHVRLib.places.components import Volume, find_components

    return find_components(Volume(con_a, con_b, **volume), level)


def image_of(labels: np.ndarray) -> Any:
    """Structures on the grid of the volume, numbered by their labels."""
    from ALHVRLib.places.segment_images import SegmentImage

    return SegmentImage(labels, np.eye(4), {label: label for label in range(1, int(labels.max()) + 1)})


def test_parts_come_worst_first_with_their_worst_voxel_and_box() -> None:
    con_a, con_b = two_blobs()
    first, second, third = find(con_a, con_b, 60000).parts
    assert (first.region, first.voxels, first.worst) == (3, 216, (7, 6, 5))
    assert first.box == (slice(2, 8), slice(3, 9), slice(4, 10))
    assert first.uncertainty == pytest.approx(215 * (1 - 40000 / 65535) + 1 - 39000 / 65535, rel=1e-4)
    assert (second.region, second.voxels) == (3, 8)
    assert (third.region, third.voxels, third.worst) == (2, 1, (20, 3, 12))
    assert third.uncertainty == pytest.approx(0, abs=1e-4)  # the other network is sure


def test_the_doubt_of_a_voxel_is_what_the_surer_network_leaves() -> None:
    con_a, con_b = np.full((2, 20, 24, 28), SURE, np.uint16)
    con_a[2, 2, 2], con_b[2, 2, 2] = 20000, 50000
    part, = find(con_a, con_b, 60000).parts
    assert part.uncertainty == pytest.approx(1 - 50000 / 65535, rel=1e-4)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (0.4, 0.4, 0.4), (2.5, 7.0, 1.1)])
def test_every_uncertain_voxel_is_in_one_part_that_fits_into_a_view(spacing_mm: tuple,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRLib.places import components as places
    con_a, con_b = confidences((30, 41, 52))
    regions = regions_at(con_a, con_b, 50000)
    for name in ("LONGEST", "_CANDIDATES"):
        monkeypatch.setattr(places, name, 10**6)
    found = find(con_a, con_b, 50000, spacing_mm=spacing_mm)
    painted = np.ones_like(regions)
    for part in found.parts:
        assert part.mask.sum() == part.voxels and (painted[part.box][part.mask] == 1).all()
        painted[part.box][part.mask] = part.region
        extent = [(axis.stop - axis.start) * edge for axis, edge in zip(part.box, spacing_mm, strict=True)]
        assert max(extent) <= 40
        assert part.voxels * np.prod(spacing_mm) / 1000 <= 5
    assert np.array_equal(painted, regions) and len(found.parts) > 1
    assert found.is_all and found.share(len(found.parts)) == pytest.approx(1)


def test_one_large_part_is_cut_until_each_place_can_be_looked_at() -> None:
    con_a, con_b = np.full((2, 60, 70, 80), SURE, np.uint16)
    con_a[5:55, 5:65, 5:75] = con_b[5:55, 5:65, 5:75] = UNSURE
    found = find(con_a, con_b, 60000)
    assert len(found.parts) == 50
    assert max(part.voxels for part in found.parts) <= 5000
    assert found.parts[0].voxels > 3000
    assert not found.is_all


def test_places_at_two_structures_are_kept_apart() -> None:
    con_a, con_b = np.full((2, 24, 24, 40), SURE, np.uint16)
    con_a[8:16, 8:16, 12:28] = con_b[8:16, 8:16, 12:28] = UNSURE
    labels = np.zeros(con_a.shape, np.uint8)
    labels[:, :, :20], labels[:, :, 20:] = 1, 2
    assert len(find(con_a, con_b, 60000).parts) == 1
    parts = find(con_a, con_b, 60000, images=(image_of(labels),)).parts
    assert {(part.box[2].start, part.box[2].stop) for part in parts} == {(12, 20), (20, 28)}


def test_places_between_two_structures_belong_to_the_nearer_one() -> None:
    con_a, con_b = np.full((2, 24, 24, 48), SURE, np.uint16)
    con_a[8:16, 8:16, 12:36] = con_b[8:16, 8:16, 12:36] = UNSURE
    labels = np.zeros(con_a.shape, np.uint8)
    labels[:, :, :12], labels[:, :, 36:] = 1, 2
    parts = find(con_a, con_b, 60000, images=(image_of(labels),)).parts
    assert {(part.box[2].start, part.box[2].stop) for part in parts} == {(12, 24), (24, 36)}


def test_the_list_is_not_endless_and_keeps_the_worst() -> None:
    from ALHVRLib.places.components import LONGEST

    con_a, con_b = np.full((2, 40, 40, 40), SURE, np.uint16)
    depth = np.linspace(1000, 50000, 125).astype(np.uint16).reshape(5, 5, 5)
    con_a[::8, ::8, ::8] = con_b[::8, ::8, ::8] = depth
    found = find(con_a, con_b, 60000)
    assert len(found.parts) == LONGEST and found.parts[0].worst == (0, 0, 0)
    doubts = [part.uncertainty for part in found.parts]
    assert doubts == sorted(doubts, reverse=True)
    assert doubts[-1] == pytest.approx(1 - np.sort(depth, axis=None)[LONGEST - 1] / 65535, rel=1e-3)


def test_how_much_of_the_doubt_the_first_places_hold_is_told() -> None:
    from ALHVRLib.places.components import Components
    from ALHVRSegmentationLib.regions.region_table import places_text

    con_a, con_b = two_blobs()
    found = find(con_a, con_b, 60000)
    assert found.share(1) == pytest.approx(found.parts[0].uncertainty / found.uncertainty)
    assert places_text(found) == "All places, worst first:"
    many = Components(tuple(found.parts[:1]) * 30, found.parts[0].uncertainty * 40, False)
    assert places_text(many) == "The 30 worst places, worst first. The first 20 hold 50 % of the doubt."
    assert places_text(Components((), 0.0, True)) == "Both networks are sure everywhere at this beta."


def test_where_all_are_sure_there_is_no_place_and_where_none_is_there_is_one() -> None:
    con = np.full((4, 5, 6), 30000, np.uint16)
    assert find(con, con, 30000).parts == ()
    assert [part.voxels for part in find(con, con, 30001).parts] == [120]


def test_the_teacher_is_averaged_where_neither_is_sure_only() -> None:
    con_a, con_b = two_blobs()
    teacher = np.zeros_like(con_a)
    teacher[15:17, 15:17, 15:17] = 65535
    parts = find(con_a, con_b, 60000, teacher=teacher).parts
    assert [part.teacher for part in parts] == [0.0, 1.0, None]


def test_a_search_that_is_not_wanted_any_more_ends() -> None:
    from ALHVRLib.places.cells import Stopped
    from ALHVRLib.places.components import Volume, find_components

    con_a, con_b = two_blobs()
    for more in range(4):
        answers = iter([False] * more)
        with pytest.raises(Stopped):
            find_components(Volume(con_a, con_b), 60000, stopped=lambda answers=answers: next(answers, True))


def test_a_large_scan_is_searched_within_seconds() -> None:
    con_a, con_b = confidences((20, 100, 100))
    con_a, con_b = (np.tile(con, (10, 4, 4)) for con in (con_a, con_b))  # 32 million voxels
    started = time.thread_time()
    found = find(con_a, con_b, 50000, spacing_mm=(1.0, 0.75, 0.75))
    assert time.thread_time() - started < 4
    assert len(found.parts) == 50


def test_only_the_newest_search_answers(slicer_app: Any) -> None:
    from one_section import wait_until

    from ALHVRSegmentationLib.regions.component_search import ComponentSearch
    from ALHVRSegmentationLib.regions.result import RegionResult

    world = make_result((30, 60, 60))
    result, answers = RegionResult(world.node), []
    search = ComponentSearch(lambda found, problem: answers.append((found, problem)))
    for beta in (0.9, 0.7, 0.01):
        search.start(result, beta)
    wait_until(lambda: answers)
    time.sleep(0.1)
    slicer_app.processEvents()
    (found, problem), = answers
    expected = find(world.con_a, world.con_b, result.level(0.01), spacing_mm=result.spacing_mm())
    assert problem == "" and [part.worst for part in found.parts] == [part.worst for part in expected.parts]


def test_a_stopped_search_never_answers_and_its_thread_ends(slicer_app: Any) -> None:
    from one_section import wait_until

    from ALHVRSegmentationLib.regions.component_search import ComponentSearch
    from ALHVRSegmentationLib.regions.result import RegionResult

    before = threading.active_count()
    answers = []
    search = ComponentSearch(lambda *answer: answers.append(answer))
    search.start(RegionResult(make_result((30, 60, 60)).node), 0.9)
    search.stop()
    wait_until(lambda: threading.active_count() == before)
    slicer_app.processEvents()
    assert answers == [] and not search.isRunning


def test_a_failing_search_tells_why(slicer_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from one_section import wait_until

    from ALHVRSegmentationLib.regions import component_search as module
    from ALHVRSegmentationLib.regions.result import RegionResult

    def fail(*_arguments: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(module, "find_components", fail)
    answers = []
    search = module.ComponentSearch(lambda *answer: answers.append(answer))
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
    from ALHVRLib.places.components import segments_at
    from ALHVRLib.scene.region_layers import SEGMENTATION
    from ALHVRSegmentationLib.regions.result import SCAN

    world = make_result(arrays=two_blobs())
    node, scan = (world.node.GetNodeReference(role) for role in (SEGMENTATION, SCAN))
    segment(node, scan, "beside", (slice(2, 8), slice(3, 9), slice(10, 12)))  # shares faces with the first part
    segment(node, scan, "inside", (slice(2, 8), slice(3, 9), slice(2, 8)))
    segment(node, scan, "elsewhere", (slice(0, 1), slice(20, 24), slice(0, 28)))
    if moved:
        turn = move_under(world, np.array([[0, -1.0, 0, 5], [1, 0, 0, 3], [0, 0, 1, -2], [0, 0, 0, 1]]))
        node.SetAndObserveTransformNodeID(None)
        node.ApplyTransformMatrix(turn_matrix(turn))
    parts = find(world.con_a, world.con_b, 60000).parts
    assert segments_at(node, world.node, [part.around for part in parts]) == [("inside", "beside"), (), ()]
    assert segments_at(None, world.node, [part.around for part in parts]) == [()] * 3


@pytest.mark.parametrize("moved", [False, True], ids=["same place", "segmentation elsewhere in the tree"])
def test_structures_are_found_on_any_grid(clean_slate: None, moved: bool) -> None:
    from ALHVRLib.places.segment_images import images_of, numbers_at
    from ALHVRLib.scene.region_layers import SEGMENTATION
    from ALHVRSegmentationLib.regions.result import SCAN
    from ALHVRSegmentationLib.regions.segment_editor import add_segment

    world = make_result(arrays=two_blobs())
    node, scan = (world.node.GetNodeReference(role) for role in (SEGMENTATION, SCAN))
    segment(node, scan, "one", (slice(2, 8), slice(3, 9), slice(10, 12)))
    segment(node, scan, "two", (slice(12, 14), slice(3, 9), slice(10, 12)))
    add_segment(node, world.node, np.ones((1, 1, 1), bool), (0, 0, 0), ("unsure", (1, 0, 0)))
    if moved:
        turn = move_under(world, np.array([[0, -1.0, 0, 5], [1, 0, 0, 3], [0, 0, 1, -2], [0, 0, 0, 1]]))
        node.SetAndObserveTransformNodeID(None)
        node.ApplyTransformMatrix(turn_matrix(turn))
    points = np.array([[10, 3, 2], [11, 8, 7], [10, 3, 12], [9, 3, 2], [0, 0, 0], [27, 23, 19]], float)
    assert numbers_at(images_of(node, world.node), points).tolist() == [1, 1, 2, 0, 0, 0]
    assert images_of(None, world.node) == ()


def turn_matrix(transform: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToParent(matrix)
    return matrix
