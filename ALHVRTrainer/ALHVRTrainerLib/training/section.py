"""TrainingSection: how far the training is, its curves and a preview, and the buttons that pause, end or discard it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from ALHVRLib.section import Section, show_fraction
from ALHVRLib.widgets import ConfirmButton
from ALHVRTrainerLib.project_session import BUSY
from ALHVRTrainerLib.python_setup import chosen_python
from ALHVRTrainerLib.run.closing import CloseGuard
from ALHVRTrainerLib.run.control import MAY_PAUSE, MAY_RESUME, MAY_STOP, RunControl
from ALHVRTrainerLib.run.sign import TrainingSign
from ALHVRTrainerLib.run.words import arm_title
from ALHVRTrainerLib.training.charts import CHARTS, DICE, Charts, PlotLayout
from ALHVRTrainerLib.training.health import health
from ALHVRTrainerLib.training.preview_box import PreviewBox

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel
    from ALHVRTrainerLib.run.reader import RunReader

REDRAW_MS = 1000
"""Losses are drawn no more often."""
SHOWN = (*BUSY, "paused", "failed", "lost")
"""States in which curves and slices are shown side by side."""


class TrainingSection(Section):
    """The part of the panel that shows a run. `control` begins and ends runs, for other sections too."""

    UI = "ALHVRTrainerTraining.ui"
    TITLE = _("Training")
    COLLAPSED = True

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.control = RunControl(panel.logic.session, self._onTick, chosen_python)
        self._charts, self._layout = Charts(), PlotLayout()
        self._preview = PreviewBox(self.ui, panel.logic.session)
        self._discard = ConfirmButton(self.ui.discardButton, _("Press again to delete it"))
        self._guard = CloseGuard(lambda: self._try(self.control.pause))
        self._sign = TrainingSign()
        self._entered = False
        self._stale = set(CHARTS)
        """Charts that do not show the newest points."""
        self._drawnAt = qt.QElapsedTimer()

    def setUp(self) -> None:
        """Connect the widgets."""
        for button, action in ((self.ui.pauseButton, self.control.pause), (self.ui.resumeButton, self.control.resume),
                               (self.ui.finishButton, self.control.finish)):
            button.connect("clicked()", partial(self._try, action))
        self.ui.discardButton.connect("clicked()", self.onDiscard)
        for title in (_("Dice on held-out cases"), _("Losses by name"), _("Regions in the archive"), _("None")):
            self.ui.chartBox.addItem(title)
        self.ui.chartBox.connect("currentIndexChanged(int)", self.onChart)
        self.ui.logButton.connect("toggled(bool)", self.onLog)
        self._preview.setUp()
        self.frame.connect("contentsCollapsed(bool)", self.onFolded)
        self.panel.logic.session.onOpened.append(self.onOpened)
        self.onLog(False)
        self.onOpened()

    @property
    def _isShown(self) -> bool:
        """Whether the views are ours: folded, another section or another module has them."""
        reader = self.control.reader
        return self._entered and not self.frame.collapsed and reader is not None and reader.state in SHOWN

    def follow(self, parameters: Any) -> None:
        """Shown: the views are ours as long as a run is to be seen; left: they are as they were."""
        self._entered = parameters is not None
        if not self._entered:
            self._giveBack()
        self._showSign()

    def refresh(self) -> None:
        """Show what the run is."""
        reader = self.control.reader
        self.ui.stateLabel.text = _("Nothing is being trained.") if reader is None else reader.sentence
        self._guard.watch(self.control.may(BUSY))
        self._showSign()
        self._showButtons()
        self._showProgress(reader)
        waiting = self.control.nWaiting
        self.ui.queueLabel.text = _("{n} more training(s) wait for this one.").format(n=waiting) if waiting else ""
        self.ui.queueLabel.setVisible(bool(waiting))
        if self._isShown:
            self._show(reader)
        else:
            self._giveBack()

    def dropScene(self) -> None:
        """The scene goes, with the nodes in it; the run and what was read of it stay."""
        self._preview.forget()
        self._stale = set(CHARTS)

    def cleanUp(self) -> None:
        """The panel goes; the run goes on."""
        self._giveBack()
        self._preview.cleanUp()
        self._discard.takeBack()
        self._guard.cleanUp()
        self._sign.cleanUp()
        self.panel.logic.session.onOpened.remove(self.onOpened)
        self.control.cleanUp()

    def onOpened(self) -> None:
        """Another project is open: a run that is not over is shown."""
        self.control.attach()
        reader = self.control.reader
        if reader is not None and reader.state in SHOWN:
            self.frame.collapsed = False

    def onFolded(self, *_arguments: object) -> None:
        """The section was opened or folded."""
        self.refresh()

    def onDiscard(self, *_arguments: object) -> None:
        """The first press asks, the second deletes."""
        if self._discard.press():
            self._try(self.control.discard)

    def onChart(self, *_arguments: object) -> None:
        """Another chart was chosen: it is drawn at once."""
        self._drawnAt.invalidate()
        self.refresh()

    def onLog(self, shown: bool) -> None:
        """Show or hide what was noted."""
        self.ui.logText.setVisible(shown)
        if shown and self.control.reader is not None:
            self.ui.logText.plainText = self.control.reader.logText()

    def _try(self, action: Callable[[], object]) -> None:
        """Do something with the run; what does not work becomes a sentence."""
        try:
            action()
            self.panel.say("")
        except UserError as error:
            self.panel.say(str(error), "error")
        self.refresh()

    def _onTick(self, reader: RunReader) -> None:
        """After each look at the run."""
        if "dice" in reader.changed:
            self._stale |= set(CHARTS)
        if "losses" in reader.changed:
            self._stale |= set(CHARTS) - {DICE}
        if reader.changed:
            self._showSign()
            self._showProgress(reader)
        reader.changed.clear()
        if self._isShown:
            self._show(reader)

    def _showSign(self) -> None:
        reader = self.control.reader
        state, sentence = ("", "") if reader is None else (reader.state, reader.sentence)
        self._sign.show(state, sentence, panelIsOpen=self._entered)

    def _show(self, reader: RunReader) -> None:
        """Curves and preview as they are now; slowly where only losses are new."""
        self._layout.show()
        self._preview.look(reader)
        number = self.ui.chartBox.currentIndex
        if not 0 <= number < len(CHARTS):
            self._charts.remove()
            self._stale = set(CHARTS)
            return
        kind = CHARTS[number]
        early = self._drawnAt.isValid() and self._drawnAt.elapsed() < REDRAW_MS
        if kind in self._stale and (kind == DICE or not early):
            self._charts.draw(kind, reader.arms, reader.arm)
            self._stale.discard(kind)
            self._drawnAt.start()
        self._charts.show(kind)

    def _giveBack(self) -> None:
        self._charts.remove()
        self._stale = set(CHARTS)
        self._preview.hide()
        self._layout.undo()

    def _showButtons(self) -> None:
        may = self.control.may
        self.ui.pauseButton.setVisible(not may(MAY_RESUME))
        self.ui.pauseButton.enabled = may(MAY_PAUSE)
        self.ui.resumeButton.setVisible(may(MAY_RESUME))
        self.ui.finishButton.enabled = may(MAY_STOP)
        self.ui.discardButton.enabled = may((*SHOWN, "finished"))
        self.ui.viewFrame.setVisible(self.control.reader is not None)
        self.ui.logButton.setVisible(self.control.reader is not None)

    def _showProgress(self, reader: RunReader | None) -> None:
        self.ui.stateLabel.text = _("Nothing is being trained.") if reader is None else reader.sentence
        shown = reader is not None and reader.state in SHOWN
        for widget in (self.ui.progressBar, self.ui.detailLabel):
            widget.setVisible(shown)
        words = health(reader.curves) if shown and reader.state == "training" else ""
        self.ui.healthLabel.setVisible(bool(words))
        self.ui.healthLabel.text = _("Health: {words}").format(words=words)
        if shown:
            fraction = reader.fraction
            show_fraction(self.ui.progressBar, fraction if fraction is not None or reader.state in BUSY else 0.0)
            self.ui.detailLabel.text = details(reader)
        if self.ui.logButton.checked:
            self.onLog(True)


def details(reader: RunReader) -> str:
    """Which training, its step and minute, and the best so far, in one line."""
    curves, words = reader.curves, []
    if reader.arm in reader.wanted and len(reader.wanted) > 1:
        words.append(_("training {n} of {all}: {arm}").format(
            n=reader.wanted.index(reader.arm) + 1, all=len(reader.wanted), arm=arm_title(reader.arm)))
    if curves.iteration:
        words.append(_("step {step}, minute {minute:.0f}").format(step=curves.iteration, minute=reader.minute))
    if curves.best is not None:
        words.append(_("best so far {dice:.2f} at minute {minute:.0f}").format(
            dice=curves.best.dice, minute=curves.best.minute))
    return " · ".join(words)
