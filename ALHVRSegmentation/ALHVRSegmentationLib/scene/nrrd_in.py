"""NRRD in: the voxels of a file that the engine wrote, as an array; knows no node."""

import pathlib

from slicer.i18n import tr as _

from ALHVRSegmentationLib.scene.errors import SceneError

KINDS = ("uint8", "uint16", "float32")
"""Number types of the engine's results."""


def read_nrrd_array(path):
    """The voxels [K, J, I] of a result of the engine.

    Raises SceneError, in one sentence, when the file is missing, cut short or of another kind.
    """
    import SimpleITK

    path = pathlib.Path(path)
    try:
        array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="NrrdImageIO"))
        if array.ndim != 3 or array.dtype.name not in KINDS:
            raise ValueError(_("it is no volume as the engine writes them"))
    except (RuntimeError, ValueError, MemoryError) as error:
        reason = str(error).strip().rpartition("\n")[2] or type(error).__name__
        text = _("The result {name} cannot be read ({reason}): run the segmentation again.")
        raise SceneError(text.format(name=path.name, reason=reason)) from error
    return array
