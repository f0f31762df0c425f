"""OpenScan: a scan of the archive in the Segment Editor, what was annotated in it, and its edits on the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from alhvr.formats.labels import folded
from alhvr.formats.region_tables import RELIABLE_STABLE
from ALHVRLib.child_events import finite
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.export_volume import own_ijk_to_ras
from ALHVRLib.scene.label_images import fingerprint
from ALHVRLib.scene.region_colours import add_region_colours
from ALHVRLib.scene.region_layers import SEGMENTATION, RegionLayers
from ALHVRLib.scene.segment_editor import edit_segmentation
from ALHVRLib.scene.segment_masks import hide_segmentations, mask_of, segment_ids
from ALHVRTrainerLib.cases.scene_pair import segment_names, write_label
from ALHVRTrainerLib.review.annotated import Annotated, Slice
from ALHVRTrainerLib.review.places import PlaceTour
from ALHVRTrainerLib.review.record import RankedScan, drop_edits, edit_files, keep_notes, read_notes
from ALHVRTrainerLib.training.preview_files import ARCHIVE, PreviewCase, PreviewData, read_preview

if TYPE_CHECKING:
    from alhvr.formats.project import Project

SETTLE_MS = 1500
"""From the last change of a segment to a look at what was changed, which takes a second for 50 million voxels."""
TICK_MS = 1000
LONGEST_TICK_S = 5.0
"""A computer that slept does not count as work."""
SAVE_S = 60.0
"""An edit is on the disk after this time at the latest."""
OPACITY = 0.35
PARALLEL = 0.99
"""Cosine of the angle between a view and an axis of the scan from which on it shows that axis's slices."""


