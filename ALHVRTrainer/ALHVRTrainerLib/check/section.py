"""CheckSection: what is wrong with the data and what mends it, and what a training takes; the second step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qt
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.core.progress import in_words
from alhvr.formats.labels import folded
from ALHVRLib import requirements
from ALHVRLib.child_events import finite
from ALHVRLib.section import Section, show_fraction
from ALHVRTrainerLib.cases import case_store
from ALHVRTrainerLib.cases.case_table import NOT_ANNOTATED
from ALHVRTrainerLib.cases.section import CasesSection
from ALHVRTrainerLib.check.checker import Checker
from ALHVRTrainerLib.check.findings_view import FindingsView, Remedy
from ALHVRTrainerLib.check_report import CheckReport
from ALHVRTrainerLib.python_setup import chosen_python

if TYPE_CHECKING:
    from ALHVRTrainerLib.trainer_panel import TrainerPanel

PAGE = "check.html"
PLAUSIBLE_SHARE = (0.25, 1.0)
"""Of the minutes that are set, what a training usually needs to level off."""


class CheckSection(Section):
    """Starts by itself; nothing here needs PyTorch but the forecast."""

    UI = "ALHVRTrainerCheck.ui"
    TITLE = _("Check")
    COLLAPSED = True

    def __init__(self, panel: TrainerPanel) -> None:
        super().__init__(panel)
        self._session = panel.logic.session
        self.checker = Checker(self._session, onProgress=self._onProgress, onChange=panel.refresh)
        self._findings = FindingsView(self.ui.findingsWidget, self.ui.moreButton, self.onRemedy)

    def setUp(self) -> None:
        """Connect the buttons, and follow the project."""
        self.ui.cancelButton.connect("clicked()", self.checker.cancel)
        self.ui.againButton.connect("clicked()", self.checker.again)
        self.ui.pageButton.connect("clicked()", self.onPage)
        self._session.onOpened.append(self.checker.discard)
        self._session.onLook.append(self.checker.look)

    def follow(self, parameters: object) -> None:
        """The panel is entered: files may have changed meanwhile."""
        if parameters is not None:
            self.checker.look()

    def refresh(self) -> None:
        """Show how the check stands."""
        session, ui = self._session, self.ui
        if session.project is None:
            return
        report, running = session.table().report, self.checker.isRunning
        ui.busyFrame.setVisible(running)
        ui.summaryLabel.text = self._summary(report)
        ui.againButton.enabled = not running and not session.isReadOnly and bool(session.caseTable())
        ui.pageButton.setVisible((session.folder / PAGE).is_file())
        self._findings.show(report.findings, not session.isReadOnly)
        ui.forecastLabel.text = forecast_text(report, len(session.caseTable()), self.checker.isForecasting)
        ui.forecastFrame.setVisible(bool(report.stamp) and bool(session.caseTable()))

    def cleanUp(self) -> None:
        """End the check."""
        self.checker.discard()

    def onPage(self, *_arguments: object) -> None:
        """Open the report in the browser."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._session.folder / PAGE)))

    def onRemedy(self, remedy: Remedy, *_arguments: object) -> None:
        """Do what the button of a finding says."""
        cases = self.panel.section(CasesSection)
        if remedy.kind == "open":
            cases.openCase(remedy.cases[0])
            return
        if remedy.kind == "show cases":
            self.panel.showSection(CasesSection.__name__)
            return
        try:
            case_store.change_cases(self._session.folder, self._changes(remedy))
        except (UserError, OSError) as error:
            self.panel.say(str(error), "error")
        self._session.changed()

    def _changes(self, remedy: Remedy) -> dict[str, dict[str, object]]:
        """What a remedy changes in cases.json."""
        if remedy.kind == "leave out":
            return {name: {"left_out": True} for name in remedy.cases}
        wanted = {folded(name) for name in remedy.structures}
        changes = {}
        for row in self._session.caseTable():
            if row.name in remedy.cases:
                declared = [name for name, state in row.structures.items()
                            if state == NOT_ANNOTATED and folded(name) not in wanted]
                more = list(remedy.structures) if remedy.kind == "not annotated" else []
                changes[row.name] = {"not_annotated": [*declared, *more]}
        return changes

    def _onProgress(self, text: str, fraction: float | None) -> None:
        self.ui.busyLabel.text = text
        show_fraction(self.ui.busyBar, fraction)

    def _summary(self, report: CheckReport) -> str:
        session = self._session
        if not session.caseTable():
            return _("Add a labelled case first: the check begins by itself.")
        if session.isReadOnly and not report.stamp:
            return _("Nobody has checked this project yet.")
        if self.checker.trouble:
            return _("The check came to no result: {why}").format(why=self.checker.trouble)
        if self.checker.state == "checking":
            return _("Looking at every scan and label; it begins 2 s after a change.")
        faults, warnings = (sum(found.severity == kind for found in report.findings) for kind in ("fault", "warning"))
        if faults:
            return _("To be fixed before training: {n}. Worth a look: {w}.").format(n=faults, w=warnings)
        return _("Ready: nothing stops training. Worth a look: {w}.").format(w=warnings) if warnings else _(
            "Ready: nothing stops training.")


def forecast_text(report: CheckReport, n_cases: int, isForecasting: bool) -> str:
    """What a training takes on this computer, in sentences."""
    if not report.forecast:
        if isForecasting:
            return _("A few steps are being tried, to tell how long a training takes.")
        if not requirements.has_torch() and not chosen_python():
            return _("PyTorch is not installed, so nobody can tell yet how long a training takes. Cases and check work "
                     "without it.")
        return _("There is no forecast yet.")
    forecast, lines = report.forecast, []
    minutes = finite(forecast.get("minutes"))
    if minutes is not None:
        low, high = (in_words(60 * share * minutes) for share in PLAUSIBLE_SHARE)
        lines.append(_("{n} labelled cases: expect {low} to {high} on this computer.").format(
            n=n_cases, low=low, high=high))
    sentences = forecast.get("sentences")
    lines += [text for text in sentences if isinstance(text, str)] if isinstance(sentences, list) else []
    return "\n".join(lines)
