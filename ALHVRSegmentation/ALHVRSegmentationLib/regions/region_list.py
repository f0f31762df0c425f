"""RegionList: the list of uncertain places of a result: searching, going there, sending to the Segment Editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from slicer.i18n import tr as _

from alhvr.formats.region_tables import UNRELIABLE_STABLE, step_of, write_regions
from ALHVRLib.places.components import Component, Components, segments_at
from ALHVRLib.scene.label_images import bounding_box
from ALHVRLib.scene.navigation import jump_to, world_of
from ALHVRLib.scene.region_colours import REGION_COLOURS
from ALHVRLib.scene.region_layers import SEGMENTATION
from ALHVRSegmentationLib.regions.component_search import ComponentSearch
from ALHVRSegmentationLib.regions.region_table import ComponentTable, places_text
from ALHVRSegmentationLib.regions.result import SCAN, RegionResult
from ALHVRSegmentationLib.regions.segment_editor import add_segment, edit

if TYPE_CHECKING:
    from ALHVRSegmentationLib.regions.section import RegionsSection


class RegionList:
    """The lower half of the section."""

    def __init__(self, section: RegionsSection) -> None:
        self._section = section
        self._ui = section.ui
        self._listed = None
        self._table = ComponentTable(self._ui.placesTable, self.onChosen)
        self._search = ComponentSearch(self.onFound)

    def setUp(self) -> None:
        """Connect the widgets."""
        self._ui.previousButton.connect("clicked()", self.onPrevious)
        self._ui.nextButton.connect("clicked()", self.onNext)
        self._ui.sendBox.connect("currentIndexChanged(int)", self.onSendBox)
        self._ui.segmentButton.connect("clicked()", self.onSegment)
        self._ui.maskButton.connect("clicked()", self.onMask)
        self._refreshButtons()

    def explore(self, result: RegionResult) -> None:
        """List the places of a result as its voxels are now, unless that is done or under way."""
        wanted = (result, step_of(result.beta()))
        if self._listed != wanted:
            self.stop()
            self._listed = wanted
            self._ui.placesLabel.text = _("Searching the places…")
            self._search.start(result, result.beta())

    def pause(self) -> None:
        """Search no more, but keep a list that is there."""
        if self._search.isRunning:
            self.stop()

    def stop(self) -> None:
        """List nothing."""
        self._search.stop()
        self._listed = None
        if not self._table.isEmpty:
            self._table.clear()
            self._refreshButtons()

    def onFound(self, found: Components | None, problem: str) -> None:
        """The search ended; found is None when it failed."""
        result = self._listed[0]
        node = result.node()
        if found is None or node is None:
            self._ui.placesLabel.text = _("The places could not be searched: {problem}").format(problem=problem)
            return
        touched = segments_at(result.other(SEGMENTATION), node, [part.around for part in found.parts])
        self._table.fill(found.parts, touched, result.voxel_ml(), result.teacher() is not None)
        self._ui.placesLabel.text = places_text(found)
        self._refreshButtons()

    def onChosen(self, part: Component) -> None:
        """A row of the list was chosen: all views go there."""
        self._refreshButtons()
        node = self._listed[0].node() if self._listed is not None else None
        if node is not None:
            jump_to(world_of(node, part.worst))

    def onPrevious(self, *_arguments: object) -> None:
        """One place up."""
        self._table.step(-1)

    def onNext(self, *_arguments: object) -> None:
        """One place down."""
        self._table.step(1)

    def onSendBox(self, *_arguments: object) -> None:
        """What is to be sent changed."""
        self._refreshButtons()

    def onSegment(self, *_arguments: object) -> None:
        """Make the voxels a segment and edit it."""
        self._send(False)

    def onMask(self, *_arguments: object) -> None:
        """Let the Segment Editor change only these voxels."""
        self._send(True)

    def _send(self, as_mask: bool) -> None:
        panel = self._section.panel
        self._section.finishMove()
        result = self._section.result
        segmentation = result.other(SEGMENTATION) if result is not None else None
        if segmentation is None:
            panel.say(_("The segmentation of this result is no longer in the scene."), "warning")
            return
        try:
            found = self._voxels(result)
            if found is None:
                panel.say(_("There are no such voxels at this beta."), "warning")
                return
            mask, corner, name, region = found
            segment_id = add_segment(segmentation, result.node(), mask, corner, (name, REGION_COLOURS[region]))
        except (RuntimeError, MemoryError) as error:
            panel.say(_("No segment could be made: {problem}").format(problem=error), "error")
            return
        if not edit(segmentation, result.other(SCAN), segment_id, as_mask):
            name = segmentation.GetSegmentation().GetSegment(segment_id).GetName()
            panel.say(_("The segment {name} is made; open the Segment Editor to work with it.").format(name=name))

    def _voxels(self, result: RegionResult) -> tuple[np.ndarray, tuple[int, ...], str, int] | None:
        """(mask, its corner [K, J, I], name, region) of what is chosen to be sent, or None."""
        arrays, level = result.arrays(), result.level(result.beta())
        if self._ui.sendBox.currentIndex == 0:
            part = self._table.chosen()
            if arrays is None or part is None:
                return None
            mask, box, region = part.mask, part.box, part.region
            name = _("Unsure place")
        else:
            if arrays is None:
                return None
            regions = np.empty(arrays.con_a.shape, np.uint8)
            write_regions(regions, arrays.con_a, arrays.con_b, level)
            box, region = bounding_box(regions == UNRELIABLE_STABLE), UNRELIABLE_STABLE
            mask = None if box is None else regions[box] == region
            name = _("Neither network sure")
        if mask is None or not mask.any():
            return None
        return mask, tuple(axis.start for axis in box), name, region

    def _refreshButtons(self) -> None:
        """What has nothing to work on cannot be pressed."""
        has_rows = not self._table.isEmpty
        self._ui.previousButton.setEnabled(has_rows)
        self._ui.nextButton.setEnabled(has_rows)
        can_send = self._ui.sendBox.currentIndex == 1 or self._table.chosen() is not None
        self._ui.segmentButton.setEnabled(can_send)
        self._ui.maskButton.setEnabled(can_send)
