"""ALHVR Trainer: train a model from a few labelled scans and an archive, see whether it helped, label the next case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)

from ALHVRLib.module_widget import ModuleWidget

if TYPE_CHECKING:
    from ALHVRTrainerLib.parameters import ALHVRTrainerParameterNode
    from ALHVRTrainerLib.trainer_panel import TrainerPanel


class ALHVRTrainer(ScriptedLoadableModule):
    """The module's description in Slicer."""

    def __init__(self, parent: object) -> None:
        super().__init__(parent)
        self.parent.title = _("ALHVR Trainer")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["ALHVRSegmentation"]
        self.parent.contributors = ["ALHVR maintainers"]
        self.parent.helpText = _(
            "Trains a segmentation model from a few labelled scans and an archive without labels, on this computer, "
            "and shows whether the archive helped. Research software, not a medical device: check every result by eye."
        )
        self.parent.acknowledgementText = _(
            "The method: Lei et al., Adaptive Learning of High-Value Regions for Semi-Supervised Medical Image "
            "Segmentation, ICCV 2025."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self, *_arguments: object) -> None:
        """Offer the generated project in Slicer's Sample Data, and show by a dot that a training goes on."""
        from ALHVRTrainerLib.run.sign import StartLook

        from ALHVRLib.sample_data import register_sample

        register_sample("ALHVRTrainingSample", "ALHVRTrainer", "ALHVRTrainerLib.header_section:HeaderSection")
        self._look = StartLook()


class ALHVRTrainerWidget(ModuleWidget):
    """The panel in Slicer; the project stays when scenes come and go."""

    def makeLogic(self) -> ALHVRTrainerLogic:
        """The parameter node and the project."""
        return ALHVRTrainerLogic()

    def makePanel(self) -> TrainerPanel:
        """All sections."""
        from ALHVRTrainerLib.sections import NOTICE, SECTIONS
        from ALHVRTrainerLib.trainer_panel import TrainerPanel  # not when Slicer starts

        return TrainerPanel(self, self.logic, SECTIONS, NOTICE)

    def cleanup(self) -> None:
        """Give the project free too; a run goes on."""
        super().cleanup()
        if self.logic is not None:
            self.logic.session.close()


class ALHVRTrainerLogic(ScriptedLoadableModuleLogic):
    """The parameter node and the project; the work is done by the parts of ALHVRTrainerLib."""

    def __init__(self) -> None:
        super().__init__()
        from ALHVRTrainerLib.project_session import ProjectSession

        self.session = ProjectSession()

    def getParameterNode(self) -> ALHVRTrainerParameterNode:
        """The typed parameter node of the scene."""
        from ALHVRTrainerLib.parameters import ALHVRTrainerParameterNode

        return ALHVRTrainerParameterNode(super().getParameterNode())


class ALHVRTrainerTest(ScriptedLoadableModuleTest):
    """Reload and Test: what can be tried in any Slicer within seconds."""

    def runTest(self, **_options: object) -> None:
        """The panel opens without a project and says what to do."""
        from ALHVRTrainerLib.project_session import ProjectSession

        self.assertEqual(ProjectSession().state, "empty")
