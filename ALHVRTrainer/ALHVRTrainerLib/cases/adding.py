"""Adding labelled cases: from the scene under neutral names, or from folders and files through the engine."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.core.files import write_json
from alhvr.formats.labels import folded
from ALHVRLib import paths
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.widgets import BusyBar
from ALHVRTrainerLib.cases import case_store, scene_pair
from ALHVRTrainerLib.cases.case_table import CASE_FILE, by_stem, header_names, read_record
from ALHVRTrainerLib.engine_job import EngineJob, JobEnd

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession

FILES = "*.nrrd *.nhdr *.nii *.nii.gz *.mha *.mhd"


class SceneAdding:
    """Makes a case of a scan and a segmentation of the scene."""

    def __init__(self, session: ProjectSession) -> None:
        self._session = session

    def add(self, volume: slicer.vtkMRMLVolumeNode, segmentation: slicer.vtkMRMLSegmentationNode) -> str:
        """Write both into the project; returns what was done, as sentences. Raises SceneError, UserError, OSError."""
        folder = self._session.folder
        fault = scene_pair.check_pair(volume, segmentation)
        channels = read_record(folder / "cases" / CASE_FILE).get("channels")
        if isinstance(channels, list) and len(channels) > 1:
            fault = _("The cases of this project have {n} channels each: add them from a folder.").format(
                n=len(channels))
        if fault:
            raise SceneError(fault)
        name = case_store.next_name(folder)
        image = folder / "cases" / "images" / f"{name}{scene_pair.IMAGE_ENDING}"
        label = folder / "cases" / "labels" / f"{name}{scene_pair.LABEL_ENDING}"
        names = scene_pair.segment_names(segmentation)
        known = {folded(one) for one in self._session.table().names}
        values = case_store.add_names(folder, names)
        try:
            scene_pair.write_scan(volume, image)
            written = scene_pair.write_label(segmentation, volume, label, values)
        except SceneError:
            image.unlink(missing_ok=True)
            label.unlink(missing_ok=True)
            raise
        case_store.change_case(folder, name, patient=_patient_of(volume),
                               annotated_on=datetime.date.today().isoformat())
        told = case_store.settle_new_cases(folder, {name: written.names}, known)
        text = _("{volume} and {segmentation} are {name} now; nothing of the patient is in its files' names.")
        told = (text.format(volume=volume.GetName(), segmentation=segmentation.GetName(), name=name), *told)
        if written.overlapping:
            told += (_("{n} voxels belonged to several segments and went to the last of them.").format(
                n=written.overlapping),)
        return " ".join(told)


class FolderAdding:
    """Looks through a folder or files, asks where a pair is not sure, and lets the engine copy the cases.

    Args:
        session: the open project.
        ui: has pairsFrame, pairsLabel, pairsTable, addPairsButton and dropPairsButton.
        busy: shows the work.
        onAdded: called with sentences and their kind when it is over.
    """

    def __init__(self, session: ProjectSession, ui: Any, busy: BusyBar, onAdded: Callable[[str, str], None]) -> None:
        self._session, self._ui, self._busy, self._onAdded = session, ui, busy, onAdded
        self._inputs: list[str] = []
        self._pairs: list[dict[str, Any]] = []
        self._before: set[str] = set()
        self._known: set[str] = set()
        self._folder: Path | None = None

    def setUp(self) -> None:
        """Connect the buttons of the question."""
        ui = self._ui
        ui.addPairsButton.connect("clicked()", self.onAddTicked)
        ui.dropPairsButton.connect("clicked()", self.onDrop)
        ui.pairsTable.setColumnCount(3)
        ui.pairsTable.setHorizontalHeaderLabels([_("Scan"), _("Label"), _("Why")])
        ui.pairsTable.verticalHeader().hide()
        for column in range(3):
            ui.pairsTable.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        self.onDrop()

    def look(self, inputs: Sequence[str]) -> None:
        """See what can be added of a folder or files; adds it at once where all is sure."""
        if self._busy.work is not None:
            return
        self.onDrop()
        self._inputs = list(inputs)
        self._busy.begin(self._job(["--look"], _("Looking for cases"), self._onLooked))

    def onAddTicked(self, *_arguments: object) -> None:
        """Add the pairs that are ticked."""
        table = self._ui.pairsTable
        wanted = [pair for row, pair in enumerate(self._pairs)
                  if table.item(row, 0).checkState() == qt.Qt.Checked]
        if wanted:
            self._add(wanted)
        else:
            self.onDrop()

    def onDrop(self, *_arguments: object) -> None:
        """Ask no more."""
        self._ui.pairsFrame.hide()
        self._pairs = []

    def discard(self) -> None:
        """The panel goes."""
        self._tidy()

    def _job(self, options: list[str], title: str, onEnd: Callable[[JobEnd], None]) -> EngineJob:
        arguments = ["add", *self._inputs, "--project", str(self._session.folder), *options]
        return EngineJob(arguments, title, onProgress=self._busy.onProgress, onEnd=onEnd)

    def _onLooked(self, end: JobEnd) -> None:
        self._busy.end()
        pairs = end.summary.get("pairs")
        if end.kind != "finished" or not isinstance(pairs, list):
            self._onAdded("" if end.kind == "cancelled" else end.text, "error")
            return
        self._pairs = [pair for pair in pairs if isinstance(pair, dict)
                       and all(isinstance(pair.get(key), str) for key in ("image", "label", "reason"))]
        if all(pair.get("is_sure") is True for pair in self._pairs):
            self._add(self._pairs)
        else:
            self._ask()

    def _ask(self) -> None:
        ui = self._ui
        ui.pairsLabel.text = _("Does each label belong to the scan beside it? Tick those that do; what is sure is "
                               "ticked already.")
        ui.pairsTable.setRowCount(len(self._pairs))
        for row, pair in enumerate(self._pairs):
            for column, text in enumerate((Path(pair["image"]).name, Path(pair["label"]).name, pair["reason"])):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled
                              | (qt.Qt.ItemIsUserCheckable if column == 0 else qt.Qt.NoItemFlags))
                ui.pairsTable.setItem(row, column, item)
            sure = pair.get("is_sure") is True
            ui.pairsTable.item(row, 0).setCheckState(qt.Qt.Checked if sure else qt.Qt.Unchecked)
        ui.pairsFrame.show()

    def _add(self, pairs: list[dict[str, Any]]) -> None:
        try:
            self._folder = paths.work_folder("add")
            write_json(self._folder / "only.json", pairs)
        except OSError as error:
            self._onAdded(_("Slicer's temporary folder cannot be written: {reason}.").format(
                reason=error.strerror or error), "error")
            return
        self._ui.pairsFrame.hide()
        self._before = {row.name for row in self._session.caseTable()}
        self._known = {folded(name) for name in self._session.table().names}
        self._busy.begin(self._job(["--only", str(self._folder / "only.json")], _("Adding cases"), self._onCopied))

    def _onCopied(self, end: JobEnd) -> None:
        self._busy.end()
        self._tidy()
        labels = by_stem(self._session.folder / "cases" / "labels")
        added = {row.name: tuple(header_names(labels[row.name]).values()) for row in self._session.caseTable()
                 if row.name not in self._before and row.name in labels}
        try:
            told = case_store.settle_new_cases(self._session.folder, added, self._known) if added else ()
        except (UserError, OSError) as error:
            told = (str(error),)
        if added:
            told = (_("Added: {names}.").format(names=", ".join(added)), *told)
        failed = end.kind not in ("finished", "cancelled")
        self._onAdded(" ".join((*told, end.text)) if failed else " ".join(told), "error" if failed else "note")

    def _tidy(self) -> None:
        if self._folder is not None:
            paths.remove_folder(self._folder)
            self._folder = None


def choose_files(parent: qt.QWidget) -> list[str]:
    """Ask for scans and label files; [] for none."""
    chosen = qt.QFileDialog.getOpenFileNames(parent, _("Scans and their label files"), "", _("Images") + f" ({FILES})")
    return list(chosen or ())


def _patient_of(volume: slicer.vtkMRMLVolumeNode) -> str | None:
    """A mark of the patient that the scan stands under in the subject hierarchy; None where nobody tells."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = 0 if tree is None else tree.GetItemByDataNode(volume)
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()
    patient = tree.GetItemAncestorAtLevel(item, level) if item else 0
    uid = tree.GetItemUID(patient, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName()) if patient else ""
    return case_store.patient_mark(uid) if uid else None
