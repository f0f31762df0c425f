"""Sample Data: offers the modules' samples in Slicer's module of that name: they are generated here."""

from __future__ import annotations

import importlib
import importlib.util
from functools import partial

import slicer
from slicer.i18n import tr as _

from ALHVRLib import paths

CATEGORY = "ALHVR"


def register_sample(name: str, module: str, section: str) -> None:
    """Called when Slicer has started; a Slicer without the module Sample Data goes without.

    Args:
        name: of the sample, letters and digits.
        module: whose panel makes it.
        section: "package.file:Class" of the section whose onSample() is called, so that progress and Cancel
            are seen in its panel; it is imported then.
    """
    if importlib.util.find_spec("SampleData") is None:
        return
    from SampleData import SampleDataLogic

    if hasattr(SampleDataLogic, "registerCustomSampleDataCategory"):  # since 5.12
        SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("ALHVR"))
    SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=name,
        uris="",
        fileNames=f"{name}.nrrd",
        nodeNames=name,
        customDownloader=partial(_make, module, section),
        thumbnailFileName=str(paths.shared_resource("Icons/ALHVRSample.png")),
    )


def _make(module: str, section: str, _source: object | None = None) -> None:
    """Open the panel of a module and let it make its sample."""
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule(module)
    panel = getattr(slicer.modules, module.lower()).widgetRepresentation().self().panel
    file, _colon, name = section.partition(":")
    panel.section(getattr(importlib.import_module(file), name)).onSample()
