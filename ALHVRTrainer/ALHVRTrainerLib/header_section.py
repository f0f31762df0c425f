"""HeaderSection: project, state, counts and the last result, always visible; without a project the ways to begin."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import qt
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.formats.project import ARCHIVE
from ALHVRLib import paths
from ALHVRLib.section import Section
from ALHVRLib.widgets import BusyBar
from ALHVRTrainerLib import recent_projects
from ALHVRTrainerLib.engine_job import EngineJob, JobEnd
from ALHVRTrainerLib.outcome.result import FILE, read_outcome, stamp_of

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession
    from ALHVRTrainerLib.trainer_panel import TrainerPanel

SAMPLE_COMMAND = ("sample", "--study")
SAMPLE = "training project"
"""Folder of the sample, among the samples of the user."""
GREEN, YELLOW, RED, BLUE, GREY = "#2e9e5b", "#d9a400", "#d03030", "#3f7fd0", "#8a8a8a"
LOOKS = {
    "empty": (GREY, _("Empty")), "checking": (BLUE, _("Checking")), "blocked": (RED, _("Blocked")),
    "ready": (GREEN, _("Ready")), "starting": (BLUE, _("Starting")), "training": (BLUE, _("Training")),
    "pausing": (YELLOW, _("Pausing")), "paused": (YELLOW, _("Paused")), "finishing": (BLUE, _("Finishing")),
    "finished": (GREEN, _("Finished")), "failed": (RED, _("Stopped")), "lost": (RED, _("Lost")),
}
"""Colour and word of each state."""
SIGNS = {"empty": "+", "checking": "?", "blocked": "!", "ready": "\u2713", "starting": "\u25b6", "training": "\u25b6",
         "pausing": "II", "paused": "II", "finishing": "\u25b6", "finished": "\u2713", "failed": "!", "lost": "?"}
"""What stands on the disc of each state's colour."""
ICON_PX = 20


class HeaderSection(Section):
    """What is the case, in a few lines, and the menu of projects."""

    UI = "ALHVRTrainerHeader.ui"

    def __init__(self, panel: TrainerPanel) -> None:
        super().__init__(panel)
        self._busy = BusyBar(self.ui, [self.ui.sampleButton])
        self._result: tuple[object, str] = (None, "")
        self._menu, self._recentMenu = qt.QMenu(self.widget), qt.QMenu(self.widget)

    @property
    def session(self) -> ProjectSession:
        """The open project."""
        return self.panel.logic.session

    def setUp(self) -> None:
        """Connect the buttons, and open the project that was open last."""
        self._busy.setUp()
        ui = self.ui
        ui.menuButton.setMenu(self._menu)
        ui.recentButton.setMenu(self._recentMenu)
        for menu in (self._menu, self._recentMenu):
            menu.connect("aboutToShow()", self.onMenus)
        ui.newButton.connect("clicked()", self.onNew)
        ui.openButton.connect("clicked()", self.onOpen)
        ui.sampleButton.connect("clicked()", self.onSample)
        ui.takeButton.connect("clicked()", self.onTake)
        font = qt.QFont(ui.nameLabel.font)
        font.setBold(True)
        ui.nameLabel.setFont(font)
        self.onMenus()
        last = recent_projects.last_open()
        if last is not None:
            self._open(last)

    def refresh(self) -> None:
        """Show project and state."""
        session, ui = self.session, self.ui
        project = session.project
        ui.projectFrame.setVisible(project is not None)
        ui.beginFrame.setVisible(project is None and self._busy.work is None)
        ui.recentButton.setVisible(bool(self._recentMenu.actions()))
        if project is None:
            return
        colour, word = LOOKS[session.state]
        ui.nameLabel.text = project.name
        ui.nameLabel.toolTip = str(project.folder)
        ui.stateIcon.setPixmap(_state_icon(session.state, colour))
        ui.stateLabel.text = state_text(word, session)
        ui.countsLabel.text = counts_text(session)
        result = self._lastResult()
        ui.resultLabel.text = result
        ui.resultLabel.setVisible(bool(result))
        ui.readOnlyLabel.text = session.holderText()
        ui.readOnlyLabel.setVisible(session.isReadOnly)
        ui.takeButton.setVisible(session.holder is not None and not session.holder.is_here)

    def cleanUp(self) -> None:
        """End the making of the sample."""
        self._busy.discard()

    def onMenus(self, *_arguments: object) -> None:
        """Fill both menus."""
        self._menu.clear()
        for text, slot in ((_("Begin a project..."), self.onNew), (_("Open a project..."), self.onOpen),
                           (_("Try the sample"), self.onSample), (_("Show the folder"), self.onShowFolder),
                           (_("Close the project"), self.onClose)):
            self._menu.addAction(text).connect("triggered()", slot)
        self._menu.addSeparator()
        self._recentMenu.clear()
        for folder in recent_projects.recent():
            for menu in (self._menu, self._recentMenu):
                action = menu.addAction(f"{folder.name}  ({folder.parent})")
                action.connect("triggered()", partial(self._open, folder))

    def onNew(self, *_arguments: object) -> None:
        """Begin a project in a folder that the user chooses."""
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("Empty folder for the new project"))
        if folder:
            exists = (Path(folder) / "project.json").exists()
            self._try(partial(self.session.open if exists else self.session.new, folder))

    def onOpen(self, *_arguments: object) -> None:
        """Open the project in a folder that the user chooses."""
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder of a project"))
        if folder:
            self._open(Path(folder))

    def onClose(self, *_arguments: object) -> None:
        """Show no project; a run goes on."""
        self.session.close()
        recent_projects.remember_closed()
        self.onMenus()
        self.panel.refresh()

    def onShowFolder(self, *_arguments: object) -> None:
        """Show the project's folder in the file manager."""
        if self.session.folder is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.session.folder)))

    def onTake(self, *_arguments: object) -> None:
        """Write to a project that a window of another computer holds."""
        self._try(partial(self.session.open, self.session.folder, evenFrom=self.session.holder))

    def onSample(self, *_arguments: object) -> None:
        """Open the sample, which is made first where it is not there."""
        folder = paths.samples_folder() / SAMPLE
        if (folder / "project.json").exists():
            self._open(folder)
            return
        if self._busy.work is not None:
            return
        self.panel.say("")
        self._busy.begin(EngineJob([*SAMPLE_COMMAND, "--out", folder], _("Making the sample"),
                                   onProgress=self._busy.onProgress, onEnd=partial(self._onSampleMade, folder)))
        self.refresh()

    def _onSampleMade(self, folder: Path, end: JobEnd) -> None:
        self._busy.end()
        if end.kind == "finished":
            self._open(folder)
        elif end.kind != "cancelled":
            self.panel.say(_("The sample was not made: {why}").format(why=end.text), "error")
        self.panel.refresh()

    def _lastResult(self) -> str:
        """The outcome of the newest run that has one, in one line; its file is read again when it has changed."""
        run = next((run for run in reversed(self.session.runs()) if (run / FILE).exists()), None)
        stamp = None if run is None else (run, stamp_of(run / FILE))
        if stamp != self._result[0]:
            self._result = (stamp, "" if run is None else result_text(run))
        return self._result[1]

    def _open(self, folder: Path, *_arguments: object) -> None:
        self._try(partial(self.session.open, folder))

    def _try(self, open_project: Callable[[], None]) -> None:
        """Open a project, or say why not."""
        try:
            open_project()
        except (UserError, OSError) as error:
            self.panel.say(str(error), "error")
            return
        self.panel.say("")
        recent_projects.remember(self.session.folder)
        self.onMenus()
        self.panel.refresh()


