"""CasesSection: labelled cases and the archive; the first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.section import Section
from ALHVRLib.widgets import BusyBar, DropFilter
from ALHVRTrainerLib.cases import case_store
from ALHVRTrainerLib.cases.adding import FolderAdding, SceneAdding, choose_files
from ALHVRTrainerLib.cases.archive_view import ArchiveView
from ALHVRTrainerLib.cases.case_table import NOT_ANNOTATED, CaseRow
from ALHVRTrainerLib.cases.editing import Editing
from ALHVRTrainerLib.cases.names_view import NamesView
from ALHVRTrainerLib.cases.table_view import TableView

if TYPE_CHECKING:
    from ALHVRTrainerLib.trainer_panel import TrainerPanel

ENOUGH = 3
"""Labelled cases with which training is worth while even without an archive."""


class CasesSection(Section):
    """What is learnt from."""

    UI = "ALHVRTrainerCases.ui"
    TITLE = _("Cases")

    def __init__(self, panel: TrainerPanel) -> None:
        super().__init__(panel)
        ui, session = self.ui, panel.logic.session
        self._session = session
        self._busy = BusyBar(ui, [ui.folderButton, ui.filesButton])
        self._scene = SceneAdding(session)
        self._folders = FolderAdding(session, ui, self._busy, self._onAdded)
        self._archive = ArchiveView(session, ui, panel.say, self.widget)
        self._names = NamesView(session, ui, panel.say)
        self.editing = Editing(session, ui, panel.say)
        self._table = TableView(ui.caseTable, onTick=self.onTick, onHeldOut=self.onHeldOut,
                                onAnnotator=self._onAnnotator)
        self._drops = DropFilter(self._onDropped)

    def setUp(self) -> None:
        """Connect the widgets."""
        ui = self.ui
        self._busy.setUp()
        for part in (self._folders, self._archive, self._names, self.editing):
            part.setUp()
        ui.sceneButton.connect("toggled(bool)", ui.sceneFrame.setVisible)
        ui.sceneFrame.hide()
        for button, slot in ((ui.folderButton, self.onFolder), (ui.filesButton, self.onFiles),
                             (ui.dicomButton, self.onDicom), (ui.addPairButton, self.onAddPair),
                             (ui.openButton, self.onOpen), (ui.editButton, self.onEdit),
                             (ui.leaveOutButton, self.onLeaveOut), (ui.tickButton, self._table.tickCurrent)):
            button.connect("clicked()", slot)
        ui.caseTable.connect("currentCellChanged(int,int,int,int)", self._showRowButtons)
        self.widget.setAcceptDrops(True)
        self.widget.installEventFilter(self._drops)
        self._session.onOpened.append(self._onOtherProject)

    def refresh(self) -> None:
        """Show what the project holds."""
        session, ui = self._session, self.ui
        if session.project is None:
            return
        table, canWrite = session.table(), not session.isReadOnly
        self._table.show(table, canWrite)
        ui.hintLabel.text = table.problem or hint(len(table.rows), bool(session.project.archive))
        ui.hintLabel.setVisible(bool(ui.hintLabel.text))
        ui.caseTable.setVisible(bool(table.rows))
        ui.rowFrame.setVisible(bool(table.rows))
        ui.addFrame.setVisible(canWrite)
        ui.sceneFrame.setVisible(canWrite and ui.sceneButton.checked)
        self._archive.refresh()
        self._names.refresh()
        self._showRowButtons()

    def dropScene(self) -> None:
        """The nodes go; a label that was being edited stays as its file has it."""
        if self.editing.caseName:
            self.panel.say(_("The scene was closed: the label of {case} is as its file has it.").format(
                case=self.editing.caseName), "warning")
        self.editing.forget()

    def cleanUp(self) -> None:
        """End what runs."""
        self._busy.discard()
        self._folders.discard()

    def openCase(self, name: str) -> None:
        """Show a case in the views and in the table."""
        row = self._row(name)
        if row is not None and self.editing.open(row):
            self.panel.say("")

    def onAddPair(self, *_arguments: object) -> None:
        """Make a case of the chosen nodes."""
        parameters = self.panel.parameters
        try:
            told = self._scene.add(parameters.caseVolume, parameters.caseSegmentation)
        except (SceneError, UserError, OSError) as error:
            self.panel.say(str(error), "error")
            return
        self._onAdded(told, "note")

    def onFolder(self, *_arguments: object) -> None:
        """Add the cases of a folder."""
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder with scans and labels"))
        if folder:
            self._folders.look([folder])

    def onFiles(self, *_arguments: object) -> None:
        """Add the cases among files."""
        files = choose_files(self.widget)
        if files:
            self._folders.look(files)

    def onDicom(self, *_arguments: object) -> None:
        """Show the module DICOM, which loads a study with its segmentation into the scene."""
        self.ui.sceneButton.checked = True
        if slicer.util.mainWindow() is not None and hasattr(slicer.modules, "dicom"):
            slicer.util.selectModule("DICOM")
        self.panel.say(_("Load the scan and its segmentation with the module DICOM, then come back and press Add this "
                         "case."))

    def onTick(self, row: CaseRow, name: str) -> None:
        """Declare a structure as not annotated in a case, or take that back."""
        declared = [one for one, state in row.structures.items() if state == NOT_ANNOTATED]
        if name in declared:
            declared.remove(name)
        else:
            declared.append(name)
        self._write(lambda: case_store.change_case(self._session.folder, row.name, not_annotated=declared))

    def onHeldOut(self, row: CaseRow) -> None:
        """Hold a case out for scoring, or learn from it; with all scans of its patient."""
        names = case_store.same_patient(self._session.caseTable(), row.name)
        self._write(lambda: case_store.change_cases(
            self._session.folder, {name: {"held_out": not row.heldOut} for name in names}))
        if len(names) > 1:
            self.panel.say(_("Scans of one patient stay on one side: {names}.").format(names=", ".join(names)))

    def _onAnnotator(self, row: CaseRow, name: str) -> None:
        """Write who drew a label."""
        self._write(lambda: case_store.change_case(self._session.folder, row.name, annotator=name))

    def onLeaveOut(self, *_arguments: object) -> None:
        """Use the chosen case no more, or again."""
        row = self._table.current
        if row is not None:
            self.leaveOut(row.name, not row.leftOut)

    def leaveOut(self, name: str, leftOut: bool) -> None:
        """Use a case no more, or again."""
        self._write(lambda: case_store.change_case(self._session.folder, name, left_out=leftOut))

    def onOpen(self, *_arguments: object) -> None:
        """Show the chosen case in the views."""
        row = self._table.current
        if row is not None:
            self.openCase(row.name)

    def onEdit(self, *_arguments: object) -> None:
        """Edit the label of the chosen case."""
        row = self._table.current
        if row is not None:
            self.editing.edit(row)

    def _row(self, name: str) -> CaseRow | None:
        return next((row for row in self._session.caseTable() if row.name == name), None)

    def _write(self, change: Callable[[], None]) -> None:
        """Change the files of the project, or say why not."""
        if self._session.isReadOnly:
            self.panel.say(self._session.holderText(), "warning")
            return
        try:
            change()
        except (UserError, OSError) as error:
            self.panel.say(str(error), "error")
        self._session.changed()

    def _showRowButtons(self, *_arguments: object) -> None:
        row, canWrite = self._table.current, not self._session.isReadOnly
        self.ui.openButton.enabled = row is not None
        for button in (self.ui.editButton, self.ui.leaveOutButton, self.ui.tickButton):
            button.enabled = row is not None and canWrite
        self.ui.leaveOutButton.text = _("Use again") if row is not None and row.leftOut else _("Leave out")

    def _onAdded(self, told: str, kind: str) -> None:
        self.panel.say(told, kind)
        self._session.changed()

    def _onDropped(self, paths: list[str]) -> None:
        if self._session.project is not None and not self._session.isReadOnly:
            self._folders.look(paths)

    def _onOtherProject(self) -> None:
        self.editing.forget()
        self._folders.onDrop()
        self._busy.discard()


def hint(n_cases: int, has_archive: bool) -> str:
    """What is needed next, in words; "" when nothing is."""
    if n_cases == 0:
        return _("3 or more labelled scans are needed; 1 works, with the archive.")
    if n_cases < ENOUGH and not has_archive:
        return _("{n} labelled: add more, or an archive of scans without labels.").format(n=n_cases)
    return ""
