"""Frames: the volumes of a sequence as they are stored, whatever frame the browser shows."""

from __future__ import annotations

from collections.abc import Iterator

import slicer


def is_proxy(volumeNode: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether the volume shows one frame of a sequence."""
    return browser_of(volumeNode) is not None


def browser_of(volumeNode: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLSequenceBrowserNode | None:
    """The sequence browser that moves this volume through its frames, or None."""
    module = getattr(slicer.modules, "sequences", None)
    return None if module is None else module.logic().GetFirstBrowserNodeForProxyNode(volumeNode)


def sequence_of(volumeNode: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLSequenceNode | None:
    """The sequence whose frames this volume shows, or None."""
    browser = browser_of(volumeNode)
    return None if browser is None else browser.GetSequenceNode(volumeNode)


def frames(volumeNode: slicer.vtkMRMLVolumeNode) -> Iterator[slicer.vtkMRMLVolumeNode]:
    """The stored volume of each frame, in their order; the browser stays where it is. A lone volume is one frame."""
    sequence = sequence_of(volumeNode)
    if sequence is None:
        yield volumeNode
        return
    for number in range(sequence.GetNumberOfDataNodes()):
        yield sequence.GetNthDataNode(number)


def shown_value(volumeNode: slicer.vtkMRMLVolumeNode) -> str | None:
    """The index value of the frame that a proxy shows, to find the frame again later; None for a lone volume."""
    browser = browser_of(volumeNode)
    if browser is None:
        return None
    return browser.GetMasterSequenceNode().GetNthIndexValue(browser.GetSelectedItemNumber())


def frame_at(volumeNode: slicer.vtkMRMLVolumeNode, value: str | None) -> slicer.vtkMRMLVolumeNode | None:
    """The stored volume of the frame with this index value, None where it is gone; a lone volume for None."""
    if value is None:
        return volumeNode
    sequence = sequence_of(volumeNode)
    return None if sequence is None else sequence.GetDataNodeAtValue(value)


def place_of(volumeNode: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLVolumeNode:
    """The node of the scene under whose transform and in whose study a volume stands: for a frame, its proxy."""
    scene = volumeNode.GetScene()
    module = getattr(slicer.modules, "sequences", None)
    if scene is None or scene is slicer.mrmlScene or module is None:
        return volumeNode
    for sequence in slicer.util.getNodesByClass("vtkMRMLSequenceNode"):
        if sequence.GetSequenceScene() is scene:
            browser = module.logic().GetFirstBrowserNodeForSequenceNode(sequence)
            proxy = None if browser is None else browser.GetProxyNode(sequence)
            return proxy or volumeNode
    return volumeNode
