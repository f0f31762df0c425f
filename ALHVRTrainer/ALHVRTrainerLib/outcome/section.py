"""OutcomeSection: whether it helped, in a table, a picture and a sentence; keeping, sharing and continuing a model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.formats.project import ARCHIVE, LABELS_ONLY, Kept
from ALHVRLib.models import store
from ALHVRLib.models.import_model import ImportResult, ModelImport
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.section import Section
from ALHVRLib.widgets import BusyBar, ConfirmButton, LookWatch
from ALHVRTrainerLib.outcome.archive_results import ArchiveResults
from ALHVRTrainerLib.outcome.dots import dots_picture, dots_text
from ALHVRTrainerLib.outcome.result import FILE, PAGE, Outcome, column_title, read_outcome, stamp_of
from ALHVRTrainerLib.outcome.share import ModelPacking
from ALHVRTrainerLib.outcome.worst_case import load_case
from ALHVRTrainerLib.training.section import TrainingSection

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel

KINDS = {"failed": "error", "cancelled": "warning"}
MORE_MINUTES = 60.0
MOST_ROWS = 12
"""Of the table at once; it scrolls beyond."""


class OutcomeSection(Section):
    """The part of the panel that shows the newest outcome of the project."""

    UI = "ALHVRTrainerOutcome.ui"
    TITLE = _("Outcome")
    COLLAPSED = True

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._outcome: Outcome | None = None
        self._problem = ""
        self._seen: tuple[object, ...] | None = None
        ui = self.ui
        self._keepButtons = {ARCHIVE: ui.keepArchiveButton, LABELS_ONLY: ui.keepLabelsButton}
        self._busy = BusyBar(ui, ())
        self._archive = ArchiveResults(ui, panel.logic.session, self._busy, panel.say, self._showButtons)
        self._discard = ConfirmButton(ui.discardButton, _("Press again to delete it"))

    @property
    def outcome(self) -> Outcome | None:
        """What is shown."""
        return self._outcome

    def setUp(self) -> None:
        """Connect the widgets."""
        for arm, button in self._keepButtons.items():
            button.connect("clicked()", partial(self.onKeep, arm))
        self.ui.continueButton.connect("clicked()", self.onContinue)
        self.ui.discardButton.connect("clicked()", self.onDiscard)
        self.ui.shareButton.connect("clicked()", self.onShare)
        self.ui.pageButton.connect("clicked()", self.onPage)
        self.ui.worstButton.connect("clicked()", self.onWorst)
        self._looks = (LookWatch(self.ui.dotsLabel, self._drawDots),
                       LookWatch(self.ui.scoreTable, partial(fit_rows, self.ui.scoreTable)))
        self._busy.setUp()
        self._archive.setUp()
        self.refresh()

    def refresh(self) -> None:
        """Show the newest outcome; it is read when its file has changed."""
        runs = self.panel.logic.session.runs()
        newest = next(((run, stamp) for run in reversed(runs) if (stamp := stamp_of(run / FILE)) is not None), None)
        if newest != self._seen or self._seen is None:
            comes = self._seen is not None and self._outcome is None and newest is not None
            self._seen = newest if newest is not None else ()
            self._read(newest[0] if newest is not None else None)
            if comes and self.panel.section(TrainingSection).control.may(("finished",)):
                self.frame.collapsed = False
        self._showButtons()

    @property
    def isUsingModels(self) -> bool:
        """Whether a model is being kept or packed, or segments the archive."""
        return self._busy.work is not None

    def dropScene(self) -> None:
        """The scene goes, with what was opened in it."""
        self._archive.dropScene()

    def cleanUp(self) -> None:
        """Leave no thread and no child."""
        self._busy.discard()
        self._discard.takeBack()

    def onKeep(self, arm: str) -> None:
        """Install the model of a training."""
        run, session = self._outcome.run, self.panel.logic.session
        name = _free_name(f"{session.project.name} {run.name} {'' if arm == ARCHIVE else arm}")
        self._begin(ModelImport(self._outcome.arms[arm].model, name=name, onProgress=self._busy.onProgress,
                                onDone=partial(self._onKept, int(run.name), arm)))

    def onContinue(self, *_arguments: object) -> None:
        """Begin another training from the model that is offered."""
        session, outcome = self.panel.logic.session, self._outcome
        model = outcome.arms[self._chosen()].model
        self._try(lambda: session.save(start_from=session.project.stored(model), minutes=MORE_MINUTES))
        self._try(lambda: self.panel.say(self.panel.section(TrainingSection).control.start()))

    def onDiscard(self, *_arguments: object) -> None:
        """The first press asks, the second deletes."""
        if self._discard.press():
            self._try(self.panel.section(TrainingSection).control.discard)

    def onShare(self, *_arguments: object) -> None:
        """Ask for a file and pack the model."""
        arm, name = self._chosen(), f"{self.panel.logic.session.project.name}.zip"
        kinds = _("Zipped models") + " (*.zip)"
        path = qt.QFileDialog.getSaveFileName(self.widget, _("Zip file of the model"), name, kinds)
        if path:
            target = Path(path).with_suffix(".zip")
            self._begin(ModelPacking(self._outcome.arms[arm].model, target, onProgress=self._busy.onProgress,
                                     onDone=self._onPacked))

    def onPage(self, *_arguments: object) -> None:
        """Open outcome.html."""
        page = self._outcome.run / PAGE
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page))):
            self.panel.say(_("The browser did not open; the page is {page}").format(page=page), "warning")

    def onWorst(self, *_arguments: object) -> None:
        """Load the worst case."""
        worst = self._outcome.worst
        row = next((row for row in self.panel.logic.session.caseTable() if row.name == worst.case), None)
        if row is None:
            text = _("The case {name} is not in the project any more.")
            self.panel.say(text.format(name=worst.case), "warning")
            return
        self._try(lambda: load_case(row.image, row.label, worst.segmentation))

    def _begin(self, work: Any) -> None:
        if self._busy.work is None:
            self.panel.say("")
            self._busy.begin(work)
            self._showButtons()

    def _end(self, text: str, kind: str = "note") -> None:
        self._busy.end()
        self.panel.say(text, kind)
        self._showButtons()

    def _onKept(self, run: int, arm: str, result: ImportResult) -> None:
        self._end(result.sentence, KINDS.get(result.kind, "note"))
        if not result.name:
            return
        self._try(lambda: self.panel.logic.session.save(kept=Kept(run, arm, result.name)))
        self.panel.modelsChanged()

    def _onPacked(self, sentence: str, worked: bool) -> None:
        self._end(sentence, "note" if worked else "warning")

    def _try(self, action: Any) -> None:
        try:
            action()
        except (UserError, SceneError) as error:
            self.panel.say(str(error), "error")

    def _read(self, run: Path | None) -> None:
        self._outcome, self._problem = None, ""
        try:
            self._outcome = None if run is None else read_outcome(run)
        except UserError as error:
            self._problem = str(error)
        self._showOutcome()

    def _chosen(self) -> str:
        """The arm whose model was kept of this run, or is offered."""
        kept = self.panel.logic.session.project.kept
        ours = kept is not None and str(kept.run) == self._outcome.run.name
        return kept.arm if ours and self._hasModel(kept.arm) else self._outcome.offered

    def _hasModel(self, arm: str) -> bool:
        return arm in self._outcome.arms and self._outcome.arms[arm].model is not None

    def _showOutcome(self) -> None:
        outcome = self._outcome
        none = _("No training has finished yet.")
        self.ui.sentenceLabel.text = self._problem or (none if outcome is None else outcome.sentence)
        self.ui.warningLabel.text = "" if outcome is None or not outcome.too_few else _(
            "Only {n} held-out patient(s): five or more are needed to trust the figures.").format(n=outcome.n_patients)
        self.ui.warningLabel.setVisible(bool(self.ui.warningLabel.text))
        for widget in (self.ui.captionLabel, self.ui.scoreTable, self.ui.dotsLabel):
            widget.setVisible(outcome is not None)
        if outcome is not None:
            self.ui.captionLabel.text = _("Means over the held-out cases: Dice, and below it HD95 (*: not found in "
                                          "some case).")
            fill_table(self.ui.scoreTable, outcome)
            self._drawDots()
            self.ui.dotsLabel.toolTip = dots_text(outcome)
            self._showWorst(outcome)

    def _drawDots(self) -> None:
        if self._outcome is not None:
            picture = dots_picture(self._outcome, self.ui.dotsLabel.palette, self.ui.dotsLabel.font)
            self.ui.dotsLabel.setPixmap(picture)
            self.ui.dotsLabel.setFixedHeight(picture.height())

    def _showWorst(self, outcome: Outcome) -> None:
        if outcome.worst is not None:
            dice = "" if outcome.worst.dice is None else f" {outcome.worst.dice:.2f}"
            self.ui.worstButton.text = _("Worst case: {case}, {structure}{dice}").format(
                case=outcome.worst.case, structure=outcome.worst.structure, dice=dice)

    def _showButtons(self) -> None:
        outcome, session = self._outcome, self.panel.logic.session
        idle = outcome is not None and self._busy.work is None
        mine = idle and not session.isReadOnly
        for arm, button in self._keepButtons.items():
            button.setVisible(outcome is not None and self._hasModel(arm))
            button.enabled = mine
            button.text = self._keepText(arm)
        self.ui.continueButton.enabled = self.ui.shareButton.enabled = False
        if outcome is not None and outcome.offered:
            self.ui.continueButton.enabled, self.ui.shareButton.enabled = mine, idle
        newest = session.newestRun()
        self.ui.discardButton.enabled = mine and outcome.run == newest and not session.isBusy
        self.ui.pageButton.enabled = idle and (outcome.run / PAGE).is_file()
        self.ui.worstButton.setVisible(outcome is not None and outcome.worst is not None)
        self.ui.worstButton.enabled = idle
        for button in (self.ui.continueButton, self.ui.discardButton, self.ui.shareButton, self.ui.pageButton):
            button.setVisible(outcome is not None)
        self._archive.refresh()

    def _keepText(self, arm: str) -> str:
        text = _("Keep with archive") if arm == ARCHIVE else _("Keep labels only")
        project = self.panel.logic.session.project
        if self._outcome is None or project is None:
            return text
        kept = project.kept
        if kept is not None and (str(kept.run), kept.arm) == (self._outcome.run.name, arm):
            return _("{text} (kept)").format(text=text)
        return _("{text} (offered)").format(text=text) if arm == self._outcome.offered else text


def fill_table(table: qt.QTableWidget, outcome: Outcome) -> None:
    """A row a structure and one for the mean: Dice and distance of each arm, and the change."""
    rows = [*outcome.structures, ""]
    titles = ["", *(column_title(arm).replace(" ", "\n") for arm in outcome.shown)]
    if outcome.change is not None:
        titles.append(_("change"))
    table.setRowCount(0)
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(titles)
    table.verticalHeader().setVisible(False)
    table.setRowCount(len(rows))
    for row, name in enumerate(rows):
        cells = [name or _("mean"), *(_score_text(outcome, arm, name) for arm in outcome.shown)]
        if outcome.change is not None:
            cells.append(_change_text(outcome, name))
        for column, text in enumerate(cells):
            item = qt.QTableWidgetItem(text)
            if column:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            item.setToolTip(text)
            table.setItem(row, column, item)
    for column in range(len(titles)):
        mode = qt.QHeaderView.Stretch if column else qt.QHeaderView.ResizeToContents
        table.horizontalHeader().setSectionResizeMode(column, mode)
    fit_rows(table)


def fit_rows(table: qt.QTableWidget) -> None:
    """Make the table as high as its rows; again when letters become larger."""
    table.resizeRowsToContents()
    rows = min(table.rowCount, MOST_ROWS)
    table.setFixedHeight(table.horizontalHeader().sizeHint.height() + 4 + sum(map(table.rowHeight, range(rows))))


def _score_text(outcome: Outcome, arm: str, name: str) -> str:
    scores = outcome.arms[arm]
    dice = scores.dice.get(name) if name else scores.mean_dice
    if dice is None:
        return _("none")
    distance = scores.hd95.get(name)
    if not name:
        return f"{dice:.2f}"
    missed = "*" if scores.missed.get(name) else ""
    measured = "–" if distance is None else f"{distance:.1f} {outcome.unit}"
    return f"{dice:.2f}\n{measured}{missed}"


def _change_text(outcome: Outcome, name: str) -> str:
    number = outcome.change.by_structure.get(name) if name else outcome.change.dice
    return "" if number is None else f"{number:+.2f}"


def _free_name(wanted: str) -> str:
    """A name that no installed model has."""
    taken = {model.name.casefold() for model in store.installed()}
    wanted = " ".join(wanted.split())
    names = [wanted, *(f"{wanted} ({number})" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name.casefold() not in taken)
