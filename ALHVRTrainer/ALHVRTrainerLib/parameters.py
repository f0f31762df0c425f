"""Parameters: what the panel remembers in the scene. The project remembers all else: its folder is the truth."""


from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class ALHVRTrainerParameterNode:
    """Names of the fields are the SlicerParameterName of the widgets."""

    # The pair that becomes a labelled case
    caseVolume: vtkMRMLScalarVolumeNode
    caseSegmentation: vtkMRMLSegmentationNode
