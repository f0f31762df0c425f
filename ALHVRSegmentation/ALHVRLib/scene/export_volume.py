"""Volumes out: the voxels of a volume node and their place in the patient, exactly, in a file that the engine reads."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.frames import place_of

NRRD_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
"""Number types of volumes that a file can hold."""
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
FLAT = 1e-6
"""Volume that the unit axes of a grid have to span, at least; as the engine demands it."""


def export_volume(volumeNode: slicer.vtkMRMLVolumeNode, path: pathlib.Path | str) -> None:
    """Write the voxels as uncompressed NRRD, with the index-to-patient matrix of `ijk_to_ras`, exact for any grid.

    Args:
        volumeNode: scalar volume of any orientation, spacing, shear and number type; one slice is enough. A frame
            of a sequence stands under the transform of the sequence's proxy.
        path: of the new file; an existing one is replaced when the new one is whole.

    Raises SceneError, in one sentence, when the volume cannot be written; no file is left behind then.
    """
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels(volumeNode)))
    matrix = RAS_TO_LPS @ ijk_to_ras(volumeNode)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    path = pathlib.Path(path)
    part = path.with_name(f".part-{path.name}")
    try:
        SimpleITK.WriteImage(image, str(part), useCompression=False, imageIO="NrrdImageIO")
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or _reason(error, path.parent, image)
        text = _("The scan could not be written to {folder}: {reason}.")
        raise SceneError(text.format(folder=path.parent, reason=reason)) from error
    finally:
        part.unlink(missing_ok=True)


def voxels(volumeNode: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """The voxels of a scalar volume, a view [K, J, I]; SceneError without any, or with several per point."""
    image = volumeNode.GetImageData()
    name = volumeNode.GetName()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise SceneError(_("The volume {name} holds no voxels: load or choose another one.").format(name=name))
    numbers = image.GetNumberOfScalarComponents()
    if numbers != 1:
        text = _("The volume {name} has {count} components per voxel (colours or vectors), 1 is required: "
                 "extract one component with the module Vector to Scalar Volume.")  # fmt: skip
        raise SceneError(text.format(name=name, count=numbers))
    array = slicer.util.arrayFromVolume(volumeNode)
    if array.dtype.name not in NRRD_TYPES:
        text = _("The volume {name} holds values of type {type}, which is not supported: cast it first.")
        raise SceneError(text.format(name=name, type=image.GetScalarTypeAsString()))
    return array


def ijk_to_ras(volumeNode: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """(4, 4) float64: array index (I, J, K, 1) to millimetres, RAS.

    In the world where every transform above the volume is linear; in the volume's own space where one is not, as then
    the grid is no grid in the world. The array's first voxel is index 0, whatever the image's extent.
    """
    own = own_ijk_to_ras(volumeNode)
    transform = place_of(volumeNode).GetParentTransformNode()
    if transform is not None and transform.IsTransformToWorldLinear():
        to_world = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToWorld(to_world)
        own = slicer.util.arrayFromVTKMatrix(to_world) @ own
    axes = own[:3, :3] / np.maximum(np.linalg.norm(own[:3, :3], axis=0), np.finfo(float).tiny)
    if not np.isfinite(own).all() or abs(np.linalg.det(axes)) < FLAT:
        text = _("The volume {name} is flat or has no size in the patient: check its spacing and its transform.")
        raise SceneError(text.format(name=volumeNode.GetName()))
    return own


def own_ijk_to_ras(volumeNode: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """(4, 4) float64: array index (I, J, K, 1) to millimetres in the volume's own space, RAS."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    own = np.array(slicer.util.arrayFromVTKMatrix(matrix), dtype=float)
    first = np.eye(4)
    first[:3, 3] = volumeNode.GetImageData().GetExtent()[::2]
    return own @ first


def _reason(error: Exception, folder: pathlib.Path, image: Any) -> str:
    """Why SimpleITK could not write; its own words speak of functions, not of disks."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < image.GetNumberOfPixels() * image.GetSizeOfPixelComponent():
            return _("the disk is full")
    return str(error).strip().rpartition("\n")[2].strip()
