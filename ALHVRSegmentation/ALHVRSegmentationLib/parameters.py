"""Parameters: everything the panel remembers in the scene, each with its type and range."""


import enum
from typing import Annotated

from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class RunOn(enum.Enum):
    """Where the networks run."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"

    def label(self) -> str:
        """The text in the panel."""
        return {"auto": _("Fastest available"), "cpu": _("Processor (CPU)"), "gpu": _("Graphics card (GPU)")}[
            self.value
        ]


class Fusion(enum.Enum):
    """How the two networks become one answer."""

    AS_TRAINED = ""
    MEAN = "mean"
    COMPETITION = "competition"

    def label(self) -> str:
        """The text in the panel."""
        return {
            "": _("As the model was validated"),
            "mean": _("Mean of both networks"),
            "competition": _("The more confident network"),
        }[self.value]


@parameterNodeWrapper
class ALHVRSegmentationParameterNode:
    """Names of the fields are the SlicerParameterName of the widgets."""

    # What is segmented, with what, and into what
    inputVolume: vtkMRMLScalarVolumeNode
    channel2: vtkMRMLScalarVolumeNode
    channel3: vtkMRMLScalarVolumeNode
    channel4: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    model: str = ""  # name of a folder of installed models
    allFrames: bool = False  # of a sequence; otherwise the one that is shown
    withRegions: bool = True
    runOn: RunOn = RunOn.AUTO
    fusion: Fusion = Fusion.AS_TRAINED
    temperature: Annotated[float, WithinRange(0.05, 1.0)] = 0.1  # T of Eq. 22

    # The regions and how they are shown
    regions: vtkMRMLLabelMapVolumeNode
    showRegions: bool = False
    regionOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    showReliableStable: bool = False
    showReliableUnstable: bool = True
    showUnreliableStable: bool = True
    beta: Annotated[float, WithinRange(0.0, 1.0)] = 0.8  # share of the least confident voxels that sets gamma, Eq. 11
