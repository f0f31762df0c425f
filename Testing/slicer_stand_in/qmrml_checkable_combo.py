"""Stand-in for qMRMLCheckableNodeComboBox."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets
from slicer_stand_in.qmrml_node_combo import qMRMLNodeComboBox
from slicer_stand_in.stand_in import slot, stand_in


@stand_in
class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    checkedNodesChanged = QtCore.Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._states: dict[str, int] = {}

    @slot()
    def checkedNodes(self) -> list[Any]:
        return [node for node in self._nodes() if self._states.get(node.GetID(), 0)]

    @slot()
    def uncheckedNodes(self) -> list[Any]:
        return [node for node in self._nodes() if not self._states.get(node.GetID(), 0)]

    @slot()
    def allChecked(self) -> bool:
        return not self.uncheckedNodes()

    @slot()
    def noneChecked(self) -> bool:
        return not self.checkedNodes()

    @slot("vtkMRMLNode")
    def checkState(self, node: Any) -> int:
        return self._states.get(node.GetID(), 0)

    @slot("vtkMRMLNode", int)
    def setCheckState(self, node: Any, state: int) -> None:
        if self._states.get(node.GetID(), 0) != state:
            self._states[node.GetID()] = state
            self.checkedNodesChanged.emit()

    @slot("vtkMRMLNode")
    def check(self, node: Any) -> None:
        self.setCheckState(node, 2)

    @slot("vtkMRMLNode")
    def uncheck(self, node: Any) -> None:
        self.setCheckState(node, 0)
