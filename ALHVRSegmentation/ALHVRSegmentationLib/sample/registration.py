"""Registration: offers the sample in Slicer's module Sample Data too; nothing is downloaded, it is made here."""

from __future__ import annotations

import importlib.util
import pathlib

import slicer
from slicer.i18n import tr as _

CATEGORY, NAME = "ALHVR", "ALHVRSample"
MODULE = "ALHVRSegmentation"
MODULE_FOLDER = pathlib.Path(__file__).resolve().parents[2]


def register_sample_data() -> None:
    """Called when Slicer has started; a Slicer without the module Sample Data goes without."""
    if importlib.util.find_spec("SampleData") is None:
        return
    from SampleData import SampleDataLogic

    if hasattr(SampleDataLogic, "registerCustomSampleDataCategory"):  # since 5.12
        SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("ALHVR"))
    SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=NAME,
        uris="",
        fileNames="ALHVRSample.nrrd",
        nodeNames=NAME,
        customDownloader=make_sample,
        thumbnailFileName=str(MODULE_FOLDER / "Resources" / "Icons" / "ALHVRSample.png"),
    )


def make_sample(_source: object | None = None) -> None:
    """Open the panel and press its button, so that progress, Cancel and the outcome are seen there."""
    from ALHVRSegmentationLib.models.section import ModelsSection

    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule(MODULE)
    widget = getattr(slicer.modules, MODULE.lower()).widgetRepresentation().self()
    widget.panel.section(ModelsSection).onSample()
