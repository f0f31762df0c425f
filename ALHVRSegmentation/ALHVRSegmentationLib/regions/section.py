"""RegionsSection: shows where the model is unsure, lets beta be moved live, and leads from place to place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.formats.region_tables import step_of
from ALHVRLib.scene.region_layers import RegionLayers, colour_regions
from ALHVRLib.section import Section
from ALHVRSegmentationLib.regions.live_update import BetaController
from ALHVRSegmentationLib.regions.region_list import RegionList
from ALHVRSegmentationLib.regions.region_table import colour_icon, result_text, volume_text
from ALHVRSegmentationLib.regions.result import SCAN, TABLE, RegionResult

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel
    from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode

ROWS = ((3, "unreliableStable"), (2, "reliableUnstable"), (1, "reliableStable"))
"""Region and the beginning of its widgets' names."""


class RegionsSection(Section):
    """The part of the panel about the high-value regions; everything it shows hangs on the node parameters.regions."""

    UI = "ALHVRRegions.ui"
    TITLE = _("Where the model is unsure")

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._result = None
        self._inputId = None
        self._isEntering = False
        """From entering the panel to the first refresh."""
        self._tags = []
        self._layers = RegionLayers()
        self._mover = BetaController(self.onSettled, self.onLost)
        self._explorer = RegionList(self)

    def setUp(self) -> None:
        """Connect the widgets, and follow what leaves the scene."""
        for region, name in ROWS:
            getattr(self.ui, f"{name}Box").setIcon(colour_icon(region))
        self.ui.betaSlider.connect("valueIsChanging(double)", self.onBetaIsChanging)
        self._explorer.setUp()
        scene = slicer.mrmlScene
        self._tags = [
            scene.AddObserver(scene.NodeRemovedEvent, self.onNodeRemoved),
            scene.AddObserver(scene.StartSaveEvent, self.onStartSave),
        ]
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().connect("layoutChanged(int)", self.onLayoutChanged)

    def follow(self, parameters: ALHVRSegmentationParameterNode | None) -> None:
        """When the panel is left, no voxel stays behind the slider."""
        self._isEntering = parameters is not None
        if parameters is None:
            self._mover.finish()
            self._explorer.pause()

    def refresh(self) -> None:
        """Show the regions of the chosen result, or why there are none."""
        parameters = self.panel.parameters
        if parameters is None:
            return
        self._followInput(parameters)
        reason = self._takeResult(parameters)
        self.ui.reasonLabel.text = reason
        self.ui.reasonLabel.setVisible(bool(reason))
        self.ui.showBox.setVisible(not reason)
        shown = not reason and parameters.showRegions
        self.ui.detailsBox.setVisible(shown)
        if not shown:
            self._layers.hide()
            self._explorer.stop()
            return
        node = self._result.node()
        colour_regions(node, {region: getattr(parameters, f"show{name[0].upper()}{name[1:]}") for region, name in ROWS})
        self._layers.show(node, parameters.regionOpacity, again=self._isEntering)
        self._isEntering = False
        self._mover.follow(self._result, parameters.beta)
        self._showNumbers(parameters.beta)
        self.ui.resultLabel.text = result_text(self._result.table)
        self.ui.resultLabel.setVisible(bool(self.ui.resultLabel.text))
        if not self._mover.isBehind:
            self._explorer.explore(self._result)

    def dropScene(self) -> None:
        """The scene is about to be closed: forget everything in it."""
        self._mover.drop()
        self._explorer.stop()
        self._layers.forget()
        self._result = self._inputId = None

    def cleanUp(self) -> None:
        """Stop what runs and look at nothing any more."""
        self._mover.finish()
        self._explorer.stop()
        for tag in self._tags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._tags = []
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().disconnect("layoutChanged(int)", self.onLayoutChanged)

    @property
    def result(self) -> RegionResult | None:
        """The RegionResult that is shown, or None."""
        return self._result

    def finishMove(self) -> None:
        """Let all voxels be at the beta of the slider now."""
        self._mover.finish()

    def onBetaIsChanging(self, beta: float) -> None:
        """The slider is being moved."""
        if self._result is not None and self.panel.parameters is not None:
            self._explorer.stop()
            if self._mover.move(self._result, beta):
                self._showNumbers(beta)

    def onSettled(self) -> None:
        """All voxels are at the beta of the slider: its places can be searched."""
        if self._result is not None and self.panel.parameters is not None and self.panel.parameters.showRegions:
            self._explorer.explore(self._result)

    def onLost(self) -> None:
        """A part of the result left the scene while the slider moved."""
        self.refresh()

    def onNodeRemoved(self, *_arguments: object) -> None:
        """Something left the scene, perhaps a part of the result."""
        if self._result is not None and self._result.arrays() is None:
            self._mover.drop()
            self.refresh()

    def onStartSave(self, *_arguments: object) -> None:
        """The scene is saved with every voxel at the same beta."""
        self._mover.finish()

    def onLayoutChanged(self, *_arguments: object) -> None:
        """New slice views show the regions too."""
        if self._layers.shown_id and self.panel.parameters is not None:
            self.refresh()

    def _followInput(self, parameters: ALHVRSegmentationParameterNode) -> None:
        """When another scan is chosen in the panel, its regions become the ones that are shown."""
        scan_id = parameters.inputVolume.GetID() if parameters.inputVolume is not None else ""
        known, self._inputId = self._inputId, scan_id
        if known is not None and scan_id and scan_id != known:
            shown = parameters.regions
            if shown is None or shown.GetNodeReferenceID(SCAN) != scan_id:
                parameters.regions = _regions_of(scan_id)

    def _takeResult(self, parameters: ALHVRSegmentationParameterNode) -> str:
        """Make self._result that of the chosen node; "" or a sentence on why there is none."""
        node = parameters.regions
        if node is None:
            self._forgetResult()
            return _("Nothing to show yet: segment a scan with “Also find where the model is unsure” ticked.")
        if self._result is None or not self._result.is_of(node):
            self._forgetResult()
            try:
                self._result = RegionResult(node)
            except UserError as error:
                return str(error)
            self._mover.check(self._result)
            parameters.beta = self._result.beta()
        if self._result is None or self._result.arrays() is None:
            self._mover.drop()
            self._forgetResult()
            return _("The confidence maps of this result are not in the scene. Segment the scan again.")
        return ""

    def _forgetResult(self) -> None:
        self._result = None
        self._explorer.stop()
        self._mover.finish()

    def _showNumbers(self, beta: float) -> None:
        """gamma and the volume of each region at a beta."""
        self.ui.gammaLabel.text = f"{self._result.table.gamma[step_of(beta)]:.4f}"
        volumes = self._result.volumes_ml(beta) or (None, None, None)
        for region, name in ROWS:
            getattr(self.ui, f"{name}Volume").text = volume_text(volumes[region - 1])


def _regions_of(scan_id: str) -> slicer.vtkMRMLLabelMapVolumeNode | None:
    """The newest region label map of a scan, or None."""
    nodes = slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeNode")
    found = [node for node in nodes if node.GetAttribute(TABLE) and node.GetNodeReferenceID(SCAN) == scan_id]
    return found[-1] if found else None
