"""ALHVR Trainer: train a model from a few labelled scans and an archive, see whether it helped, label the next case."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from ALHVRTrainerLib.parameters import ALHVRTrainerParameterNode

LIBRARIES = ("ALHVRLib", "ALHVRSegmentationLib", "ALHVRTrainerLib")  # loaded again together


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


class ALHVRTrainerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel's life in Slicer: scene and parameter node come and go, project and sections stay."""

    def __init__(self, parent: object | None = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self) -> None:
        """Build the sections; what they need besides Slicer is looked for when they need it."""
        super().setup()
        from ALHVRTrainerLib.sections import NOTICE, SECTIONS
        from ALHVRTrainerLib.trainer_panel import TrainerPanel  # not when Slicer starts

        self.logic = ALHVRTrainerLogic()
        self.panel = TrainerPanel(self, self.logic, SECTIONS, NOTICE)
        self.panel.build()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneReady)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneReady)
        self.panel.follow(self.logic.getParameterNode())

    def enter(self) -> None:
        """The panel is shown."""
        self.panel.follow(self.logic.getParameterNode())

    def exit(self) -> None:
        """Another panel is shown; a run goes on."""
        self.panel.follow(None)

    def onSceneStartClose(self, *_arguments: object) -> None:
        """Hold nothing of a scene that goes; the project stays."""
        self.panel.dropScene()

    def onSceneReady(self, *_arguments: object) -> None:
        """Begin anew where the panel is on the screen."""
        if self.parent.isEntered:
            self.panel.follow(self.logic.getParameterNode())

    def cleanup(self) -> None:
        """Forget all nodes and give the project free; a run goes on. After a reload Slicer calls it again."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanUp()
            self.logic.session.close()
            self.panel = None

    def onReload(self) -> None:
        """Load the files of both libraries again too, not only this one."""
        for name in [name for name in sys.modules if name.partition(".")[0] in LIBRARIES]:
            del sys.modules[name]
        super().onReload()


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