class OpenScan:
    """A scan under review; holds its nodes by ID.

    Args:
        project: whose archive it is of.
        scan: what the ranking says.
        onNews: called when something was annotated, or the places were found.
        onProblem: called with a sentence where the edits cannot be kept.
    """

    def __init__(self, project: Project, scan: RankedScan, onNews: Callable[[], None],
                 onProblem: Callable[[str], None]) -> None:
        self.project, self.scan = project, scan
        self._onNews, self._onProblem = onNews, onProblem
        self.seconds = 0.0
        """Spent on it."""
        self.annotated: Annotated | None = None
        self.restored = False
        """Whether it goes on where it was left."""
        self._ids: dict[str, str] = {}
        self._data: PreviewData | None = None
        self._seen: dict[str, str] = {}
        """Fingerprint by segment ID."""
        self._tag: int | None = None
        self._layers = RegionLayers()
        self.places = PlaceTour(onNews)
        self._savedAt = self._tickedAt = time.monotonic()
        self._isDirty = False
        self._settle, self._clock = _timer(SETTLE_MS, self.takeEdits, once=True), _timer(TICK_MS, self._onTick)

    @property
    def volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The scan, or None when it left the scene."""
        return slicer.mrmlScene.GetNodeByID(self._ids.get("volume", ""))

    @property
    def segmentation(self) -> slicer.vtkMRMLSegmentationNode | None:
        """What is edited, or None when it left the scene."""
        return slicer.mrmlScene.GetNodeByID(self._ids.get("segmentation", ""))

    def open(self, names: Iterable[str]) -> None:
        """Load it with the model's draft, or with what was made of that before; raises SceneError, with nothing left.

        names: of structures that the project knows, each of which gets a segment.
        """
        allowed = (self.project.folder, *self.project.archive_folders)
        draft = PreviewCase(self.scan.case, ARCHIVE, self.scan.image, self.scan.segmentation, self.scan.regions)
        self._data = read_preview(draft, allowed)
        if self._data.image is None:
            raise SceneError(self._data.problem)
        if self._data.image.voxels.shape != self._data.segmentation.shape:
            raise SceneError(_("The draft of {case} is of another size than the scan: look for the next cases again.")
                             .format(case=self.scan.case))
        try:
            self._makeNodes(names)
        except (RuntimeError, SceneError) as error:
            self.close()
            text = _("{case} could not be opened: {why}")
            raise SceneError(text.format(case=self.scan.case, why=error)) from error
        self._begin()

    def showEditor(self) -> bool:
        """Bring up the Segment Editor with it; False where this Slicer shows none."""
        if self.volume is None or self.segmentation is None:
            return False
        is_open = edit_segmentation(self.segmentation, self.volume)
        slicer.util.setSliceViewerLayers(background=self.volume)
        self.showRegions(True)
        return is_open

    def showRegions(self, on: bool) -> None:
        """The model's regions over the scan, or not."""
        node = slicer.mrmlScene.GetNodeByID(self._ids.get("regions", ""))
        if node is None or not on:
            self._layers.hide()
        else:
            self._layers.show(node, OPACITY, again=True)

    def takeEdits(self) -> None:
        """See what was edited since the last look."""
        node, volume = self.segmentation, self.volume
        if node is None or volume is None:
            return
        self._settle.stop()
        changed = {}
        for segment_id in segment_ids(node):
            segment = node.GetSegmentation().GetSegment(segment_id)
            now = fingerprint(segment)
            if self._seen.get(segment_id) != now:
                self._seen[segment_id] = now
                changed[segment.GetName().strip()] = mask_of(node, segment_id, volume).voxels
        if changed and self.annotated.edited(changed, self.shownSlices()):
            self._isDirty = True
            self._onNews()

    def callRight(self, names: Iterable[str], whole: bool) -> bool:
        """Structures are right in the slice that is shown, or in the whole scan; False where no slice is shown."""
        self.takeEdits()
        names = [name for name in names if name in self.annotated.structures]
        if whole:
            self.annotated.callAllRight(names)
        else:
            shown = self.shownSlices()
            if not shown:
                return False
            self.annotated.callRight(names, [one for one in shown if one.axis == 0][:1] or shown[:1])
        self._isDirty = True
        self._onNews()
        return True

    def forget(self, names: Iterable[str]) -> None:
        """Nothing of these structures counts any more."""
        self.annotated.forget(name for name in names if name in self.annotated.structures)
        self._isDirty = True
        self._onNews()

    def masks(self) -> dict[str, np.ndarray]:
        """The segments now, bool [K, J, I] by name."""
        node, volume = self.segmentation, self.volume
        found = (mask_of(node, segment_id, volume) for segment_id in segment_ids(node))
        return {mask.segment.GetName().strip(): mask.voxels for mask in found}

    def drafts(self) -> dict[str, np.ndarray]:
        """The model's draft, in the same way."""
        return {name: self._data.segmentation == value for value, name in self._data.names.items()}

    def shownSlices(self) -> list[Slice]:
        """The slices of the scan that slice views show; views that look askew show none."""
        volume, found = self.volume, []
        if volume is None:
            return found
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            one = _slice_of(node, volume)
            if one is not None:
                found.append(one)
        return found

    def save(self) -> None:
        """Keep the edits on the disk, where there are any that are not there yet."""
        if not self._isDirty or self.segmentation is None or self.volume is None:
            return
        labels, notes = edit_files(self.project, self.scan.case)
        names, self._savedAt = segment_names(self.segmentation), time.monotonic()
        try:
            write_label(self.segmentation, self.volume, labels, {folded(n): v for v, n in enumerate(names, start=1)})
            keep_notes(notes, {"seconds": round(self.seconds, 1), "annotated": self.annotated.toNotes()})
        except (SceneError, OSError) as error:
            self._onProblem(_("The edits of {case} cannot be kept on the disk: {why}").format(
                case=self.scan.case, why=getattr(error, "strerror", None) or error))
            return
        self._isDirty = False

    def close(self, keep: bool = True) -> None:
        """Take it out of the scene; keep: its edits stay on the disk, to go on with another time."""
        if keep and self.annotated is not None:
            self.takeEdits()
            self.save()
        elif not keep:
            drop_edits(self.project, self.scan.case)
        self.drop()
        for node_id in self._ids.values():
            node = slicer.mrmlScene.GetNodeByID(node_id)
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)
        self._ids = {}

    def drop(self) -> None:
        """Look at it no more; its nodes stay."""
        self.places.stop()
        self._settle.stop()
        self._clock.stop()
        self._layers.hide()
        if self._tag is not None and self.segmentation is not None:
            self.segmentation.GetSegmentation().RemoveObserver(self._tag)
        self._tag = None

    def _makeNodes(self, names: Iterable[str]) -> None:
        image = self._data.image
        volume = slicer.util.addVolumeFromArray(image.voxels, image.ijk_to_ras, self.scan.case)
        self._ids["volume"] = volume.GetID()
        node = self._loadSegments()
        self._ids["segmentation"] = node.GetID()
        node.SetName(_("{case}, to be checked").format(case=self.scan.case))
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        _name_segments(node, self._data.names, names)
        self.annotated = Annotated(image.voxels.shape)
        self.annotated.begin(self.masks())
        self._seen = {one: fingerprint(node.GetSegmentation().GetSegment(one)) for one in segment_ids(node)}
        if self.restored:
            record = read_notes(edit_files(self.project, self.scan.case)[1])
            self.seconds = min(max(finite(record.get("seconds")) or 0.0, 0.0), 1e6)
            self.annotated.fromNotes(record.get("annotated"))
        if self._data.regions is not None and self._data.regions.shape == image.voxels.shape:
            self._makeRegions()

    def _loadSegments(self) -> slicer.vtkMRMLSegmentationNode:
        """What was made of the draft before, else the draft; raises RuntimeError."""
        edits, _notes = edit_files(self.project, self.scan.case)
        self.restored = edits.is_file()
        if self.restored:
            try:
                return slicer.util.loadSegmentation(str(edits))
            except RuntimeError:
                self.restored = False
                text = _("The edits of {case} in {file} cannot be read: it begins from the model's draft.")
                self._onProblem(text.format(case=self.scan.case, file=edits))
        return slicer.util.loadSegmentation(str(self.scan.segmentation))

    def _makeRegions(self) -> None:
        title = _("{case}, where the model is unsure").format(case=self.scan.case)
        node = slicer.util.addVolumeFromArray(self._data.regions, self._data.image.ijk_to_ras, title,
                                              "vtkMRMLLabelMapVolumeNode")
        self._ids["regions"] = node.GetID()
        colours = add_region_colours(_("{case}, region colours").format(case=self.scan.case), hidden=True)
        colours.SetOpacity(RELIABLE_STABLE, 0.0)  # nearly everywhere: it would hide the scan
        self._ids["colours"] = colours.GetID()
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
        node.SetNodeReferenceID(SEGMENTATION, self._ids["segmentation"])

    def _begin(self) -> None:
        segmentation = self.segmentation.GetSegmentation()
        self._tag = segmentation.AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, self._onModified)
        self._tickedAt = self._savedAt = time.monotonic()
        self._clock.start()
        hide_segmentations(but=(self.segmentation.GetID(),))
        slicer.util.setSliceViewerLayers(background=self.volume, fit=True, rotateToVolumePlane=True)
        if self._data.regions is not None:
            spacing = np.linalg.norm(self._data.image.ijk_to_ras[:3, :3], axis=0)[::-1]
            self.places.start(self._data.regions, tuple(map(float, spacing)), self._ids["volume"])

    def _onModified(self, *_arguments: Any) -> None:
        self._settle.start()

    def _onTick(self) -> None:
        now = time.monotonic()
        self.seconds += min(now - self._tickedAt, LONGEST_TICK_S)
        self._tickedAt = now
        if now - self._savedAt >= SAVE_S:
            self.save()


