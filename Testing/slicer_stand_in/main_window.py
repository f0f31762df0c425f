"""Slicer's main window as far as modules meet it: the module selector and the panel that holds one module's widget."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtWidgets
from slicer_stand_in.module_widgets import qSlicerAbstractModuleWidget
from slicer_stand_in.segment_editor import qSlicerSegmentEditorModuleWidget
from slicer_stand_in.stand_in import computed, slot

PANEL_WIDTH, PANEL_HEIGHT = 419, 830
"""Pixels of the panel in a window of 1500 x 1000."""
NEIGHBOURS = {"Data": qSlicerAbstractModuleWidget, "SegmentEditor": qSlicerSegmentEditorModuleWidget}
"""Modules that others change to."""


class qSlicerModulePanel(QtWidgets.QWidget):
    """Gives a module's widget the width of the panel, or its own least where that is more, and its least height.

    Least heights, of which Qt makes use when a module is entered again, count one line of a text that is wrapped.
    """

    def __init__(self) -> None:
        super().__init__()
        self._module: Any = None
        self._content = QtWidgets.QWidget(self)
        layout = QtWidgets.QVBoxLayout(self._content)
        layout.addStretch(0)

    def fit(self) -> None:
        """Size the contents as Slicer does."""
        layout = self._content.layout()
        for _settled in range(4):
            slicer.app.processEvents()
            layout.invalidate()
            layout.activate()
            least, room = layout.minimumSize(), self.size
            self._content.resize(max(room.width(), least.width()), max(room.height(), least.height()))
        slicer.app.processEvents()

    @property
    def least_width(self) -> int:
        """Pixels below which the user cannot make the panel."""
        return self._content.layout().minimumSize().width()

    def show_module(self, module: Any) -> None:
        """Leave the module that is shown, if any, and enter another; None: enter none."""
        if self._module is not None:
            former = self._module.widgetRepresentation()
            former.exit()
            self._content.layout().removeWidget(former)
            former.hide()
            former.setParent(None)
        self._module = module
        if module is not None:
            widget = module.widgetRepresentation()
            widget.layout().setContentsMargins(0, 0, 0, 0)
            self._content.layout().insertWidget(0, widget, 1)
            widget.show()
            widget.enter()
            self.fit()


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    selectedModule = computed("selectedModule", str, lambda bar: bar._selected)

    def __init__(self, panel: qSlicerModulePanel) -> None:
        super().__init__()
        self._panel, self._selected = panel, ""

    @slot(str)
    def selectModule(self, name: str) -> None:
        """Nothing happens for the module that is selected already, entered or not, and for one that is not there."""
        module = slicer.app.moduleManager().module(name)
        if module is None or name == self._selected:
            return
        self._selected = name
        self._panel.show_module(module)

    def _leave(self, name: str) -> None:
        """A module is unloaded."""
        if name == self._selected:
            self._selected = ""
            self._panel.show_module(None)


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """1500 x 1000 pixels, in which the views take what the panel leaves."""

    def __init__(self) -> None:
        super().__init__()
        self._panel = qSlicerModulePanel()
        self._selector = qSlicerModuleSelectorToolBar(self._panel)
        self._panel.resize(PANEL_WIDTH, PANEL_HEIGHT)
        manager = slicer.app.moduleManager()
        self._known = set(manager.modulesNames())
        for name, kind in NEIGHBOURS.items():
            module = manager.module(name) or manager._add(name)
            module._representation = kind()
            module._representation.setLayout(QtWidgets.QVBoxLayout())
        manager.moduleAboutToBeUnloaded.connect(self._selector._leave)
        self._panel.show()
        slicer.app.processEvents()

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        return self._selector

    def _panel_widget(self) -> qSlicerModulePanel:
        """The module panel, for tests; no name of Slicer's."""
        return self._panel

    def _end(self) -> None:
        """At the end of a test: everything that was made here is gone."""
        manager = slicer.app.moduleManager()
        self._panel.show_module(None)
        manager.moduleAboutToBeUnloaded.disconnect(self._selector._leave)
        manager.module("SegmentEditor")._representation._forget()
        for name in NEIGHBOURS:
            module = manager.module(name)
            module._representation.delete()
            module._representation = None
            if name not in self._known:
                manager._remove(name)
        self._panel.hide()
        self._panel.deleteLater()
