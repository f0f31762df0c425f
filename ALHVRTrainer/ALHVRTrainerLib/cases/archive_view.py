"""ArchiveView: the folders of scans without labels, what of them is used and why not, and studies of the database."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from ALHVRTrainerLib.check_report import ALIKE, ArchiveFound, CheckReport

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession

MOST_LISTED = 200
TREE_PX = 80
TEXT_PX = 140


@dataclass(frozen=True)
class Study:
    """A study of Slicer's DICOM database."""

    title: str
    folder: Path
    """Holds all its files."""
    isAlone: bool
    """Whether no other study of the database lies in it."""


class ArchiveView:
    """Shows and changes the archive of the open project.

    Args:
        session: the open project.
        ui: the widgets of the section whose names begin with archive and studies.
        tell: called with a sentence and its kind.
        parent: for the file dialog.
    """

    def __init__(self, session: ProjectSession, ui: Any, tell: Callable[[str, str], None], parent: qt.QWidget) -> None:
        self._session, self._ui, self._tell, self._parent = session, ui, tell, parent
        self._studies: tuple[Study, ...] = ()
        self._shown: tuple[object, ...] = ()

    def setUp(self) -> None:
        """Connect the buttons."""
        ui = self._ui
        ui.archiveTree.setHeaderLabels([_("Folder"), _("Used"), _("Left out"), _("Unlike")])
        header = ui.archiveTree.header()
        header.setStretchLastSection(False)
        for column in range(4):  # also when letters become larger
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents if column else qt.QHeaderView.Stretch)
        ui.archiveTree.setFixedHeight(TREE_PX)
        ui.archiveWhyText.setFixedHeight(TEXT_PX)
        ui.archiveFolderButton.connect("clicked()", self.onFolder)
        ui.archiveDicomButton.connect("clicked()", self.onDicom)
        ui.archiveRemoveButton.connect("clicked()", self.onRemove)
        ui.archiveWhyButton.connect("toggled(bool)", self.refresh)
        ui.addStudiesButton.connect("clicked()", self.onAddStudies)
        ui.dropStudiesButton.connect("clicked()", ui.studiesFrame.hide)
        ui.studiesFrame.hide()

    def refresh(self, *_arguments: object) -> None:
        """Show the folders with what the last check said of them."""
        project, ui = self._session.project, self._ui
        if project is None:
            return
        report, canWrite = self._session.table().report, not self._session.isReadOnly
        for button in (ui.archiveFolderButton, ui.archiveDicomButton, ui.archiveRemoveButton):
            button.enabled = canWrite
        ui.archiveDicomButton.setVisible(database() is not None)
        ui.archiveWhyText.setVisible(ui.archiveWhyButton.checked)
        ui.archiveWhyButton.setVisible(bool(report.archive))
        ui.archiveLabel.text = summary(project.archive_folders, project.missing_archive_folders, report)
        ui.archiveTree.setVisible(bool(project.archive))
        ui.archiveRemoveButton.setVisible(bool(project.archive))
        shown = (project.archive, project.missing_archive_folders, id(report))
        if shown != self._shown:
            self._shown = shown
            self._fill(report)

    def add(self, *folders: Path) -> None:
        """Add folders to the archive; what cannot be added is said."""
        project = self._session.project
        inside = next((folder for folder in folders if folder == project.folder
                       or project.cases_folder.is_relative_to(folder) or folder.is_relative_to(project.cases_folder)),
                      None)
        if inside is not None:
            text = _("{folder} is the project's own folder of labelled cases: choose one with other scans.")
            self._tell(text.format(folder=inside), "error")
            return
        try:
            archive = project.with_archive(*project.archive_folders, *folders).archive
            self._session.save(archive=archive)
        except (UserError, OSError) as error:
            self._tell(str(error), "error")

    def onFolder(self, *_arguments: object) -> None:
        """Add a folder that the user chooses."""
        folder = qt.QFileDialog.getExistingDirectory(self._parent, _("Folder with scans without labels"))
        if folder:
            self.add(Path(folder))

    def onRemove(self, *_arguments: object) -> None:
        """Use the chosen folder no more."""
        tree, project = self._ui.archiveTree, self._session.project
        index = tree.indexOfTopLevelItem(tree.currentItem()) if tree.currentItem() is not None else -1
        if not 0 <= index < len(project.archive):
            self._tell(_("Choose the folder to remove in the list."), "note")
            return
        try:
            self._session.save(archive=tuple(text for at, text in enumerate(project.archive) if at != index))
        except (UserError, OSError) as error:
            self._tell(str(error), "error")

    def onDicom(self, *_arguments: object) -> None:
        """List the studies of the database."""
        self._studies = studies()
        listed = self._ui.studiesList
        listed.clear()
        for study in self._studies:
            item = qt.QListWidgetItem(study.title)
            item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(qt.Qt.Unchecked)
            item.setToolTip(str(study.folder) if study.isAlone else _(
                "{folder}: other studies lie there too, and would be added with it.").format(folder=study.folder))
            listed.addItem(item)
        self._ui.studiesFrame.setVisible(bool(self._studies))
        if not self._studies:
            self._tell(_("Slicer's DICOM database holds no study: import some with the module DICOM."), "note")

    def onAddStudies(self, *_arguments: object) -> None:
        """Add the studies that are ticked."""
        listed = self._ui.studiesList
        folders = [study.folder for row, study in enumerate(self._studies)
                   if listed.item(row).checkState() == qt.Qt.Checked]
        self._ui.studiesFrame.hide()
        if folders:
            self.add(*folders)

    def _fill(self, report: CheckReport) -> None:
        tree, project = self._ui.archiveTree, self._session.project
        tree.clear()
        missing = set(project.missing_archive_folders)
        for folder in project.archive_folders:
            scans = [scan for scan in report.archive if Path(scan.file).is_relative_to(folder)]
            numbers = (sum(not scan.problem for scan in scans), sum(bool(scan.problem) for scan in scans),
                       sum(_is_unlike(scan) for scan in scans))
            texts = ["", "", ""] if not scans else [str(number) for number in numbers]
            name = folder.name if folder not in missing else _("{name}: not there now").format(name=folder.name)
            item = qt.QTreeWidgetItem([name, *texts])
            item.setToolTip(0, str(folder))
            tree.addTopLevelItem(item)
        self._ui.archiveWhyText.plainText = reasons(report)


