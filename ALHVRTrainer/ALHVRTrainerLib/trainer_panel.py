"""TrainerPanel: a panel whose titled sections are steps, of which one is open at a time."""

from __future__ import annotations

from functools import partial

from ALHVRLib.panel import Panel
from ALHVRLib.section import Section


class TrainerPanel(Panel):
    """Opening a step folds the others; sections without a title, such as the header, are always there."""

    _hidden = False

    def build(self) -> None:
        """Make all sections, and open the first step."""
        super().build()
        self.logic.session.onChange = self.refresh
        for section in self._steps():
            section.frame.connect("contentsCollapsed(bool)", partial(self._onFolded, section))
        self.refresh()

    def refresh(self, *_arguments: object) -> None:
        """Let every section show what is the case; without a project there is no step."""
        there = self.logic.session.project is not None
        if there and self._hidden:
            for section in self._steps():
                section.frame.show()
        super().refresh()
        self._hidden = not there
        if not there:
            for section in self._steps():
                section.frame.hide()

    def showSection(self, name: str) -> None:
        """Open the step whose class has this name, such as "CheckSection"; the others fold."""
        next(section for section in self._steps() if type(section).__name__ == name).frame.collapsed = False

    @property
    def openSection(self) -> str:
        """Name of the class of the step that is open; "" when all are folded."""
        return next((type(step).__name__ for step in self._steps() if not step.frame.collapsed), "")

    def _steps(self) -> list[Section]:
        return [section for section in self.sections if section.TITLE]

    def _onFolded(self, opened: Section, folded: bool) -> None:
        if folded:
            return
        for section in self._steps():
            if section is not opened:
                section.frame.collapsed = True
