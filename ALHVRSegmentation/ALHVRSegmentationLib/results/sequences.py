"""Sequences: results of all frames as a sequence of segmentations that goes along with the scan's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import slicer
from slicer.i18n import tr as _

from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.frames import browser_of, frame_at, frames, is_proxy, place_of, sequence_of, shown_value
from ALHVRLib.scene.subject_hierarchy import place_beside
from ALHVRSegmentationLib.results.import_segmentation import Filling, holds_others, problem_with, show_segments

if TYPE_CHECKING:
    from alhvr.formats.labels import Label

__all__ = ["frame_at", "frames", "is_proxy", "place_of", "shown_value", "write_segmentations"]


def write_segmentations(arrays: Iterable[np.ndarray], labels: Sequence[Label],
                        volumeNode: slicer.vtkMRMLVolumeNode, segmentationNode: slicer.vtkMRMLSegmentationNode,
                        algorithm_name: str) -> slicer.vtkMRMLSequenceNode:
    """Make a sequence of the results of all frames, synchronized with the scan's; all of it, or nothing.

    The segmentation becomes its proxy and shows the frame that the browser is at, which is not moved. What it holds
    of the user's is in every frame then; where it is the proxy of an earlier result, each frame keeps its own.

    Args:
        arrays: an iterable of label values [K, J, I], one for each frame in their order.
        volumeNode: the proxy of the scan's sequence.
        segmentationNode: a segmentation in the scene.

    Returns the sequence node. Raises SceneError, in one sentence, where that is not possible.
    """
    source = _source(volumeNode, segmentationNode)
    earlier = sequence_of(segmentationNode)
    bases = _bases(source, earlier, segmentationNode)
    alone = not any(holds_others(base.GetSegmentation(), labels) for base in bases)

    def fill(draft: slicer.vtkMRMLSegmentationNode, number: int, array: np.ndarray) -> tuple[str, ...]:
        draft.GetSegmentation().DeepCopy(bases[number].GetSegmentation())
        filling = Filling(array, labels, source.GetNthDataNode(number), algorithm_name)
        return filling.into(draft, alone, segmentationNode)

    results = _new_sequence(source, segmentationNode)
    try:
        ids = _fill(results, source, segmentationNode, arrays, fill)
        if earlier is not None:
            _replace_frames(earlier, results)
    except BaseException:
        slicer.mrmlScene.RemoveNode(results)
        raise
    if earlier is not None:
        slicer.mrmlScene.RemoveNode(results)
        results = earlier
    if alone:
        segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    _synchronize(browser_of(volumeNode), results, segmentationNode, volumeNode)
    show_segments(segmentationNode, ids)
    return results


def _source(volumeNode: slicer.vtkMRMLVolumeNode,
            segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLSequenceNode:
    """The scan's sequence; SceneError where results cannot be put beside it."""
    complaint = problem_with(segmentationNode)
    source = sequence_of(volumeNode)
    if source is None:
        complaint = _("The volume {name} is no frame of a sequence any more.").format(name=volumeNode.GetName())
    if complaint:
        raise SceneError(complaint)
    return source


def _new_sequence(source: slicer.vtkMRMLSequenceNode,
                  segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLSequenceNode:
    """An empty sequence whose index means what the scan's means."""
    name = _("{name} sequence").format(name=segmentationNode.GetName())
    results = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", slicer.mrmlScene.GenerateUniqueName(name))
    results.SetIndexName(source.GetIndexName())
    results.SetIndexUnit(source.GetIndexUnit())
    results.SetIndexType(source.GetIndexType())
    return results


def _bases(source: slicer.vtkMRMLSequenceNode, earlier: slicer.vtkMRMLSequenceNode | None,
           segmentationNode: slicer.vtkMRMLSegmentationNode) -> list[slicer.vtkMRMLSegmentationNode]:
    """What each frame holds so far."""
    values = [source.GetNthIndexValue(number) for number in range(source.GetNumberOfDataNodes())]
    known = [None if earlier is None else earlier.GetDataNodeAtValue(value) for value in values]
    return [segmentationNode if node is None else node for node in known]


def _fill(results: slicer.vtkMRMLSequenceNode, source: slicer.vtkMRMLSequenceNode,
          segmentationNode: slicer.vtkMRMLSegmentationNode, arrays: Iterable[np.ndarray],
          fill: Callable[..., tuple[str, ...]]) -> tuple[str, ...]:
    """Put the result of every frame into the new sequence; IDs of the segments."""
    expected = source.GetNumberOfDataNodes()
    ids, count = (), 0
    draft = _draft(segmentationNode)
    for array in arrays:
        if count < expected:
            ids = fill(draft, count, array)
            results.SetDataNodeAtValue(draft, source.GetNthIndexValue(count))
        count += 1
    if count != expected:
        text = _("There are {results} results for {frames} frames: the sequence changed meanwhile, segment it again.")
        raise SceneError(text.format(results=count, frames=expected))
    return ids


def _draft(segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLSegmentationNode:
    """A segmentation that is in no scene: nothing that follows the scene hears of what is done to it."""
    draft = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentationNode")
    draft.UnRegister(None)
    draft.SetName(segmentationNode.GetName())
    return draft


def _replace_frames(earlier: slicer.vtkMRMLSequenceNode | None, results: slicer.vtkMRMLSequenceNode) -> None:
    for number in range(results.GetNumberOfDataNodes()):
        earlier.SetDataNodeAtValue(results.GetNthDataNode(number), results.GetNthIndexValue(number))


def _synchronize(browser: slicer.vtkMRMLSequenceBrowserNode, results: slicer.vtkMRMLSequenceNode,
                 segmentationNode: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLVolumeNode) -> None:
    """Have the segmentation follow the browser together with the scan, and keep what is corrected in it."""
    if not browser.IsSynchronizedSequenceNode(results, True):
        browser.AddSynchronizedSequenceNode(results)
        browser.AddProxyNode(segmentationNode, results, False)
        browser.SetOverwriteProxyName(results, False)
        browser.SetSaveChanges(results, True)
    role = segmentationNode.GetReferenceImageGeometryReferenceRole()
    if segmentationNode.GetNodeReference(role) is None:
        segmentationNode.SetNodeReferenceID(role, volumeNode.GetID())
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    place_beside(segmentationNode, volumeNode)
