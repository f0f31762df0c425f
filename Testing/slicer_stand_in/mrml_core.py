"""The real core of Slicer without the application: scene, application logic and module logics from slicer-core."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import slicer
import vtk
from slicer_stand_in.qt_signals import note_slot_error

# Module name and class of the logic that the C++ module brings.
MODULE_LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Data": "vtkSlicerDataModuleLogic",
}
EXCLUDED = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName()
WITH_SUBJECT_HIERARCHY_ITEM = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLTextNode")


class MrmlCore:
    """A scene with everything that listens to it in Slicer, as far as it is not Qt.

    Args:
        share: folder of the terminologies' JSON files, which the wheel does not bring; without it there are none.
    """

    def __init__(self, share: pathlib.Path | None = None) -> None:
        self.scene = slicer.vtkMRMLScene()
        self.app_logic = slicer.vtkSlicerApplicationLogic()
        self.logics: dict[str, Any] = {}
        self._io = slicer.vtkDataIOManager()
        self._cache = slicer.vtkCacheManager()
        vtk.vtkObject.GlobalWarningDisplayOff()  # the wheel brings neither colour files nor terminologies
        self._set_up_scene()
        self._set_up_app_logic()
        for name, class_name in MODULE_LOGICS.items():
            self._add_logic(name, getattr(slicer, class_name)(), share)
        vtk.vtkObject.GlobalWarningDisplayOn()
        self._make_subject_hierarchy_items()

    def _set_up_scene(self) -> None:
        scene = self.scene
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        scene.AddNode(crosshair)
        self._io.SetCacheManager(self._cache)
        scene.SetCacheManager(self._cache)
        scene.SetDataIOManager(self._io)  # volumes offer no formats to write without it
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)

    def _set_up_app_logic(self) -> None:
        logic = self.app_logic
        logic.SetMRMLScene(self.scene)
        logic.GetColorLogic().SetMRMLScene(self.scene)
        logic.GetColorLogic().AddDefaultColorNodes()
        logic.SetSliceLogics(vtk.vtkCollection())
        logic.SetViewLogics(vtk.vtkCollection())

    def _add_logic(self, name: str, logic: Any, share: pathlib.Path | None) -> None:
        if share is not None and hasattr(logic, "SetModuleShareDirectory"):
            logic.SetModuleShareDirectory(str(share))
        self.app_logic.SetModuleLogic(name, logic)
        logic.SetMRMLApplicationLogic(self.app_logic)
        logic.SetMRMLScene(self.scene)
        self.logics[name] = logic

    def _make_subject_hierarchy_items(self) -> None:
        """Do what a Qt class does in the application: one item for each node with data, gone with the node.

        Nodes that are loaded with a scene get theirs when all of it is there: those that the file names, then the rest.
        """
        scene = self.scene

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(_caller: object, _event: str, node: Any) -> None:
            if node is not None and not scene.IsImporting():
                _add_item(scene, node)

        def imported(_caller: object, _event: str) -> None:
            for number in range(scene.GetNumberOfNodes()):
                _add_item(scene, scene.GetNthNode(number))

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(_caller: object, _event: str, node: Any) -> None:
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
            if node is not None and hierarchy is not None and node is not hierarchy:
                item = hierarchy.GetItemByDataNode(node)
                if item:
                    hierarchy.RemoveItem(item, False, False)

        scene.AddObserver(scene.NodeAddedEvent, added)
        scene.AddObserver(scene.EndImportEvent, imported, 10.0)
        scene.AddObserver(scene.NodeRemovedEvent, removed)
        scene.AddObserver(scene.NodeAddedEvent, _watch_segments)


def _add_item(scene: Any, node: Any) -> None:
    """Give a node its item in the subject hierarchy, where it is of a kind that has one and there is none yet."""
    if node.GetHideFromEditors() or node.GetAttribute(EXCLUDED):
        return
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    wanted = any(node.IsA(kind) for kind in WITH_SUBJECT_HIERARCHY_ITEM)
    if wanted and hierarchy is not None and not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _watch_segments(scene: Any, _event: str, node: Any) -> None:
    """Complain as the subject hierarchy's plugin does when segments change in a node that has no item there."""
    if node is None or not node.IsA("vtkMRMLSegmentationNode"):
        return

    def look(segmentation_node: Any, event: str) -> None:
        if segmentation_node.GetScene() is not scene or scene.IsClosing() or scene.IsImporting():
            return
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        if hierarchy is not None and not hierarchy.GetItemByDataNode(segmentation_node):
            text = f"Slicer writes an error line: no subject hierarchy item for {segmentation_node.GetName()} ({event})"
            note_slot_error(RuntimeError(text))

    segmentation = slicer.vtkSegmentation
    for event in (segmentation.SegmentAdded, segmentation.SegmentModified, segmentation.SegmentRemoved):
        node.AddObserver(event, look)
    if node.GetSegmentation() is not None and node.GetSegmentation().GetNumberOfSegments():
        look(node, "added with segments")


def new_node(scene: Any, class_name: str, base_name: str, attributes: dict[tuple[str, str], str | None]) -> Any:
    """A node that is not in the scene yet, with a unique name and the (class, name): value attributes that fit it."""
    node = scene.CreateNodeByClass(class_name)
    node.UnRegister(None)
    node.SetName(scene.GenerateUniqueName(base_name or node.GetNodeTagName()))
    for (wanted_class, name), value in attributes.items():
        if node.IsA(wanted_class):
            node.SetAttribute(name, value)
    return node


def alias_python_modules() -> None:
    """Let `import MRMLCorePython` and the like find the wheel's modules, as they are named in Slicer."""
    for name, module in list(sys.modules.items()):
        package, _, rest = name.partition(".")
        if package == "slicer_core" and rest:
            sys.modules.setdefault(rest + "Python", module)
