"""Stand-in for qMRMLNodeComboBox, on the real MRML scene and its events."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtCore, QtWidgets
from slicer_stand_in.mrml_core import new_node
from slicer_stand_in.mrml_observers import Observers
from slicer_stand_in.qt_signals import overload
from slicer_stand_in.stand_in import computed, slot, stand_in, stored

NEWS_OF_NONE = 5  # so often the real widget with noneEnabled tells that there is no node when it is given a scene


@stand_in
class qMRMLNodeComboBox(QtWidgets.QWidget):
    _vtk_signals = (
        "currentNodeChanged(vtkMRMLNode*)",
        "nodeActivated(vtkMRMLNode*)",
        "nodeAdded(vtkMRMLNode*)",
        "nodeAddedByUser(vtkMRMLNode*)",
        "nodeAboutToBeRemoved(vtkMRMLNode*)",
    )
    currentNodeChanged = QtCore.Signal((object,), (bool,))
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)

    nodeTypes = computed("nodeTypes", "QStringList", lambda w: w._types, lambda w, types: w._set_types(types))
    hideChildNodeTypes = stored("hideChildNodeTypes", "QStringList", [], "_list_anew")
    showChildNodeTypes = stored("showChildNodeTypes", bool, True, "_list_anew")
    showHidden = stored("showHidden", bool, False, "_list_anew")
    noneEnabled = stored("noneEnabled", bool, False, "_list_anew")
    noneDisplay = stored("noneDisplay", str, "None", "_list_anew")
    addEnabled = stored("addEnabled", bool, True)
    removeEnabled = stored("removeEnabled", bool, True)
    editEnabled = stored("editEnabled", bool, False)
    renameEnabled = stored("renameEnabled", bool, False)
    selectNodeUponCreation = stored("selectNodeUponCreation", bool, True)
    interactionNodeSingletonTag = stored("interactionNodeSingletonTag", str, "Singleton")
    sizeAdjustPolicy = stored("sizeAdjustPolicy", int, 1)
    baseName = computed("baseName", str, lambda w: w._base_name(), lambda w, name: w._set_base_name(name))
    currentNodeID = computed("currentNodeID", str, lambda w: w._id(), lambda w, node_id: w._select_id(node_id))
    currentNodeId = computed("currentNodeId", str, lambda w: w._id(), lambda w, node_id: w._select_id(node_id))

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._types, self._base_names, self._labels, self._attributes = [], {}, {}, {}
        self._scene, self._node, self._wanted_id = None, None, ""
        self._known: dict[str, tuple[Any, bool, str]] = {}  # by ID: node, whether it was hidden when it came, name
        self._observers = Observers(self)
        self._combo = QtWidgets.QComboBox()
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo)
        self._combo.activated.connect(self._picked_by_hand)

    @slot()
    def mrmlScene(self) -> Any:
        return self._scene

    @slot("vtkMRMLScene")
    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._observers.clear()
        self._known.clear()
        self._scene, self._node = scene, None
        if scene is not None:
            self._follow_scene()
        self._list_anew()

    def _follow_scene(self) -> None:
        scene = self._scene
        for index in range(scene.GetNumberOfNodes()):
            self._get_to_know(scene.GetNthNode(index))
        self._observers.add(scene, scene.NodeAddedEvent, self._node_came, with_node=True)
        self._observers.add(scene, scene.NodeAboutToBeRemovedEvent, self._node_leaves, with_node=True)
        self._observers.add(scene, scene.EndCloseEvent, self._scene_closed)
        for node in self._nodes():
            self.nodeAdded.emit(node)
        wanted = self._known.get(self._wanted_id, (None,))[0]
        if wanted is not None or not self.noneEnabled:
            first = next(iter(self._nodes()), None)
            self._make_current(wanted if wanted is not None else first)
        else:
            for _ in range(NEWS_OF_NONE):
                self._tell_current()

    @slot()
    def nodeCount(self) -> int:
        return len(self._nodes())

    @slot(int)
    def nodeFromIndex(self, index: int) -> Any:
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    @slot()
    def currentNode(self) -> Any:
        return self._node

    @slot("vtkMRMLNode")
    def setCurrentNode(self, node: Any) -> None:
        self._select_id(node.GetID() if node is not None else "")

    @slot(str)
    def setCurrentNodeID(self, node_id: str) -> None:
        self._select_id(node_id)

    @slot(int)
    def setCurrentNodeIndex(self, index: int) -> None:
        nodes = self._nodes()
        self._select_id(nodes[index].GetID() if 0 <= index < len(nodes) else "")

    @slot(str)
    def addNode(self, node_type: str = "") -> Any:
        node_type = node_type or self._types[0]
        node = new_node(self._scene, node_type, self._base_names.get(node_type, ""), self._attributes)
        self._scene.AddNode(node)
        if self.selectNodeUponCreation:
            self._make_current(node)
            self._list_anew()
        self.nodeAddedByUser.emit(node)
        return node

    @slot()
    def removeCurrentNode(self) -> None:
        if self._node is not None:
            self._scene.RemoveNode(self._node)

    @slot(str, str, object)
    def addAttribute(self, node_type: str, attribute: str, value: object = None) -> None:
        self._attributes[node_type, attribute] = None if value is None else str(value)
        self._list_anew()

    @slot(str, str)
    def removeAttribute(self, node_type: str, attribute: str) -> None:
        self._attributes.pop((node_type, attribute), None)
        self._list_anew()

    @slot(str)
    def nodeTypeLabel(self, node_type: str) -> str:
        return self._labels.get(node_type, "node")

    @slot(str, str)
    def setNodeTypeLabel(self, label: str, node_type: str) -> None:
        self._labels[node_type] = label

    def _id(self) -> str:
        return self._node.GetID() if self._node is not None else ""

    def _set_types(self, types: list[str]) -> None:
        self._types = [name for name in types if name]
        if self._node is not None and self._node not in self._nodes():
            self._make_current(None)
        self._list_anew()

    def _base_name(self) -> str:
        return self._base_names.get(self._types[0], "") if self._types else ""

    def _set_base_name(self, name: str) -> None:
        self._base_names.update(dict.fromkeys(self._types, name))

    def _select_id(self, node_id: str) -> None:
        if self._scene is None:
            self._wanted_id = node_id
            return
        node = next((node for node in self._nodes() if node.GetID() == node_id), None)
        if node is not self._node:
            self._make_current(node)
            self._list_anew()
            if node is not None:
                self.nodeActivated.emit(node)

    def _make_current(self, node: Any) -> None:
        if node is not self._node:
            self._node = node
            self._tell_current()

    def _tell_current(self) -> None:
        self.currentNodeChanged.emit(self._node)
        overload(self.currentNodeChanged, bool).emit(self._node is not None)
        self.currentNodeIDChanged.emit(self._id())

    def _nodes(self) -> list[Any]:
        return [node for node, hidden, _ in self._known.values() if self._fits(node, hidden)]

    def _fits(self, node: Any, hidden: bool) -> bool:
        kind = node.GetClassName()
        fits = any(node.IsA(name) if self.showChildNodeTypes else kind == name for name in self._types)
        if not fits or (hidden and not self.showHidden) or any(node.IsA(name) for name in self.hideChildNodeTypes):
            return False
        for (node_type, attribute), value in self._attributes.items():
            found = node.GetAttribute(attribute) if node.IsA(node_type) else value or ""
            if found is None or (value is not None and found != value):
                return False
        return True

    def _get_to_know(self, node: Any) -> None:
        self._known[node.GetID()] = (node, bool(node.GetHideFromEditors()), node.GetName() or "")
        self._observers.add(node, vtk.vtkCommand.ModifiedEvent, self._node_modified)

    def _node_came(self, node: Any) -> None:
        self._get_to_know(node)
        if node in self._nodes():
            self._list_anew()
            self.nodeAdded.emit(node)

    def _node_leaves(self, node: Any) -> None:
        nodes = self._nodes()
        self._known.pop(node.GetID(), None)
        self._observers.forget(node)
        if node not in nodes or self._scene.IsClosing():
            return
        self.nodeAboutToBeRemoved.emit(node)
        if node is self._node:
            place = nodes.index(node)
            rest = nodes[:place] + nodes[place + 1 :]
            self._make_current(rest[max(place - 1, 0)] if rest else None)
        self._list_anew()

    def _scene_closed(self) -> None:
        self._known = {key: known for key, known in self._known.items() if self._scene.IsNodePresent(known[0])}
        self._make_current(self._node if self._node in self._nodes() else None)
        self._list_anew()

    def _node_modified(self) -> None:
        for node_id, (node, hidden, name) in list(self._known.items()):
            if (node.GetName() or "") != name:
                self._known[node_id] = (node, hidden, node.GetName() or "")
                self._list_anew()
                if node is self._node:
                    self._tell_current()

    def _picked_by_hand(self, index: int) -> None:
        self._select_id(self._combo.itemData(index) or "")

    def _list_anew(self) -> None:
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self.noneDisplay, "")
        for node in self._nodes():
            self._combo.addItem(node.GetName() or "", node.GetID())
        self._combo.setCurrentIndex(self._combo.findData(self._id()))
