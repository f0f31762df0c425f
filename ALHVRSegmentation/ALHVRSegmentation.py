"""ALHVR Segmentation: segment a scan with a trained model, and see where the model is unsure."""

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
    from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode

LIBRARIES = ("ALHVRLib", "ALHVRSegmentationLib", "ALHVRTrainerLib")  # loaded again together


class ALHVRSegmentation(ScriptedLoadableModule):
    """The module's description in Slicer."""

    def __init__(self, parent: object) -> None:
        super().__init__(parent)
        self.parent.title = _("ALHVR Segmentation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["ALHVR maintainers"]
        self.parent.helpText = _(
            "Segments a scan with a trained ALHVR model and shows the regions where the model is unsure. "
            "Research software, not a medical device: check every result by eye."
        )
        self.parent.acknowledgementText = _(
            "The method: Lei et al., Adaptive Learning of High-Value Regions for Semi-Supervised Medical Image "
            "Segmentation, ICCV 2025."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self, *_arguments: object) -> None:
        """Offer the generated scan and model in Slicer's Sample Data."""
        from ALHVRLib.sample_data import register_sample

        register_sample("ALHVRSample", "ALHVRSegmentation", "ALHVRSegmentationLib.models.section:ModelsSection")


class ALHVRSegmentationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel's life in Slicer: scene and parameter node come and go, the sections stay."""

    def __init__(self, parent: object | None = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self) -> None:
        """Build the sections; what they need besides Slicer is looked for when they need it."""
        super().setup()
        from ALHVRLib.panel import Panel  # not when Slicer starts
        from ALHVRSegmentationLib.sections import NOTICE, SECTIONS

        self.logic = ALHVRSegmentationLogic()
        self.panel = Panel(self, self.logic, SECTIONS, NOTICE)
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
        """Another panel is shown: what the user does there is not ours to react to; a running job goes on."""
        self.panel.follow(None)

    def onSceneStartClose(self, *_arguments: object) -> None:
        """Hold nothing of a scene that goes."""
        self.panel.dropScene()

    def onSceneReady(self, *_arguments: object) -> None:
        """Begin anew, with what a loaded scene remembers, where the panel is on the screen."""
        if self.parent.isEntered:
            self.panel.follow(self.logic.getParameterNode())

    def cleanup(self) -> None:
        """End what runs, forget all nodes."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanUp()

    def onReload(self) -> None:
        """Load the files of the library again too, not only this one."""
        for name in [name for name in sys.modules if name.partition(".")[0] in LIBRARIES]:
            del sys.modules[name]
        super().onReload()


class ALHVRSegmentationLogic(ScriptedLoadableModuleLogic):
    """The parameter node; the work is done by the parts of ALHVRSegmentationLib."""

    def getParameterNode(self) -> ALHVRSegmentationParameterNode:
        """The typed parameter node of the scene."""
        from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode

        return ALHVRSegmentationParameterNode(super().getParameterNode())


class ALHVRSegmentationTest(ScriptedLoadableModuleTest):
    """Reload and Test: what can be tried in any Slicer within seconds."""

    def runTest(self, **_options: object) -> None:
        """Run every test of ALHVRSegmentationLib.selftest."""
        from ALHVRSegmentationLib.selftest import run_self_test

        run_self_test(self)
