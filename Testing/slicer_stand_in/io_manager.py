"""slicer.app.coreIOManager(): reading and writing through the real storage nodes and module logics."""

from __future__ import annotations

import pathlib
from typing import Any

import slicer
from PySide6 import QtCore
from slicer_stand_in.mrml_core import MrmlCore

FILE_TYPES = {
    "SegmentationFile": (".seg.nrrd", ".seg.nhdr", ".seg.vtm"),
    "MarkupsFile": (".mrk.json", ".fcsv"),
    "VolumeFile": (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".hdr", ".mgz", ".tif", ".png", ".jpg"),
    "ModelFile": (".vtk", ".vtp", ".stl", ".ply", ".obj"),
    "TableFile": (".csv", ".tsv"),
    "SceneFile": (".mrml", ".mrb"),
    "TransformFile": (".h5", ".tfm"),
    "ColorTableFile": (".ctbl", ".txt"),
}
# In the application a label file may be meant as a segmentation: the Segmentations module claims these as well.
ALSO_SEGMENTATION = (".nii.gz",)
VOLUME_OPTIONS = (("labelmap", False, 1), ("center", False, 2), ("singleFile", False, 4), ("autoWindowLevel", True, 8),
                  ("discardOrientation", False, 16))  # fmt: skip


class qSlicerIOManager(QtCore.QObject):
    """Loads and saves nodes and scenes, as slicer.util asks for it."""

    newFileLoaded = QtCore.Signal(object)
    fileSaved = QtCore.Signal(object)

    def __init__(self, core: MrmlCore) -> None:
        super().__init__()
        self._core = core

    def fileType(self, path: str) -> str:
        name = str(path).lower()
        if name.endswith(ALSO_SEGMENTATION):
            return "SegmentationFile"
        return next((kind for kind, endings in FILE_TYPES.items() if name.endswith(endings)), "NoFile")

    def loadNodes(self, file_type: str, properties: dict[str, Any], loaded: Any = None, messages: Any = None) -> bool:
        path = pathlib.Path(str(properties["fileName"]))
        reader = getattr(self, f"_read_{file_type}", None)
        if reader is None or not path.exists():
            return False
        name = properties.get("name") or path.name.split(".")[0]
        node = reader(str(path), name, properties)
        if file_type == "SceneFile":
            return bool(node)
        if node is not None and loaded is not None:
            loaded.AddItem(node)
        return node is not None

    def loadScene(self, path: str, clear: bool = True, messages: Any = None) -> bool:
        return self.loadNodes("SceneFile", {"fileName": path, "clear": clear})

    def _read_VolumeFile(self, path: str, name: str, properties: dict[str, Any]) -> Any:
        options = sum(bit for key, default, bit in VOLUME_OPTIONS if properties.get(key, default))
        node = self._core.logics["Volumes"].AddArchetypeVolume(path, name, options)
        if node is not None and properties.get("show", True):
            selection = self._core.app_logic.GetSelectionNode()
            if properties.get("labelmap"):
                selection.SetReferenceActiveLabelVolumeID(node.GetID())
            else:
                selection.SetReferenceActiveVolumeID(node.GetID())
            self._core.app_logic.PropagateVolumeSelection()
        return node

    def _read_SegmentationFile(self, path: str, name: str, properties: dict[str, Any]) -> Any:
        colours = self._core.scene.GetNodeByID(properties.get("colorNodeID") or "")
        opacities = bool(properties.get("autoOpacities", True))
        return self._core.logics["Segmentations"].LoadSegmentationFromFile(path, opacities, name, colours)

    def _read_ModelFile(self, path: str, name: str, properties: dict[str, Any]) -> Any:
        return self._core.logics["Models"].AddModel(path)

    def _read_TableFile(self, path: str, name: str, properties: dict[str, Any]) -> Any:
        return self._core.logics["Tables"].AddTable(path)

    def _read_MarkupsFile(self, path: str, name: str, properties: dict[str, Any]) -> Any:
        return self._core.scene.GetNodeByID(self._core.logics["Markups"].LoadMarkups(path, name) or "")

    def _read_TransformFile(self, path: str, name: str, properties: dict[str, Any]) -> Any:
        return self._core.logics["Transforms"].AddTransform(path, self._core.scene)

    def _read_ColorTableFile(self, path: str, name: str, properties: dict[str, Any]) -> Any:
        return self._core.logics["Colors"].LoadColorFile(path, name)

    def _read_SceneFile(self, path: str, name: str, properties: dict[str, Any]) -> bool:
        scene = self._core.scene
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, bool(properties.get("clear"))))
        scene.SetURL(path)
        return bool(scene.Connect() if properties.get("clear") else scene.Import())

    def fileWriterFileType(self, node: Any, extension: str = "") -> str:
        return "SceneFile" if node is None or node.IsA("vtkMRMLScene") else node.GetClassName()

    def fileWriterExtensions(self, node: Any) -> tuple[str, ...]:
        storage = self._temporary_storage(node)
        if storage is None:
            return ()
        types = storage.GetSupportedWriteFileTypes()
        found = tuple(types.GetValue(index) for index in range(types.GetNumberOfValues()))
        self._core.scene.RemoveNode(storage)
        return found

    def extractKnownExtension(self, path: str, node: Any) -> str:
        helper = slicer.vtkDataFileFormatHelper
        known = [helper.GetFileExtensionFromFormatString(text) for text in self.fileWriterExtensions(node)]
        return max((ending for ending in known if str(path).lower().endswith(ending)), key=len, default="")

    def saveNodes(self, file_type: str, properties: dict[str, Any], messages: Any = None, scene: Any = None) -> bool:
        path = str(properties["fileName"])
        if file_type == "SceneFile":
            return self.saveScene(path)
        node = self._core.scene.GetNodeByID(properties["nodeID"])
        if node is None:
            return False
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode(path)
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        storage.SetUseCompression(int(properties.get("useCompression", True)))
        return bool(storage.WriteData(node))

    def saveScene(self, path: str, screenshot: Any = None, messages: Any = None) -> bool:
        scene = self._core.scene
        return bool(scene.WriteToMRB(path) if path.endswith(".mrb") else scene.Commit(path))

    def exportNodes(
        self, node_ids: Any, paths: Any, properties: dict[str, Any], harden: bool = False, messages: Any = None
    ) -> bool:
        done = True
        for node_id, path in zip(node_ids, paths, strict=True):
            node = self._core.scene.GetNodeByID(node_id)
            storage = self._temporary_storage(node)
            storage.SetFileName(str(path))
            done = bool(storage.WriteData(node)) and done
            self._core.scene.RemoveNode(storage)
        return done

    def registeredFileReaderCount(self, file_type: str) -> int:
        return int(file_type in FILE_TYPES)

    def addDefaultStorageNodes(self) -> None:
        """Storage nodes are made when something is saved."""

    def _temporary_storage(self, node: Any) -> Any:
        """A storage node in the scene: one without an ID crashes when segmentations ask it for formats."""
        storage = node.CreateDefaultStorageNode()
        if storage is not None:
            storage.SetHideFromEditors(True)
            self._core.scene.AddNode(storage)
        return storage
