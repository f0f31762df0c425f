"""SampleSection: what a newcomer can do, on top of the panel for as long as the scene has no scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer

from ALHVRLib.section import Section
from ALHVRSegmentationLib.models.section import ModelsSection

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel

SCAN, LABEL_MAP = "vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode"


class SampleSection(Section):
    """The button of the sample with its progress. The section Models does the work, and has a button for it later."""

    UI = "ALHVRSample.ui"

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._tags = []

    def setUp(self) -> None:
        """Connect the button, and follow scans that come and go."""
        models = self.panel.section(ModelsSection)
        models.showWorkAlsoIn(self.ui, self.ui.sampleButton)
        self.ui.sampleButton.connect("clicked()", models.onSample)
        scene = slicer.mrmlScene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent)
        self._tags = [scene.AddObserver(event, self.onNodes) for event in events]
        self.refresh()

    def refresh(self) -> None:
        """Be there while nothing is loaded, and until the sample is made."""
        models = self.panel.section(ModelsSection)
        wanted = models.isMakingSample or not any(map(_is_scan, slicer.util.getNodesByClass(SCAN)))
        self.frame.setVisible(wanted)
        models.offerSample(not wanted)

    def onNodes(self, *_arguments: object) -> None:
        """A node came or went; at the end of a scene that is loaded or closed the panel refreshes all."""
        scene = slicer.mrmlScene
        if self.panel.parameters is not None and not (scene.IsImporting() or scene.IsClosing()):
            self.refresh()

    def cleanUp(self) -> None:
        """Look at nothing any more."""
        for tag in self._tags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._tags = []


def _is_scan(node: slicer.vtkMRMLNode) -> bool:
    return not node.IsA(LABEL_MAP) and not node.GetHideFromEditors()
