"""Region colours: the one table of them, and the colour nodes that show regions in the scene."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from alhvr.formats.region_tables import REGION_NAMES, RELIABLE_STABLE, RELIABLE_UNSTABLE, UNRELIABLE_STABLE

REGION_COLOURS = {RELIABLE_STABLE: (0.125, 0.753, 0.565), RELIABLE_UNSTABLE: (0.941, 0.878, 0.0),
                  UNRELIABLE_STABLE: (0.816, 0.0, 0.784)}
"""Green, yellow and magenta, whose hues stay apart for colour-blind people whatever grey of the scan shines through."""


def add_region_colours(name: str, *, hidden: bool = False) -> slicer.vtkMRMLColorTableNode:
    """A new colour node in the scene with the names and colours of the regions; hidden: from editors."""
    colours = slicer.mrmlScene.CreateNodeByClass("vtkMRMLColorTableNode")
    colours.UnRegister(None)
    colours.SetTypeToUser()
    colours.SetName(name)
    if hidden:
        colours.SetHideFromEditors(True)
    colours.SetNumberOfColors(1 + len(REGION_NAMES))
    colours.SetColor(0, _("background"), 0, 0, 0, 0)
    for region, title in REGION_NAMES.items():
        colours.SetColor(region, title, *REGION_COLOURS[region], 1)
    slicer.mrmlScene.AddNode(colours)
    return colours
