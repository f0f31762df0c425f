"""ReviewSection: which scans to label next, one of them open in the Segment Editor, and what it brought so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.formats.labels import folded
from alhvr.formats.project import models_of
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.section import Section
from ALHVRLib.widgets import BusyBar, LookWatch
from ALHVRTrainerLib.engine_job import EngineJob, JobEnd
from ALHVRTrainerLib.python_setup import chosen_python
from ALHVRTrainerLib.review import curve
from ALHVRTrainerLib.review.accept import accept, decline
from ALHVRTrainerLib.review.opened import OpenScan
from ALHVRTrainerLib.review.record import Decision, RankedScan, Ranking, read_decisions, read_ranking
from ALHVRTrainerLib.review.scan_table import ScanTable
from ALHVRTrainerLib.review.toolbar import ReviewBar

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel
    from ALHVRTrainerLib.project_session import ProjectSession

MODULE = "ALHVRTrainer"
OFFER_AFTER = 5
"""So many accepted scans since the last training are worth another one."""
PICTURE_WIDTH = 320
ROW_HEIGHT, MOST_ROWS = 26, 6
"""Of the table of structures; more than so many rows are scrolled."""


class ReviewSection(Section):
    """The part of the panel that leads from scan to scan of the archive; the folder review of the project holds all."""

    UI = "ALHVRTrainerReview.ui"
    TITLE = _("Next case")
    COLLAPSED = True

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.opened: OpenScan | None = None
        self._ranking = Ranking()
        self._off: set[str] = set()
        """Structures that are not looked at now, by folded name."""
        self._listed: tuple = ()
        """What the table of structures shows."""
        self._decisions: Sequence[Decision] = ()
        self._look = LookWatch(self.ui.curvePicture, self._drawCurve)
        self._busy = BusyBar(self.ui, [self.ui.rankButton])
        self._table = ScanTable(self.ui.scansTable, self._showButtons)
        self._bar = ReviewBar({"right": self.onRight, "whole": self.onWhole, "previous": self.onPrevious,
                               "next": self.onNext, "accept": self.onAccept, "panel": self.onPanel})

    @property
    def _session(self) -> ProjectSession:
        return self.panel.logic.session

    def setUp(self) -> None:
        """Connect the widgets."""
        self._busy.setUp()
        self._table.setUp()
        for button, action in (
                (self.ui.rankButton, self.onRank), (self.ui.openButton, self.onOpen),
                (self.ui.declineButton, self.onDecline), (self.ui.rightButton, self.onRight),
                (self.ui.wholeButton, self.onWhole), (self.ui.worstButton, self.onWorst),
                (self.ui.previousButton, self.onPrevious), (self.ui.nextButton, self.onNext),
                (self.ui.acceptButton, self.onAccept), (self.ui.editButton, self.onEdit),
                (self.ui.laterButton, self.onLater), (self.ui.retrainButton, self.onRetrain)):
            button.connect("clicked()", action)
        self.ui.regionsBox.connect("toggled(bool)", self.onRegions)
        table = self.ui.structuresTable
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Look at"), _("Annotated here")])
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.horizontalHeader().setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        table.connect("itemChanged(QTableWidgetItem*)", self.onTick)
        self._session.onOpened.append(self.onProject)
        slicer.app.connect("aboutToQuit()", self.onAboutToQuit)

    def refresh(self) -> None:
        """Show what the project holds."""
        project = self._session.project
        why = self._whyNot()
        self.ui.needLabel.text = why
        self.ui.needLabel.setVisible(bool(why))
        self.ui.reviewFrame.setVisible(not why)
        if why:
            return
        self._ranking = read_ranking(project)
        self._table.fill(self._ranking.scans)
        self.ui.rankButton.text = _("Look for the next cases again") if self._ranking.scans else _(
            "Look for the next cases")
        for widget in (self.ui.scansTable, self.ui.openButton, self.ui.declineButton):
            widget.setVisible(bool(self._ranking.scans))
        self._showOpened()
        self._showCurve()
        self._showButtons()

    def dropScene(self) -> None:
        """The scene goes: the edits are on the disk, and the scan can be opened again."""
        self._leave()

    def cleanUp(self) -> None:
        """The panel goes; the edits stay on the disk."""
        slicer.app.disconnect("aboutToQuit()", self.onAboutToQuit)
        self._busy.discard()
        self._table.stop()
        self._leave()

    def onAboutToQuit(self) -> None:
        """Slicer ends: what was edited is kept."""
        if self.opened is not None:
            self.opened.takeEdits()
            self.opened.save()

    def onProject(self) -> None:
        """Another project, or none: its scan goes with it."""
        self._busy.discard()
        self._leave()

    def onRank(self, *_arguments: object) -> None:
        """Let the engine choose which scans to label next."""
        job = EngineJob(["rank", "--project", self._session.folder], _("Looking at the archive"),
                        onProgress=self._busy.onProgress, onEnd=self._onRanked, python=chosen_python())
        self.panel.say("")
        self._busy.begin(job)

    def onOpen(self, *_arguments: object) -> None:
        """Open the chosen scan in the Segment Editor."""
        scan = self._table.chosen()
        if scan is not None:
            self._open(scan)

    def onDecline(self, *_arguments: object) -> None:
        """The chosen scan is not to be labelled; it is not offered again."""
        scan = self._table.chosen()
        if scan is None:
            return
        try:
            decline(scan, self._session, self._ranking.round)
        except SceneError as error:
            self.panel.say(str(error), "error")
            return
        if self.opened is not None and self.opened.scan.case == scan.case:
            self._leave(keep=False)
        self.panel.say(_("{case} is not offered again.").format(case=scan.case))
        self._session.changed()

    def onRight(self, *_arguments: object) -> None:
        """The ticked structures are right in the slice that is shown."""
        if self.opened is not None and not self.opened.callRight(self._ticked(), False):
            self._warn(_("No view shows a slice of this scan straight on: rotate one to the volume plane."))

    def onWhole(self, *_arguments: object) -> None:
        """The ticked structures are right in the whole scan."""
        if self.opened is not None:
            self.opened.callRight(self._ticked(), True)

    def onWorst(self, *_arguments: object) -> None:
        """To the place where the model is least sure."""
        if self.opened is not None:
            self.opened.places.worst()

    def onPrevious(self, *_arguments: object) -> None:
        """To the place before."""
        if self.opened is not None:
            self.opened.places.step(-1)

    def onNext(self, *_arguments: object) -> None:
        """To the next place."""
        if self.opened is not None:
            self.opened.places.step(1)

    def onRegions(self, on: bool) -> None:
        """Show the regions or not."""
        if self.opened is not None:
            self.opened.showRegions(on)

    def onEdit(self, *_arguments: object) -> None:
        """Back to the Segment Editor."""
        if self.opened is not None and not self.opened.showEditor():
            self.panel.say(_("Open the Segment Editor to correct the segments."))

    def onPanel(self, *_arguments: object) -> None:
        """Back to this panel."""
        slicer.util.selectModule(MODULE)

    def onLater(self, *_arguments: object) -> None:
        """Close the scan; its edits stay for another time."""
        self._leave()
        self.refresh()

    def onAccept(self, *_arguments: object) -> None:
        """Add the scan to the cases, and open the next one."""
        if self.opened is None:
            return
        try:
            decision = accept(self.opened, self._session, self._ranking.round)
        except SceneError as error:
            self.panel.say(str(error), "error")
            return
        self._leave(keep=False)
        text = _("{case} is added as {label}: {minutes} min{dice}.")
        dice = "" if decision.meanDice is None else _(", Dice of the draft {dice}").format(
            dice=f"{decision.meanDice:.2f}")
        self._session.changed()
        scan = self._table.chosen()
        if scan is not None:
            self._open(scan)
        self.panel.say(text.format(case=decision.case, label=decision.label, minutes=f"{decision.minutes:.1f}",
                                   dice=dice))

    def onTick(self, item: qt.QTableWidgetItem) -> None:
        """A structure is looked at from now on, or not."""
        if self._listed and item.column() == 0:
            name = folded(item.text())
            self._off = self._off - {name} if item.checkState() == qt.Qt.Checked else self._off | {name}

    def onRetrain(self, *_arguments: object) -> None:
        """The next training begins from the current model; it is the user who begins it."""
        project = self._session.project
        try:
            self._session.save(start_from=project.stored(models_of(project)[0]))
        except UserError as error:
            self.panel.say(str(error), "error")
            return
        self.panel.say(_("The next training begins from the current model: press Train."))
        self.panel.showSection("SettingsSection")

    def _open(self, scan: RankedScan) -> None:
        self._leave()
        self.panel.say("")
        opened = OpenScan(self._session.project, scan, self._showOpened, self._warn)
        try:
            opened.open(self._session.table().names)
        except SceneError as error:
            self.panel.say(str(error), "error")
            return
        self.opened, self._off = opened, set()
        if opened.restored:
            self.panel.say(_("{case} goes on where it was left.").format(case=scan.case))
        self._bar.show()
        opened.showEditor()
        self.refresh()

    def _leave(self, keep: bool = True) -> None:
        """Close the scan that is open, if one is."""
        opened, self.opened = self.opened, None
        self._bar.hide()
        if opened is not None:
            opened.close(keep)

    def _warn(self, text: str) -> None:
        self.panel.say(text, "warning")

    def _onRanked(self, end: JobEnd) -> None:
        self._busy.end()
        if end.kind == "finished":
            self.panel.say("")
        else:
            self.panel.say(end.text, "note" if end.kind == "cancelled" else "error")
        self.refresh()

    def _whyNot(self) -> str:
        """Why there is nothing to review, in one sentence; "" where there is."""
        project = self._session.project
        if project is None:
            return _("There is no project yet.")
        if self._session.isReadOnly:
            return self._session.holderText()
        if not project.archive:
            return _("The project has no archive: add one in the section Cases.")
        if not models_of(project):
            return _("Comes after the first training: its model shows which scans of the archive to label next.")
        return ""

    def _ticked(self) -> list[str]:
        return [name for name in self.opened.annotated.structures if folded(name) not in self._off]

    def _showOpened(self) -> None:
        opened = self.opened
        self.ui.openedFrame.setVisible(opened is not None)
        if opened is None or opened.annotated is None:
            return
        self.ui.openedLabel.text = _("Open: {case}").format(case=opened.scan.case)
        self._showStructures(opened)
        has_places = opened.places.count > 0
        for button in (self.ui.worstButton, self.ui.previousButton, self.ui.nextButton):
            button.setEnabled(has_places)
        can_accept = bool(opened.annotated.annotated())
        self.ui.acceptButton.setEnabled(can_accept)
        self.ui.acceptLabel.text = "" if can_accept else _(
            "Nothing counts as annotated yet: correct a structure, or press This slice is right.")
        self.ui.acceptLabel.setVisible(not can_accept)

    def _showStructures(self, opened: OpenScan) -> None:
        """Which structures are looked at, and in how many slices each counts; the rest is not annotated."""
        listed = tuple((name, *opened.annotated.count(name)) for name in opened.annotated.structures)
        if listed == self._listed:
            return
        self._listed, table = (), self.ui.structuresTable
        table.setRowCount(len(listed))
        for row, (name, seen, of) in enumerate(listed):
            title, count = qt.QTableWidgetItem(name), qt.QTableWidgetItem(
                _("{seen} of {of} slices").format(seen=seen, of=of) if seen else _("not annotated"))
            title.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
            title.setCheckState(qt.Qt.Unchecked if folded(name) in self._off else qt.Qt.Checked)
            count.setFlags(qt.Qt.ItemIsEnabled)
            table.setItem(row, 0, title)
            table.setItem(row, 1, count)
        table.setFixedHeight(min(MOST_ROWS, len(listed)) * ROW_HEIGHT + ROW_HEIGHT + 8)
        self._listed = listed

    def _drawCurve(self) -> None:
        if curve.accepted(self._decisions):
            palette = self.ui.curvePicture.palette
            self.ui.curvePicture.setPixmap(curve.picture(self._decisions, PICTURE_WIDTH, palette))

    def _showCurve(self) -> None:
        self._decisions = decisions = read_decisions(self._session.project)
        words = curve.in_words(decisions)
        self.ui.curveFrame.setVisible(bool(words))
        self.ui.curveLabel.text = words
        self._drawCurve()
        run = self._session.newestRun()
        newest = 0 if run is None else int(run.name)
        since = sum(decision.run == newest for decision in curve.accepted(decisions))
        self.ui.retrainFrame.setVisible(since >= OFFER_AFTER)
        self.ui.retrainLabel.text = _("{n} scans were added since the last training.").format(n=since)

    def _showButtons(self) -> None:
        chosen = self._table.chosen() is not None
        self.ui.openButton.setEnabled(chosen)
        self.ui.declineButton.setEnabled(chosen)
