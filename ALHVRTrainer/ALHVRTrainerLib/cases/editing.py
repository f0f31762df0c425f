"""Editing: a case in the views, its label in the Segment Editor, and back into the project when the user says Done."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.formats.labels import folded
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.segment_editor import edit_segmentation
from ALHVRTrainerLib.cases import case_store, scene_pair
from ALHVRTrainerLib.cases.case_table import CaseRow, read_named

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession


class Editing:
    """At most one case is edited; its nodes are held by ID.

    Args:
        session: the open project.
        ui: has editFrame, editLabel, doneButton and discardButton.
        tell: called with a sentence and its kind.
    """

    def __init__(self, session: ProjectSession, ui: Any, tell: Callable[[str, str], None]) -> None:
        self._session, self._ui, self._tell = session, ui, tell
        self.caseName = ""
        """The case that is edited; "" for none."""
        self._volumeId = self._labelId = ""

    def setUp(self) -> None:
        """Connect the buttons."""
        self._ui.doneButton.connect("clicked()", self.onDone)
        self._ui.discardButton.connect("clicked()", self.onDiscard)
        self.refresh()

    def refresh(self) -> None:
        """Show what is edited."""
        self._ui.editFrame.setVisible(bool(self.caseName))
        self._ui.editLabel.text = _("{case} is being edited: draw in the Segment Editor, then press Done here.").format(
            case=self.caseName)

    def open(self, row: CaseRow) -> bool:
        """Load a case into the views; says why where it cannot."""
        try:
            self._load(row)
        except SceneError as error:
            self._tell(str(error), "error")
            return False
        return True

    def edit(self, row: CaseRow) -> None:
        """Open the label of a case in the Segment Editor."""
        if self.caseName and self.caseName != row.name:
            self._tell(_("Press Done or Discard for {case} first.").format(case=self.caseName), "warning")
            return
        try:
            volume, label = self._load(row)
        except SceneError as error:
            self._tell(str(error), "error")
            return
        self.caseName, self._volumeId, self._labelId = row.name, volume.GetID(), label.GetID()
        self.refresh()
        if not edit_segmentation(label, volume):
            self._tell(_("Open the module Segment Editor, then come back and press Done."), "note")

    def onDone(self, *_arguments: object) -> None:
        """Write the label as it is now."""
        row = next((row for row in self._session.caseTable() if row.name == self.caseName), None)
        scene = slicer.mrmlScene
        volume, label = scene.GetNodeByID(self._volumeId), scene.GetNodeByID(self._labelId)
        if row is None or volume is None or label is None:
            self._tell(_("The nodes of {case} are gone; its file is as it was.").format(case=self.caseName), "warning")
            self.forget()
            return
        folder = self._session.folder
        try:
            fault = scene_pair.check_pair(volume, label)
            if fault:
                raise SceneError(fault)
            known = {folded(name) for name in self._session.table().names}
            values = case_store.add_names(folder, scene_pair.segment_names(label))
            written = scene_pair.save_edited(row, folder, label, volume, values)
            case_store.change_case(folder, row.name, annotated_on=datetime.date.today().isoformat())
            told = case_store.settle_edited(folder, row.name, written.names, known)
        except (SceneError, UserError, OSError) as error:
            self._tell(str(error), "error")
            return
        label.SetAttribute(scene_pair.CASE_ATTRIBUTE, str(row.label.with_name(f"{row.name}{scene_pair.LABEL_ENDING}")))
        text = _("The label of {case} is saved; what it was first lies in {folder}.")
        self._tell(" ".join((text.format(case=row.name, folder=scene_pair.BACKUPS), *told)), "note")
        self.forget()
        self._session.changed()

    def onDiscard(self, *_arguments: object) -> None:
        """Forget the changes: the file stays, and the node goes."""
        label = slicer.mrmlScene.GetNodeByID(self._labelId) if self._labelId else None
        if label is not None:
            slicer.mrmlScene.RemoveNode(label)
        self._tell(_("The label of {case} is as it was.").format(case=self.caseName), "note")
        self.forget()

    def forget(self) -> None:
        """Nothing is edited any more."""
        self.caseName = self._volumeId = self._labelId = ""
        self.refresh()

    def _load(self, row: CaseRow) -> tuple[Any, Any]:
        try:
            names = read_named(self._session.folder / "cases")
        except (UserError, OSError):
            names = {}
        return scene_pair.load_case(row, names)
