"""Section: one part of the panel, with its own .ui file and nothing shared with the others but the parameter node."""

import ctk
import qt
import slicer

DOUBLE_CLICK_S = 0.6
"""A second press within this time is the second half of a double click, and neither cancels nor confirms."""
BAR = 1000
"""Steps of a progress bar."""


def show_fraction(bar, fraction):
    """Let a progress bar show 0 to 1, or with None that something is going on and nobody knows how far."""
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

    def __init__(self, panel):
        self.panel = panel
        self.widget = slicer.util.loadUI(panel.resourcePath(f"UI/{self.UI}"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.frame = self._framed()

    def setUp(self):
        """Connect the widgets; called once, when all sections exist."""

    def follow(self, parameters):
        """The parameter node is there, or None when it is gone."""

    def refresh(self):
        """Something in the parameter node, the models or the set-up changed."""

    def modelsChanged(self):
        """A model was added or removed; refresh() follows."""

    def dropScene(self):
        """The scene is about to be closed: end what works on its nodes."""

    def cleanUp(self):
        """Stop timers, end threads and children, remove observers."""

    def _framed(self):
        """The section as it stands in the panel."""
        if not self.TITLE:
            return self.widget
        button = ctk.ctkCollapsibleButton()
        button.text = self.TITLE
        button.objectName = f"{type(self).__name__}Button"
        layout = qt.QVBoxLayout(button)
        layout.addWidget(self.widget)
        button.collapsed = self.COLLAPSED
        return button
