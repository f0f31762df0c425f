"""SettingsSection: how long, from where, with or without the archive, all else folded away, and the button Train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.formats.settings_description import (
    SETTINGS,
    SettingDescription,
    config_of,
    preset_of,
    value_in,
    with_value,
)
from ALHVRLib.models import store
from ALHVRLib.section import Section, keep_in_panel
from ALHVRTrainerLib.check.section import CheckSection
from ALHVRTrainerLib.project_session import BUSY
from ALHVRTrainerLib.python_setup import PythonSection
from ALHVRTrainerLib.settings.length import (
    CUSTOM,
    LONGEST_MINUTES,
    MINUTES,
    Defaults,
    in_hours,
    keep_defaults,
    place_of,
    plan_in_words,
    user_defaults,
)
from ALHVRTrainerLib.settings.row import PREVIEWS, PreviewRow, SettingRow
from ALHVRTrainerLib.training.section import TrainingSection

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel
    from ALHVRTrainerLib.project_session import ProjectSession

MAY_BEGIN = ("ready", "finished")
"""States in which a training can begin; while one goes on, another can wait for it."""
SCRATCH = 0
"""Place of "from scratch" among the models."""
BUTTON_HEIGHT = 42
MOST_SENTENCES, LONGEST_SENTENCE = 5, 300
"""Of a forecast."""


class SettingsSection(Section):
    """The part of the panel that holds the choices of the next training; all of them are entries of project.json."""

    UI = "ALHVRTrainerSettings.ui"
    TITLE = _("Settings")
    COLLAPSED = True

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._rows = [SettingRow(setting, self.ui.rowsFrame, self.onSetting) for setting in SETTINGS]
        boxes = (self.ui.heldOutBox, self.ui.archiveScanBox)
        self._previews = [PreviewRow(setting, box, self.onSetting)
                          for setting, box in zip(PREVIEWS, boxes, strict=True)]
        self._starts: list[str | None] = [None]
        """What each place of the list of models stands for, as in project.json."""
        self._custom = False
        """The slider was moved to its last place, where the number is typed."""
        self._showing = False

    @property
    def _session(self) -> ProjectSession:
        return self.panel.logic.session

    def setUp(self) -> None:
        """Make the rows of what is folded, and connect all."""
        grid = qt.QGridLayout(self.ui.rowsFrame)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(1)
        grid.setColumnStretch(1, 1)
        before = self.ui.moreButton
        for row in self._rows:
            row.addTo(grid)
            qt.QWidget.setTabOrder(before, row.field)
            qt.QWidget.setTabOrder(row.field, row.reset)
            before = row.reset
        qt.QWidget.setTabOrder(before, self.ui.resetButton)
        self._wrapped = keep_in_panel(self.frame)
        self.ui.lengthSlider.maximum = CUSTOM
        self.ui.minutesBox.setRange(1.0, LONGEST_MINUTES)
        self.ui.trainButton.setMinimumHeight(BUTTON_HEIGHT)
        self.ui.lengthSlider.connect("valueChanged(int)", self.onLength)
        self.ui.minutesBox.connect("valueChanged(double)", self.onMinutes)
        self.ui.startBox.connect("currentIndexChanged(int)", self.onStart)
        self.ui.compareBox.connect("toggled(bool)", self.onCompare)
        self.ui.resetButton.connect("clicked()", self.onResetAll)
        self.ui.defaultsButton.connect("clicked()", self.onKeepDefaults)
        self.ui.trainButton.connect("clicked()", self.onTrain)
        self._session.onOpened.append(self.onOpened)

    def refresh(self) -> None:
        """Show what the project says, and whether a training can begin."""
        project = self._session.project
        self.ui.choicesFrame.setEnabled(project is not None and not self._session.isReadOnly)
        if project is not None:
            self._showing = True
            try:
                self._showProject()
            finally:
                self._showing = False
        self._refreshButton()

    def modelsChanged(self) -> None:
        """List the models that are there now."""
        self.refresh()

    def onOpened(self) -> None:
        """A project in which nothing was done yet begins with the user's defaults."""
        session = self._session
        self._custom = False
        project = session.project
        if project is None or session.isReadOnly or project.settings or project.runs() or session.caseTable():
            return
        chosen = user_defaults()
        if (chosen.settings, chosen.minutes, chosen.compare) != (project.settings, project.minutes, project.compare):
            self._save(settings=chosen.settings, minutes=chosen.minutes, compare=chosen.compare)

    def onLength(self, place: int) -> None:
        """The slider was moved."""
        if self._showing:
            return
        self._custom = place == CUSTOM
        if self._custom:
            self.refresh()
            self.ui.minutesBox.setFocus()
        else:
            self._save(minutes=MINUTES[place])

    def onMinutes(self, minutes: float) -> None:
        """A number was typed."""
        if not self._showing:
            self._save(minutes=float(minutes))

    def onStart(self, place: int) -> None:
        """A model to begin from was chosen."""
        if not self._showing and 0 <= place < len(self._starts):
            self._save(start_from=self._starts[place])

    def onCompare(self, on: bool) -> None:
        """With or without the training that shows what the archive brings."""
        if not self._showing:
            self._save(compare=bool(on))

    def onSetting(self, setting: SettingDescription, value: Any) -> None:
        """A folded setting was changed; what is not accepted is said, and the old value stays."""
        settings = self._session.project.settings
        if value_in(settings, setting) == value:
            return
        problem = setting.problem(value, settings)
        if problem:
            self.panel.say(problem, "warning")
            self.refresh()
        else:
            self._save(settings=with_value(settings, setting, value))

    def onResetAll(self, *_arguments: object) -> None:
        """All that is folded back to the defaults; what the window does not show stays."""
        settings = self._session.project.settings
        for setting in SETTINGS:
            settings = with_value(settings, setting, setting.default())
        for setting in SETTINGS:  # once more: the preset had defaults of its own
            settings = with_value(settings, setting, setting.default())
        self._save(settings=settings)

    def onKeepDefaults(self, *_arguments: object) -> None:
        """New projects begin as this one is."""
        project = self._session.project
        settings = {part: values for part, values in project.settings.items() if part != "preview"}  # names of scans
        keep_defaults(Defaults(settings, project.minutes, project.compare))
        self.panel.say(_("New projects begin with these settings."))

    def onTrain(self, *_arguments: object) -> None:
        """Begin, or wait for the training that goes on."""
        reason = self.whyNot()
        if reason:
            self.panel.say(reason, "warning")
            return
        try:
            self.panel.say(self.panel.section(TrainingSection).control.start())
        except UserError as error:
            self.panel.say(str(error), "error")
            return
        self.panel.showSection("TrainingSection")

    def whyNot(self) -> str:
        """Why no training can begin now, in one sentence; "" where it can."""
        session = self._session
        faults = session.hasFault()
        if faults:
            return faults[0]
        missing = self.panel.section(PythonSection).missingText()
        if missing:
            return missing
        try:
            config_of(session.project.settings)
        except UserError as error:
            return str(error)
        if session.state in MAY_BEGIN or session.state in BUSY:
            return ""
        if session.state in ("paused", "failed", "lost"):
            return _("The last training is not over: resume or discard it in the section Training.")
        return session.sentence

    def _save(self, **changes: Any) -> None:
        try:
            self._session.save(**changes)
        except UserError as error:
            self.panel.say(str(error), "error")
            self.refresh()

    def _showProject(self) -> None:
        project, settings = self._session.project, self._session.project.settings
        place = CUSTOM if self._custom else place_of(project.minutes)
        self.ui.lengthSlider.setValue(place)
        self.ui.minutesBox.setVisible(place == CUSTOM)
        if project.minutes is not None:
            self.ui.minutesBox.setValue(project.minutes)
        self.ui.lengthLabel.text = _("As in the settings") if project.minutes is None else in_hours(project.minutes)
        has_archive = bool(project.archive)
        self.ui.compareBox.setVisible(has_archive)
        self.ui.compareBox.setChecked(project.compare)
        extra = "" if project.minutes is None else _(" (+ {time})").format(time=in_hours(project.minutes))
        self.ui.compareBox.text = _("Also train without the archive{extra}").format(extra=extra)
        self.ui.planLabel.text = plan_in_words(project.minutes, project.compare, has_archive)
        self._fillStarts(project.start_from)
        for row in self._rows:
            preset = "standard" if row.setting.key == "method.preset" else preset_of(settings)
            row.show(value_in(settings, row.setting), row.setting.default(preset), not self._session.isReadOnly)
        self._showPreviews()
        words = self._forecastWords()
        self.ui.forecastLabel.text = words
        self.ui.forecastLabel.setVisible(bool(words))

    def _showPreviews(self) -> None:
        """Which scans can be shown while it trains: those that are held out and those that the check could read."""
        table, settings = self._session.table(), self._session.project.settings
        held_out = [row.name for row in table.rows if row.heldOut and not row.leftOut]
        archive = [scan.name for scan in table.report.archive if scan.name and not scan.problem]
        for row, names in zip(self._previews, (held_out, archive), strict=True):
            row.show(names, value_in(settings, row.setting))
        has_archive = bool(self._session.project.archive)
        for widget in (self.ui.archiveScanTitle, self.ui.archiveScanBox):
            widget.setVisible(has_archive)

    def _forecastWords(self) -> str:
        """What the training will take on this computer, as the check tried it; "" where nobody knows."""
        if self.panel.section(CheckSection).checker.isForecasting:
            return _("Trying what these settings take...")
        return words_of(self._session.table().report.forecast)

    def _fillStarts(self, chosen: str | None) -> None:
        """From scratch, then the models, those of the same structures first, then what the project names besides."""
        names = set(self._session.table().names)
        models = [model for model in store.installed() if not model.problem]
        models.sort(key=lambda model: {label.name for label in model.labels} != names)
        project = self._session.project
        titles = [_("Scratch"), *(_title(model, names) for model in models)]
        starts = [None, *(project.stored(model.folder) for model in models)]
        if chosen not in starts:
            titles.append(_("{path} (of the project)").format(path=chosen))
            starts.append(chosen)
        if starts != self._starts or self.ui.startBox.count != len(starts):
            self._starts = starts
            self.ui.startBox.clear()
            for title in titles:
                self.ui.startBox.addItem(title)
        self.ui.startBox.setCurrentIndex(starts.index(chosen))

    def _refreshButton(self) -> None:
        reason, waits = self.whyNot(), self._session.state in BUSY
        self.ui.trainButton.setEnabled(not reason)
        self.ui.trainButton.text = _("Train after the one that goes on") if waits else _("Train")
        self.ui.whyLabel.text = reason
        self.ui.whyLabel.setVisible(bool(reason))


def words_of(forecast: dict[str, Any]) -> str:
    """The sentences of a forecast, as one text of sane length."""
    sentences = forecast.get("sentences")
    texts = [text for text in sentences if isinstance(text, str)] if isinstance(sentences, list) else []
    return " ".join(text[:LONGEST_SENTENCE] for text in texts[:MOST_SENTENCES])


def _title(model: store.InstalledModel, names: set[str]) -> str:
    same = {label.name for label in model.labels} == names
    return _("{model} (same structures)").format(model=model.title) if same else model.title
