"""HeaderSection: project, state, counts and the last result, always visible; without a project the ways to begin."""

from __future__ import annotations

from ALHVRLib.section import Section


class HeaderSection(Section):
    """What is the case, in a few lines."""

    UI = "ALHVRTrainerHeader.ui"

    def refresh(self) -> None:
        """Show project and state."""
        session = self.panel.logic.session
        project = session.project
        self.ui.nameLabel.text = "" if project is None else project.name
        self.ui.stateLabel.text = session.sentence
