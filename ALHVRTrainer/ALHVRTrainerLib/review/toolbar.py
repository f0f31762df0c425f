"""ReviewBar: the buttons of a scan under review in Slicer's main window, as the Segment Editor hides the panel."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _


class ReviewBar:
    """There while a scan is open; N and P lead from place to place in the whole window meanwhile.

    Args:
        actions: what each of its buttons does, by name, see BUTTONS.
    """

    def __init__(self, actions: dict[str, Callable[[], None]]) -> None:
        self._actions = actions
        self._bar: qt.QToolBar | None = None
        self._buttons: dict[str, qt.QAction] = {}

    @property
    def isShown(self) -> bool:
        """Whether it is there."""
        return self._bar is not None

    def show(self) -> None:
        """Put it into the main window, where there is one."""
        window = slicer.util.mainWindow()
        if self._bar is not None or window is None:
            return
        self._bar = qt.QToolBar(_("ALHVR: next case"), window)
        self._bar.objectName = "ALHVRReviewBar"
        for name, (title, tip, key) in buttons().items():
            action = self._bar.addAction(title)
            action.objectName = name
            action.toolTip = f"{tip} ({key})" if key else tip
            if key:
                action.setShortcut(qt.QKeySequence(key))
            action.connect("triggered()", self._actions[name])
            self._buttons[name] = action
        window.addToolBar(self._bar)

    def button(self, name: str) -> qt.QAction | None:
        """One of its buttons; None while it is not there."""
        return self._buttons.get(name)

    def hide(self) -> None:
        """Take it away."""
        if self._bar is None:
            return
        window = slicer.util.mainWindow()
        if window is not None:
            window.removeToolBar(self._bar)
        self._buttons = {}
        self._bar.deleteLater()
        self._bar = None


def buttons() -> dict[str, tuple[str, str, str]]:
    """Title, tip and key of each button, from left to right."""
    return {
        "right": (_("This slice is right"), _("The ticked structures are right in the slice that is shown."), ""),
        "whole": (_("Whole scan is right"), _("The ticked structures are right in all slices."), ""),
        "previous": (_("Previous place"), _("Back to the place before, where the model is unsure."), "P"),
        "next": (_("Next place"), _("On to the next place where the model is unsure."), "N"),
        "accept": (_("Accept and next"), _("Add scan and label to the cases, and open the next scan."), ""),
        "panel": (_("Back to the panel"), _("To the module ALHVR Trainer; the edits stay."), ""),
    }
