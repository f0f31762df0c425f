"""ALHVR Segmentation: segment a scan with a trained model, and see where the model is unsure."""

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
    from ALHVRLib.panel import Panel
    from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode


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


class ALHVRSegmentationWidget(ModuleWidget):
    """The panel in Slicer."""

    def makeLogic(self) -> ALHVRSegmentationLogic:
        """The parameter node."""
        return ALHVRSegmentationLogic()

    def makePanel(self) -> Panel:
        """All sections."""
        from ALHVRLib.panel import Panel  # not when Slicer starts
        from ALHVRSegmentationLib.sections import NOTICE, SECTIONS

        return Panel(self, self.logic, SECTIONS, NOTICE)


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
