"""Section: one part of the panel, with its own .ui file and nothing shared with the others but the parameter node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ctk
import qt
import slicer

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel

DOUBLE_CLICK_S = 0.6
"""A second press within this time is the second half of a double click, and neither cancels nor confirms."""
BAR = 1000
"""Steps of a progress bar."""


def show_fraction(bar: qt.QProgressBar, fraction: float | None) -> None:
    """Let a progress bar show 0 to 1, or with None that something is going on whose progress is unknown."""
    bar.maximum = 0 if fraction is None else BAR
    bar.value = 0 if fraction is None else int(BAR * fraction)


class Section:
    """A part of the panel.

    A section holds nodes by ID only. `follow` tells it that the parameter node (all widgets with a
    SlicerParameterName are connected to it by then) is there, or gone: the scene closes or the panel was left.
    """

    UI = ""
    TITLE = ""
    """Text of the collapsible button around it; without one there is none."""
    COLLAPSED = False

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.widget = slicer.util.loadUI(self.uiPath())
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.frame = self._framed()
        self._wrapped = keep_in_panel(self.frame)

    def uiPath(self) -> str:
        """Path of the .ui file: in the Resources of the module whose panel this is."""
        return self.panel.resourcePath(f"UI/{self.UI}")

    @property
    def isUsingModels(self) -> bool:
        """Whether work is going on that reads an installed model, so that none may be removed."""
        return False

    def setUp(self) -> None:
        """Connect the widgets; called once, when all sections exist."""

    def follow(self, parameters: Any) -> None:
        """The parameter node is there, or None when it is gone."""

    def refresh(self) -> None:
        """Something in the parameter node, the models or the set-up changed."""

    def modelsChanged(self) -> None:
        """A model was added or removed; refresh() follows."""

    def dropScene(self) -> None:
        """The scene is about to be closed: end what works on its nodes."""

    def cleanUp(self) -> None:
        """Stop timers, end threads and children, remove observers."""

    def _framed(self) -> qt.QWidget:
        """The section as it stands in the panel."""
        if self.TITLE:
            frame = ctk.ctkCollapsibleButton()
            frame.text = self.TITLE
            frame.objectName = f"{type(self).__name__}Button"
        else:
            frame = qt.QWidget()
        layout = qt.QVBoxLayout(frame)
        layout.addWidget(self.widget)
        if self.TITLE:
            frame.collapsed = self.COLLAPSED
        else:
            layout.setContentsMargins(-1, 0, -1, 0)  # -1: as the style has it, so that all sections have one inset
        self.widget.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Fixed)
        return frame


def keep_in_panel(frame: qt.QWidget) -> WrappedTexts:
    """Let no text and no folded part make the panel wider, and nothing lie over another where the panel is low.

    Returns the WrappedTexts of the frame, to be kept as long as it.
    """
    folded = slicer.util.findChildren(frame, className="ctkCollapsibleButton")
    for part in (frame, *folded):
        part.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Fixed)
    labels = [label for label in slicer.util.findChildren(frame, className="QLabel") if label.wordWrap]
    for label in labels:
        label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
        label.setWordWrap(True)  # again: its height depends on its width, which setSizePolicy has taken away
    return WrappedTexts(labels)


class WrappedTexts(qt.QObject):
    """Event filter that gives labels the height of their wrapped text: Qt counts one line at least, or too many."""

    def __init__(self, labels: list[qt.QLabel]) -> None:
        qt.QObject.__init__(self)
        self._labels = labels
        self._fitted = {}
        """What each label was when it got its height."""
        for label in labels:
            label.installEventFilter(self)
            label.parent().installEventFilter(self)

    def eventFilter(self, _watched: qt.QObject, event: qt.QEvent) -> bool:
        """After a change of width or text; every event passes."""
        if event.type() in (qt.QEvent.Resize, qt.QEvent.LayoutRequest):
            self._fit()
        return False

    def _fit(self) -> None:
        for number, label in enumerate(self._labels):
            state = (label.text, label.width, label.font.toString())
            if label.isVisible() and self._fitted.get(number) != state:
                self._fitted[number] = state
                label.setMinimumHeight(0)  # or it would not become lower again
                label.setFixedHeight(max(0, label.heightForWidth(label.width)))
