"""ExportSection: the segmentation as a file that other programs read: NRRD, NIfTI, DICOM-SEG."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.segment_masks import reference_of, segment_ids
from ALHVRLib.section import Section
from ALHVRSegmentationLib.export import dicom_seg, nifti, nrrd
from ALHVRSegmentationLib.export.files import file_name
from ALHVRSegmentationLib.export.pacs import PacsBox

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel
    from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode

FOLDER_SETTING = "ALHVR/ExportFolder"


class ExportSection(Section):
    """Folder, name and a button for each format; what is not possible is disabled with the reason."""

    UI = "ALHVRExport.ui"
    TITLE = _("Export")
    COLLAPSED = True

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._segmentation_id = None
        self._asked = None
        self._reason = None
        self._pacs = PacsBox(self.ui, panel, self._folder, lambda: self._path(dicom_seg.ENDING))

    def setUp(self) -> None:
        """Connect the buttons."""
        self.ui.folderButton.directory = str(self._lastFolder())
        self.ui.folderButton.connect("directoryChanged(QString)", self.onFolderChanged)
        self.ui.nameEdit.connect("textChanged(QString)", self.onNameChanged)
        self.ui.nrrdButton.connect("clicked()", self.onNrrd)
        self.ui.niftiButton.connect("clicked()", self.onNifti)
        self.ui.dicomButton.connect("clicked()", self.onDicom)
        self._pacs.setUp()

    def cleanUp(self) -> None:
        """Ask the archive no more."""
        self._pacs.cleanUp()

    def follow(self, parameters: ALHVRSegmentationParameterNode | None) -> None:
        """Forget what was asked and found: the scene and the DICOM database may be others now."""
        self._asked = self._reason = None

    def refresh(self) -> None:
        """Follow the segmentation that is chosen in the panel."""
        node = self._segmentation()
        node_id = None if node is None else node.GetID()
        if node_id != self._segmentation_id:
            self._segmentation_id, self._asked = node_id, None
            self.ui.nameEdit.text = "" if node is None else file_name(node.GetName())
        name = _("none yet: segment a scan first") if node is None else node.GetName()
        self.ui.segmentationLabel.text = name
        self._enable(node)

    def onFolderChanged(self, *_arguments: object) -> None:
        """Remember the folder for the next time."""
        self._asked = None
        slicer.app.userSettings().setValue(FOLDER_SETTING, self.ui.folderButton.directory)

    def onNameChanged(self, *_arguments: object) -> None:
        """Another name, another file."""
        self._asked = None
        self._enable(self._segmentation())

    def onNrrd(self, *_arguments: object) -> None:
        """Write Slicer's own format."""
        self._write(nrrd.ENDING, nrrd.write_nrrd)

    def onNifti(self, *_arguments: object) -> None:
        """Write a label map."""
        self._write(nifti.ENDING, nifti.write_nifti)

    def onDicom(self, *_arguments: object) -> None:
        """Write a DICOM segmentation."""
        self._write(dicom_seg.ENDING, dicom_seg.write_dicom_seg)

    def _write(self, ending: str, write: Callable[[slicer.vtkMRMLSegmentationNode, pathlib.Path], str]) -> None:
        """Write one file, and say what became of it."""
        node = self._segmentation()
        if node is None:
            self.refresh()
            return
        path = self._path(ending)
        if path.exists() and self._asked != path:
            self._asked = path
            text = _("{name} is already there: press the button again to replace it.")
            self.panel.say(text.format(name=path.name), "warning")
            return
        self._asked = None
        try:
            with slicer.util.WaitCursor():
                note = write(node, path)
        except SceneError as error:
            self.panel.say(str(error), "error")
            self._reason = None
            self.refresh()
            return
        self._pacs.refresh()
        said = _("Written and read back: {path}.").format(path=path)
        self.panel.say(f"{said} {note}" if note else said, "warning" if note else "note")

    def _enable(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Enable what is possible, and say why DICOM-SEG is not."""
        ready = node is not None and bool(file_name(self.ui.nameEdit.text)) and node.GetSegmentation() is not None
        reason = self._reasonAgainstDicom(node) if ready else ""
        self.ui.nrrdButton.enabled = self.ui.niftiButton.enabled = ready
        self.ui.dicomButton.enabled = ready and not reason
        self.ui.dicomReason.text = reason
        self.ui.dicomReason.setVisible(bool(reason))
        self._pacs.refresh()

    def _reasonAgainstDicom(self, node: slicer.vtkMRMLSegmentationNode) -> str:
        """Asked anew only when the segmentation or its scan changed: the database answers slowly."""
        segmentation, scan = node.GetSegmentation(), reference_of(node)
        parts = [node, segmentation, *(segmentation.GetSegment(segment_id) for segment_id in segment_ids(node))]
        state = (node.GetID(), *(part.GetMTime() for part in parts), scan and (scan.GetID(), scan.GetMTime()))
        if self._reason is None or self._reason[0] != state:
            self._reason = (state, dicom_seg.reason_against(node))
        return self._reason[1]

    def _folder(self) -> pathlib.Path:
        """The folder that is chosen."""
        return pathlib.Path(self.ui.folderButton.directory)

    def _path(self, ending: str) -> pathlib.Path:
        """The file of this ending that the buttons write."""
        return self._folder() / f"{file_name(self.ui.nameEdit.text)}{ending}"

    def _segmentation(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation node that is chosen in the panel, or None."""
        parameters = self.panel.parameters
        return None if parameters is None else parameters.segmentation

    def _lastFolder(self) -> pathlib.Path:
        """The folder of the last export, or the user's documents."""
        home = pathlib.Path.home()
        kept = slicer.util.settingsValue(FOLDER_SETTING, "")
        folders = (pathlib.Path(kept) if kept else None, home / "Documents")
        return next((folder for folder in folders if folder is not None and folder.is_dir()), home)
