"""Label images: voxels of the engine's results, what their values mean, and what segments are made of."""

from __future__ import annotations

import hashlib
import pathlib

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from alhvr.core.errors import ModelError
from alhvr.formats.labels import Label
from alhvr.formats.model_description import read_summary
from ALHVRLib.scene.errors import SceneError

RESULT_TYPES = ("uint8", "uint16", "float32")
"""Number types of the engine's results."""
BINARY_LABELMAP = "Binary labelmap"
EMPTY = "empty"
"""Fingerprint of a segment without a voxel."""


def labels_of(model_folder: pathlib.Path) -> tuple[Label, ...]:
    """The labels of a model folder, in the order of its classes; SceneError where it does not tell them properly."""
    try:
        return read_summary(model_folder).labels.labels
    except ModelError as error:
        text = _("The labels of the model {name} cannot be read: {reason}")
        raise SceneError(text.format(name=model_folder.name, reason=error.message)) from error


def read_nrrd(path: pathlib.Path | str) -> np.ndarray:
    """The voxels [K, J, I] of a result of the engine.

    Raises SceneError, in one sentence, when the file is missing, cut short or of another kind.
    """
    import SimpleITK

    path = pathlib.Path(path)
    try:
        array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="NrrdImageIO"))
        if array.ndim != 3 or array.dtype.name not in RESULT_TYPES:
            raise ValueError(_("it is not a result of the engine"))
    except (RuntimeError, ValueError, MemoryError) as error:
        reason = str(error).strip().rpartition("\n")[2] or type(error).__name__
        text = _("The result {name} cannot be read ({reason}): run the segmentation again.")
        raise SceneError(text.format(name=path.name, reason=reason)) from error
    return array


def label_image(array: np.ndarray, ijk_to_space: np.ndarray, corner: tuple[int, ...] = (0, 0, 0),
                transform: vtk.vtkAbstractTransform | None = None, *,
                whole: bool = False) -> slicer.vtkOrientedImageData:
    """An image of the values [K, J, I] (8 or 16 bits) cropped to what is not 0; without voxels where all is 0.

    Args:
        ijk_to_space: (4, 4) index to millimetres in the segmentation's space; any grid, also sheared.
        corner: index (K, J, I) of the array's first value, where the array is a box of its grid.
        transform: from the space of ijk_to_space to the segmentation's, where they differ; the values are resampled
            where it bends.
        whole: all of the grid, also what is 0.
    """
    image = empty_image(array.shape, ijk_to_space)
    box = tuple(slice(0, size) for size in array.shape) if whole else bounding_box(array)
    if box is None:
        image.SetExtent(0, -1, 0, -1, 0, -1)
        return image
    image.SetExtent([first + index for first, axis in zip(corner[::-1], box[::-1], strict=True)
                     for index in (axis.start, axis.stop - 1)])
    scalars = numpy_to_vtk(np.ascontiguousarray(array[box]).ravel(), deep=True)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    if transform is not None:
        slicer.vtkOrientedImageDataResample.TransformOrientedImage(image, transform)
    return image


def empty_image(shape: tuple[int, ...], ijk_to_space: np.ndarray) -> slicer.vtkOrientedImageData:
    """An image with the grid and the extent of an array [K, J, I], and no values."""
    image = slicer.vtkOrientedImageData()
    depth, rows, columns = shape
    image.SetExtent(0, columns - 1, 0, rows - 1, 0, depth - 1)
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(np.asarray(ijk_to_space, dtype=float)))
    return image


def bounding_box(array: np.ndarray) -> tuple[slice, ...] | None:
    """Slices [K, J, I] around all that is not 0, or None."""
    planes = np.flatnonzero(array.any(axis=(1, 2)))
    if not planes.size:
        return None
    inner = array[planes[0] : planes[-1] + 1]
    flat = inner.any(axis=0)
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    return tuple(slice(int(found[0]), int(found[-1]) + 1) for found in (planes, rows, columns))


def values_of(image: slicer.vtkOrientedImageData) -> np.ndarray:
    """The values of an oriented image, a view [K, J, I]; an array of size 0 where it has none."""
    scalars = image.GetPointData().GetScalars()
    if scalars is None or image.IsEmpty():
        return np.zeros((0, 0, 0), np.uint8)
    return vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])


def fingerprint(segment: slicer.vtkSegment) -> str:
    """A text that changes with any voxel of a segment, not with how its image is cropped or shared."""
    image = segment.GetRepresentation(BINARY_LABELMAP)
    value = segment.GetLabelValue()
    values = np.zeros((0, 0, 0)) if image is None else values_of(image)
    planes = [index for index, plane in enumerate(values) if (plane == value).any()]
    if not planes:
        return EMPTY
    mask = values[planes[0] : planes[-1] + 1] == value
    inner = np.ascontiguousarray(mask[bounding_box(mask)])
    return hashlib.blake2b(str(inner.shape).encode() + np.packbits(inner).tobytes(), digest_size=8).hexdigest()


def same_grid(one: slicer.vtkOrientedImageData, other: slicer.vtkOrientedImageData) -> bool:
    """Whether two oriented images share axes, spacing and the places of voxels, whatever their extents."""
    first, second = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    one.GetImageToWorldMatrix(first)
    other.GetImageToWorldMatrix(second)
    first, second = slicer.util.arrayFromVTKMatrix(first), slicer.util.arrayFromVTKMatrix(second)
    shift = np.linalg.solve(first[:3, :3], second[:3, 3] - first[:3, 3])
    return bool(np.allclose(first[:3, :3], second[:3, :3], atol=1e-5) and np.allclose(shift, np.rint(shift), atol=1e-3))


def unused_segment_name(segmentation: slicer.vtkSegmentation, wanted: str, numbered: str = "{name} ({number})") -> str:
    """`wanted`, or `numbered` from 2 on where another segment bears that name."""
    taken = {segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())}
    names = [wanted, *(numbered.format(name=wanted, number=number) for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
