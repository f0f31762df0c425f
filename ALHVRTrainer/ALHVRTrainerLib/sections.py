"""Sections: the parts of this module's panel, from top to bottom; a line each, as several people add to it."""

from __future__ import annotations

from slicer.i18n import tr as _

from ALHVRTrainerLib.cases.section import CasesSection
from ALHVRTrainerLib.check.section import CheckSection
from ALHVRTrainerLib.header_section import HeaderSection
from ALHVRTrainerLib.outcome.section import OutcomeSection
from ALHVRTrainerLib.python_setup import SETUP, PythonSection
from ALHVRTrainerLib.review.section import ReviewSection
from ALHVRTrainerLib.settings.section import SettingsSection
from ALHVRTrainerLib.training.section import TrainingSection

NOTICE = _("Research software, not a medical device. Check every result by eye.")
SECTIONS = (
    HeaderSection,
    SETUP,
    PythonSection,
    CasesSection,
    CheckSection,
    SettingsSection,
    TrainingSection,
    OutcomeSection,
    ReviewSection,
)
