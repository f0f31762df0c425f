"""Widgets: a button that asks before it acts, a bar for running work, pictures that suit the theme, dropped files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import qt

from ALHVRLib.section import DOUBLE_CLICK_S, show_fraction

WAIT_MS = 6000
"""How long the question stands."""


class ConfirmButton:
    """Follows the presses of a button; `question` is its text while it waits for the second one."""

    def __init__(self, button: Any, question: str) -> None:
        self._button, self._question, self._text = button, question, button.text
        self.askedAt = None
        """When it was pressed first, on the monotonic clock; None while nothing is asked."""
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.connect("timeout()", self.takeBack)

    def press(self) -> bool:
        """Tell of a press; True when it confirms the one before."""
        if self.askedAt is None:
            self.askedAt = time.monotonic()
            self._button.text = self._question
            self._timer.start()
            return False
        if time.monotonic() - self.askedAt < DOUBLE_CLICK_S:
            return False
        self.takeBack()
        return True

    def takeBack(self) -> None:
        """Ask no more."""
        self.askedAt = None
        self._timer.stop()
        self._button.text = self._text


class BusyBar:
    """Shows one work at a time: anything with start(), cancel() and discard().

    Args:
        ui: has busyFrame, busyLabel, busyBar and cancelButton.
        buttons: those that begin work, which wait meanwhile.
    """

    def __init__(self, ui: Any, buttons: Iterable[Any]) -> None:
        self._uis, self._buttons = [ui], list(buttons)
        self.work = None
        """What runs, or None."""

    def showAlsoIn(self, ui: Any, button: Any) -> None:
        """Show the work in another place too; before setUp."""
        self._uis.append(ui)
        self._buttons.append(button)

    def setUp(self) -> None:
        """Connect Cancel."""
        for ui in self._uis:
            ui.cancelButton.connect("clicked()", self.onCancel)
        self.end()

    def begin(self, work: Any) -> None:
        """Start a work; whoever made it calls end() when it is done."""
        self.work = work
        self._show()
        work.start()

    def end(self) -> None:
        """Nothing runs any more."""
        self.work = None
        self._show()

    def discard(self) -> None:
        """End what runs at once; without any callback."""
        if self.work is not None:
            self.work.discard()
            self.end()

    def onProgress(self, text: str, fraction: float | None) -> None:
        """The work is at some point; fraction None: unknown."""
        for ui in self._uis:
            ui.busyLabel.text = text
            show_fraction(ui.busyBar, fraction)

    def onCancel(self) -> None:
        """Ask the work to stop."""
        if self.work is not None:
            for ui in self._uis:
                ui.cancelButton.enabled = False
            self.work.cancel()

    def _show(self) -> None:
        for ui in self._uis:
            ui.busyFrame.setVisible(self.work is not None)
            ui.cancelButton.enabled = True
        self.onProgress("", None)
        for button in self._buttons:
            button.enabled = self.work is None


class LookWatch(qt.QObject):
    """Event filter that draws something anew when a widget's colours or letters change, as with the theme."""

    def __init__(self, widget: qt.QWidget, draw: Callable[[], None]) -> None:
        qt.QObject.__init__(self)
        self._draw = draw
        widget.installEventFilter(self)

    def eventFilter(self, _watched: qt.QObject, event: qt.QEvent) -> bool:
        """After the change; every event passes."""
        if event.type() in (qt.QEvent.PaletteChange, qt.QEvent.FontChange):
            self._draw()
        return False


class DropFilter(qt.QObject):
    """Event filter for a widget that accepts drops; calls onPaths with a list of local paths."""

    def __init__(self, onPaths: Callable[[list[str]], None]) -> None:
        qt.QObject.__init__(self)
        self.onPaths = onPaths

    def eventFilter(self, _watched: qt.QObject, event: qt.QEvent) -> bool:
        """Accept what has a path on this computer, let everything else pass."""
        kind = event.type()
        if kind not in (qt.QEvent.DragEnter, qt.QEvent.DragMove, qt.QEvent.Drop):
            return False
        paths = local_paths(event.mimeData())
        if not paths:
            return False
        event.acceptProposedAction()
        if kind == qt.QEvent.Drop:
            self.onPaths(paths)
        return True


def local_paths(data: qt.QMimeData | None) -> list[str]:
    """Paths of the files and folders in what is dragged."""
    if data is None or not data.hasUrls():
        return []
    return [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