def state_text(word: str, session: ProjectSession) -> str:
    """The state in words; what a run says is a whole sentence."""
    told = session.run is not None and session.state == session.run.state
    return session.sentence if told and session.sentence else f"{word}: {session.sentence}".rstrip(": ")


def result_text(run: Path) -> str:
    """Mean Dice of the model that is offered, and what the archive changed; "" for an outcome that cannot be read."""
    try:
        outcome = read_outcome(run)
    except UserError:
        return ""
    arm = None if outcome is None else outcome.arms.get(outcome.offered)
    if arm is None or arm.mean_dice is None:
        return ""
    if outcome.change is None:
        return _("Last result: mean Dice {dice:.2f}").format(dice=arm.mean_dice)
    shown = _("not shown") if outcome.offered != ARCHIVE else _("shown")
    return _("Last result: mean Dice {dice:.2f} ({change:+.2f} by the archive, {shown})").format(
        dice=arm.mean_dice, change=outcome.change.dice, shown=shown)


def counts_text(session: ProjectSession) -> str:
    """How many cases and scans there are: "6 labelled, 2 held out, 214 in the archive"."""
    table = session.table()
    used = [row for row in table.rows if not row.leftOut]
    texts = [_("{n} labelled").format(n=len(used))]
    held, out = sum(row.heldOut for row in used), len(table.rows) - len(used)
    if held:
        texts.append(_("{n} held out").format(n=held))
    if out:
        texts.append(_("{n} left out").format(n=out))
    if not session.project.archive:
        texts.append(_("no archive"))
    elif table.report.archive:
        texts.append(_("{n} in the archive").format(n=sum(not scan.problem for scan in table.report.archive)))
    else:
        texts.append(_("the archive is not counted yet"))
    return ", ".join(texts)


def _state_icon(state: str, colour: str) -> qt.QPixmap:
    """The sign of a state on a disc of its colour."""
    pixmap = qt.QPixmap(ICON_PX, ICON_PX)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.setBrush(qt.QBrush(qt.QColor(colour)))
    painter.setPen(qt.QPen(qt.Qt.NoPen))
    painter.drawEllipse(0, 0, ICON_PX - 1, ICON_PX - 1)
    font = qt.QFont(painter.font())
    font.setPixelSize(ICON_PX * 3 // 5)
    font.setBold(True)
    painter.setFont(font)
    painter.setPen(qt.QPen(qt.QColor("white")))
    painter.drawText(qt.QRect(0, 0, ICON_PX, ICON_PX), qt.Qt.AlignCenter, SIGNS[state])
    painter.end()
    return pixmap
