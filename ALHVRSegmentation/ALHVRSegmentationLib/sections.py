"""Sections: the parts of this module's panel, from top to bottom."""

from __future__ import annotations

from functools import partial

from slicer.i18n import tr as _

from ALHVRLib.requirements import ONNXRUNTIME
from ALHVRLib.setup_section import SetupSection
from ALHVRSegmentationLib.export.section import ExportSection
from ALHVRSegmentationLib.models.section import ModelsSection
from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode, RunOn
from ALHVRSegmentationLib.regions.section import RegionsSection
from ALHVRSegmentationLib.sample.section import SampleSection
from ALHVRSegmentationLib.segment.section import SegmentSection


def needs_torch(parameters: ALHVRSegmentationParameterNode) -> bool:
    """Whether the choices in the panel need PyTorch."""
    return parameters.runOn == RunOn.GPU


NOTICE = _("Research software, not a medical device. Check every result by eye.")
SETUP = partial(SetupSection, purpose=_("Segmenting"), requirements=(ONNXRUNTIME,), needsTorch=needs_torch)
SECTIONS = (SampleSection, SETUP, SegmentSection, RegionsSection, ModelsSection, ExportSection)