def _timer(interval_ms: int, call: Callable[[], None], once: bool = False) -> qt.QTimer:
    timer = qt.QTimer()
    timer.setInterval(interval_ms)
    timer.setSingleShot(once)
    timer.connect("timeout()", call)
    return timer


def _name_segments(node: slicer.vtkMRMLSegmentationNode, values: dict[int, str], names: Iterable[str]) -> None:
    """Names for segments that have none, and an empty segment for every structure that has no segment."""
    segmentation = node.GetSegmentation()
    for segment_id in segment_ids(node):
        segment = segmentation.GetSegment(segment_id)
        if segment.GetNameAutoGenerated() and segment.GetLabelValue() in values:
            segment.SetName(values[segment.GetLabelValue()])
    there = {folded(name) for name in segment_names(node)}
    for name in (*values.values(), *names):
        if folded(name) not in there:
            there.add(folded(name))
            segmentation.AddEmptySegment("", name)


def _slice_of(node: slicer.vtkMRMLSliceNode, volume: slicer.vtkMRMLVolumeNode) -> Slice | None:
    """The slice of a volume that a view shows; None where it looks askew or past it."""
    to_ras = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    ijk_to_ras = own_ijk_to_ras(volume)
    axes = ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    along = np.abs(axes.T @ to_ras[:3, 2])
    column = int(along.argmax())
    if along[column] < PARALLEL:
        return None
    index = round(float((np.linalg.inv(ijk_to_ras) @ to_ras[:, 3])[column]))
    size = volume.GetImageData().GetDimensions()[column]
    return Slice(2 - column, index) if 0 <= index < size else None
