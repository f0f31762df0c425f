"""DICOM plugin: the one file that knows Slicer's own DICOM-SEG plugin, its conditions, its tags and its answers.

Facts of Slicer 5.12: the plugin takes the series' files from the attribute DICOM.instanceUIDs of the reference volume
and copies them by their base names; it demands coded terms, an algorithm name for what is not manual, and asks with a
pop-up whether an image without any voxel is to be left out; it answers with "" or the text of an error.
"""

import importlib.util
import pathlib
from collections import Counter

import slicer
from slicer.i18n import tr as _

from ALHVRSegmentationLib.scene.errors import SceneError

MODULE = "DICOMSegmentationPlugin"
INSTANCES = "DICOM.instanceUIDs"
TAGS = {"SeriesNumber": "300", "ContentCreatorName": "ALHVR", "ClinicalTrialCoordinatingCenterName": "none"}
"""Tags that the plugin reads besides SeriesDescription; its own defaults name a project that has no part in this."""


def is_there():
    """Whether this Slicer has the plugin; nothing is loaded to find out."""
    return importlib.util.find_spec(MODULE) is not None


def instance_uids(volumeNode):
    """UIDs of the DICOM images that a volume was loaded from."""
    return (volumeNode.GetAttribute(INSTANCES) or "").split()


def missing_files(volumeNode):
    """A sentence where the DICOM database cannot give the files of the volume's images; else ""."""
    database = getattr(slicer, "dicomDatabase", None)
    files = [] if database is None else [str(database.fileForInstance(uid) or "") for uid in instance_uids(volumeNode)]
    gone = sum(not file or not pathlib.Path(file).is_file() for file in files)
    if database is None or gone:
        text = _("The DICOM images of the scan {name} are not in Slicer's DICOM database: import them there first.")
        return text.format(name=volumeNode.GetName())
    twice = [name for name, count in Counter(pathlib.Path(file).name for file in files).items() if count > 1]
    if twice:
        text = _("The DICOM images of the scan {name} have equal file names in several folders ({file}), which "
                 "Slicer's exporter would mix up: import them into the DICOM database as copies.")  # fmt: skip
        return text.format(name=volumeNode.GetName(), file=twice[0])
    return ""


def run_plugin(draft, description, folder):
    """Have the plugin write a segmentation node into a folder, and into the DICOM database; returns the file.

    Args:
        draft: segmentation in the study of its scan, no segment of it empty.
        description: becomes the series description.

    Raises SceneError with what the plugin said.
    """
    import DICOMSegmentationPlugin

    plugin = DICOMSegmentationPlugin.DICOMSegmentationPluginClass()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    exportables = plugin.examineForExport(tree.GetItemByDataNode(draft))
    if not exportables:
        raise SceneError(_("Slicer's DICOM exporter does not take this segmentation: a DICOM file of it is gone."))
    for exportable in exportables:
        exportable.directory = str(folder)
        for name, text in {**TAGS, "SeriesDescription": description}.items():
            exportable.setTag(name, text)
    answer = plugin.export(exportables)
    if answer:
        reason = " ".join(str(answer).split())[:400]
        raise SceneError(_("Slicer's DICOM exporter refused: {reason}").format(reason=reason))
    files = sorted(pathlib.Path(folder).glob("*.dcm"))
    if len(files) != 1:
        raise SceneError(_("Slicer's DICOM exporter said nothing and wrote nothing: look into its error log."))
    return files[0]
