"""Panel: builds the sections and hands scene, parameter node and messages on to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
import vtk

from ALHVRLib.section import Section, keep_in_panel

ICONS = {"note": "SP_MessageBoxInformation", "warning": "SP_MessageBoxWarning", "error": "SP_MessageBoxCritical"}


class Panel:
    """What the user sees of a module.

    Args:
        widget: the module's ScriptedLoadableModuleWidget.
        logic: its logic.
        sections: called with the panel, each makes a Section; from top to bottom.
        notice: a sentence below all sections; "" for none.
    """

    def __init__(self, widget: Any, logic: Any, sections: Sequence[Callable[[Panel], Section]],
                 notice: str = "") -> None:
        self.logic = logic
        self.parameters = None
        self._widget = widget
        self._makers = sections
        self._notice = notice
        self._sections = []
        self._tags = []
        self._observation = None
        self._message = None
        self._icon = None
        self._wrapped = []
        self._isGone = False

    def build(self) -> None:
        """Make all sections; called once."""
        self._widget.layout.addWidget(self._messageLine())
        for make in self._makers:
            section = make(self)
            self._sections.append(section)
            self._widget.layout.addWidget(section.frame)
            section.widget.setMRMLScene(slicer.mrmlScene)
        if self._notice:
            self._widget.layout.addWidget(_wrapped(self._notice))
        self._wrapped.append(keep_in_panel(self._message.parent()))
        self._widget.layout.addStretch(1)
        for section in self._sections:
            section.setUp()

    @property
    def sections(self) -> tuple[Section, ...]:
        """All sections, from top to bottom."""
        return tuple(self._sections)

    def section(self, kind: type[Section]) -> Section:
        """The section of a class, or of what that was before another module's reload loaded its file again."""
        name = (kind.__module__, kind.__qualname__)
        return next(section for section in self._sections
                    if any((base.__module__, base.__qualname__) == name for base in type(section).__mro__))

    def resourcePath(self, name: str) -> str:
        """Path of a file in the module's Resources."""
        return self._widget.resourcePath(name)

    def say(self, text: str, kind: str = "note") -> None:
        """Show one sentence at the top of the panel; kind is note, warning or error; "" takes it away."""
        self._message.setText(text)
        pixels = self._icon.height
        style = self._widget.parent.style()
        self._icon.setPixmap(style.standardIcon(getattr(qt.QStyle, ICONS[kind])).pixmap(pixels, pixels))
        self._message.parent().setVisible(bool(text))

    @property
    def message(self) -> str:
        """The sentence that is shown."""
        return self._message.text

    def follow(self, parameters: Any) -> None:
        """Connect the sections to a parameter node, or with None to none."""
        self._disconnect()
        self.parameters = parameters
        if parameters is not None:
            self._tags = [parameters.connectGui(section.ui) for section in self._sections]
            tag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, self.refresh)
            self._observation = (parameters, tag)
        for section in self._sections:
            section.follow(parameters)
        self.refresh()

    def refresh(self, *_arguments: object) -> None:
        """Let every section show what is the case."""
        for section in self._sections:
            section.refresh()

    def modelsChanged(self) -> None:
        """A model was added or removed: whoever lists them looks anew."""
        for section in self._sections:
            section.modelsChanged()
        self.refresh()

    @property
    def isUsingModels(self) -> bool:
        """Whether work is going on that reads an installed model."""
        return any(section.isUsingModels for section in self._sections)

    def dropScene(self) -> None:
        """The scene closes: end what works on its nodes, and hold none of them; what was said is of that scene."""
        self.say("")
        for section in self._sections:
            section.dropScene()
        self.follow(None)

    def cleanUp(self) -> None:
        """The panel goes; a second call does nothing, as Slicer may reload a module while it closes."""
        self._disconnect()
        self.parameters = None
        if not self._isGone:
            self._isGone = True
            for section in self._sections:
                section.cleanUp()

    def _disconnect(self) -> None:
        if self._observation is None:
            return
        parameters, tag = self._observation
        parameters.RemoveObserver(tag)
        for gui_tag in self._tags:
            parameters.disconnectGui(gui_tag)
        self._observation, self._tags = None, []

    def _messageLine(self) -> qt.QFrame:
        frame = qt.QFrame()
        frame.objectName = "MessageLine"
        layout = qt.QHBoxLayout(frame)
        layout.setContentsMargins(2, 2, 2, 2)
        self._icon = qt.QLabel()
        self._icon.setFixedSize(20, 20)
        self._message = qt.QLabel()
        self._message.setWordWrap(True)
        self._message.setTextFormat(qt.Qt.PlainText)
        self._message.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
        layout.addWidget(self._icon)
        layout.addWidget(self._message, 1)
        frame.hide()
        return frame


def _wrapped(text: str) -> qt.QLabel:
    """A label whose text is wrapped and makes the panel no wider."""
    label = qt.QLabel(text)
    label.setWordWrap(True)
    label.setMargin(4)
    label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
    label.setWordWrap(True)  # again: setSizePolicy has taken away that its height depends on its width
    return label
