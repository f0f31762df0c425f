"""TrainingSign: what shows in other modules that a training goes on: a dot on the icon, a line in the status bar.

The icon is that of the module's action, which the list of modules and the toolbar share. StartLook puts the dot there
when Slicer starts, before the panel is opened for the first time.
"""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.formats.project import read_project
from alhvr.formats.run_state import RunWatch
from ALHVRLib.models.untrusted_files import one_line
from ALHVRLib.watched_thread import WatchedThread
from ALHVRTrainerLib import recent_projects

MODULE = "ALHVRTrainer"
BLUE, YELLOW, GREEN, RED = "#3f7fd0", "#d9a400", "#2e9e5b", "#d03030"
COLOURS = {"starting": BLUE, "training": BLUE, "pausing": YELLOW, "finishing": BLUE, "finished": GREEN, "failed": RED,
           "lost": RED}
"""Of the dot, by the state of the run; a run in another state has none."""
ICON_PX, DOT_PX = 64, 28
LONGEST = 80
"""Letters in the status bar, which would make the window wider."""
TICK_MS, TURN_S = 100, 0.01
AT_START = {"running": BLUE, "failed": RED, "lost": RED}
"""What of a run is worth a dot when Slicer starts, as its folder says."""


class TrainingSign:
    """The sign is there while a training goes on, and when it has ended until the panel was opened."""

    def __init__(self) -> None:
        self._shown: tuple[str | None, str] = (None, "")
        """Colour of the dot, None before it was looked at here, and the text."""
        self._button: qt.QToolButton | None = None

    def show(self, state: str, sentence: str, *, panelIsOpen: bool) -> None:
        """Show a run in this state; "" for none. With the panel open, what has ended is no news."""
        is_news = state in COLOURS and not (panelIsOpen and state in ("finished", "failed", "lost"))
        colour = COLOURS[state] if is_news else ""
        if colour != self._shown[0]:
            _mark(colour)
        text = sentence if colour and not panelIsOpen else ""
        if text != self._shown[1]:
            self._tell(text)
        self._shown = (colour, text)

    def cleanUp(self) -> None:
        """Leave no sign."""
        self.show("", "", panelIsOpen=False)

    def onClicked(self, *_arguments: object) -> None:
        """Open the trainer."""
        slicer.util.selectModule(MODULE)

    def _tell(self, text: str) -> None:
        """In the status bar, where there is one."""
        window = slicer.util.mainWindow()
        if self._button is None and text and window is not None:
            self._button = qt.QToolButton()
            self._button.setAutoRaise(True)
            self._button.toolTip = _("Open ALHVR Trainer")
            self._button.connect("clicked()", self.onClicked)
            window.statusBar().addPermanentWidget(self._button)
        if self._button is not None and text:
            self._button.text = _("ALHVR Trainer: {sentence}").format(sentence=one_line(text, LONGEST))
            self._button.show()
        elif self._button is not None:
            if window is not None:
                window.statusBar().removeWidget(self._button)
            self._button.deleteLater()
            self._button = None


class StartLook:
    """One look, in a thread as its disk may be slow, at the newest run of the project that was open last."""

    def __init__(self) -> None:
        self._thread = WatchedThread(self._onTick, TICK_MS, TURN_S)
        self._state = ""
        self._thread.start(self._look)

    def _look(self) -> None:
        """In the thread: no Qt, no scene."""
        folder = recent_projects.last_open()
        try:
            run = None if folder is None else read_project(folder).newest_run()
            self._state = "" if run is None else RunWatch(run).look().state
        except UserError:
            self._state = ""

    def _onTick(self) -> None:
        if self._thread.isOver:
            self._thread.unwatch()
            if not hasattr(slicer.modules, f"{MODULE}Widget"):  # a panel shows what it knows by itself
                _mark(AT_START.get(self._state, ""))


def _mark(colour: str) -> None:
    """A dot of this colour on the module's icon in menus and toolbars; "" for none."""
    module = getattr(slicer.modules, MODULE.lower(), None)
    if module is None:
        return
    icon = qt.QIcon(module.icon)
    module.action().setIcon(_with_dot(icon, colour) if colour else icon)


def _with_dot(icon: qt.QIcon, colour: str) -> qt.QIcon:
    pixmap = icon.pixmap(ICON_PX, ICON_PX)
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.setBrush(qt.QBrush(qt.QColor(colour)))
    painter.setPen(qt.QPen(qt.QColor("white")))
    place = ICON_PX - DOT_PX - 2
    painter.drawEllipse(place, place, DOT_PX, DOT_PX)
    painter.end()
    return qt.QIcon(pixmap)