def summary(folders: tuple[Path, ...], missing: tuple[Path, ...], report: CheckReport) -> str:
    """The archive in one sentence."""
    if not folders:
        return _("Archive: none, so that only the labelled cases are learnt from. An archive of scans without labels "
                 "is what makes few labels go far.")
    if missing:
        names = ", ".join(folder.name for folder in missing)
        return _("Archive: {names} is not there now; plug in its disk, or remove the folder.").format(names=names)
    if not report.archive:
        return _("Archive: the check counts it.")
    used = sum(not scan.problem for scan in report.archive)
    unlike = sum(_is_unlike(scan) for scan in report.archive)
    if not unlike:
        return _("Archive: {used} of {all} scans are used; none looks unlike the labelled ones.").format(
            used=used, all=len(report.archive))
    text = _("Archive: {used} of {all} scans are used, {unlike} of them ({share:.0f} %) look unlike the labelled ones.")
    return text.format(used=used, all=len(report.archive), unlike=unlike, share=100 * unlike / max(1, used))


def reasons(report: CheckReport) -> str:
    """A line for each scan that is left out or unlike the labelled ones."""
    lines = [f"{Path(scan.file).name}: {scan.problem}" for scan in report.archive if scan.problem]
    unlike = sorted((scan for scan in report.archive if _is_unlike(scan)), key=lambda scan: -scan.howFar)
    lines += [f"{Path(scan.file).name}: {scan.what}" for scan in unlike]
    lines += [f"{found.seen} {found.remedy}" for found in report.findings if found.kind == "left_out_of_folder"]
    more = [] if len(lines) <= MOST_LISTED else [_("... and {n} more").format(n=len(lines) - MOST_LISTED)]
    return "\n".join([*lines[:MOST_LISTED], *more]) or _("Every scan is used, and none looks unlike the labelled ones.")


def database() -> Any:
    """Slicer's DICOM database; None where there is none that is open."""
    found = getattr(slicer, "dicomDatabase", None)
    return found if found is not None and found.isOpen else None


def studies() -> tuple[Study, ...]:
    """All studies of the database that have files, by title."""
    found = database()
    if found is None:
        return ()
    folders: list[tuple[str, Path]] = []
    for patient in found.patients():
        for study in found.studiesForPatient(patient):
            files = [file for series in found.seriesForStudy(study) for file in found.filesForSeries(series)]
            if files:
                parents = {str(Path(file).parent) for file in files}
                title = _("{patient}: {study}, {n} images").format(
                    patient=found.nameForPatient(patient), study=found.descriptionForStudy(study) or _("study"),
                    n=len(files))
                folders.append((title, Path(os.path.commonpath(parents))))
    return tuple(Study(title, folder, sum(other.is_relative_to(folder) for _title, other in folders) == 1)
                 for title, folder in sorted(folders))


def _is_unlike(scan: ArchiveFound) -> bool:
    return not scan.problem and scan.howFar > ALIKE
