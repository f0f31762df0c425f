"""CloseGuard: asks once what becomes of a training when Slicer's window is closed.

A crash, a logout and a script that ends Slicer ask nothing: the training goes on then.
"""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _


class CloseGuard(qt.QObject):
    """Event filter of the main window while something is trained.

    Args:
        pause: called as Slicer ends, where that was chosen; a later question of Slicer's own may still keep it open.
    """

    def __init__(self, pause: Callable[[], None]) -> None:
        qt.QObject.__init__(self)
        self._pause, self._pausesAtEnd = pause, False
        self._window = None
        slicer.app.connect("aboutToQuit()", self.onAboutToQuit)

    def watch(self, isTraining: bool) -> None:
        """Ask from now on, or no more."""
        if isTraining and self._window is None:
            self._window = slicer.util.mainWindow()
            if self._window is not None:
                self._window.installEventFilter(self)
        elif not isTraining and self._window is not None:
            self._window.removeEventFilter(self)
            self._window, self._pausesAtEnd = None, False

    def cleanUp(self) -> None:
        """Ask no more."""
        self.watch(False)
        slicer.app.disconnect("aboutToQuit()", self.onAboutToQuit)

    def eventFilter(self, _watched: qt.QObject, event: qt.QEvent) -> bool:
        """Stop the event that closes the window where the user takes it back; all else passes."""
        if event.type() != qt.QEvent.Close:
            return False
        choice = ask_what_becomes_of_the_training()
        self._pausesAtEnd = choice == qt.QMessageBox.No
        if choice in (qt.QMessageBox.Yes, qt.QMessageBox.No):
            return False
        event.ignore()
        return True

    def onAboutToQuit(self, *_arguments: object) -> None:
        """Slicer ends."""
        if self._pausesAtEnd:
            self._pause()


def ask_what_becomes_of_the_training() -> int:
    """The dialog: QMessageBox.Yes to go on without Slicer, No to pause and close, Cancel to stay."""
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setIcon(qt.QMessageBox.Question)
    box.setWindowTitle(_("A model is being trained"))
    box.setText(_("What is to become of the training?"))
    box.setInformativeText(_("It can go on while Slicer is closed; you find it in ALHVR Trainer when you open the "
                             "project again. Paused, it loses nothing and uses no power."))
    box.setStandardButtons(qt.QMessageBox.Yes | qt.QMessageBox.No | qt.QMessageBox.Cancel)
    for kind, text in ((qt.QMessageBox.Yes, _("Go on without Slicer")), (qt.QMessageBox.No, _("Pause and close")),
                       (qt.QMessageBox.Cancel, _("Cancel"))):
        box.button(kind).setText(text)
    box.setDefaultButton(qt.QMessageBox.Yes)
    return box.exec_()
