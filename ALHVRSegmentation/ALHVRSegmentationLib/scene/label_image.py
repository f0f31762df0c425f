"""Label images: arrays of label values as the oriented images that segments are made of, and back."""

import hashlib

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

BINARY_LABELMAP = "Binary labelmap"
EMPTY = "empty"
"""Fingerprint of a segment without a voxel."""


def label_image(array, ijk_to_space):
    """An image of the values [K, J, I] (8 or 16 bits) cropped to what is not 0; without voxels where all is 0.

    Args:
        ijk_to_space: (4, 4) array index to millimetres in the segmentation's space; any grid, also sheared.
    """
    image = empty_image(array.shape, ijk_to_space)
    box = bounding_box(array)
    if box is None:
        image.SetExtent(0, -1, 0, -1, 0, -1)
        return image
    extent = [index for axis in reversed(box) for index in (axis.start, axis.stop - 1)]
    image.SetExtent(extent)
    scalars = numpy_to_vtk(np.ascontiguousarray(array[box]).ravel(), deep=True)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def empty_image(shape, ijk_to_space):
    """An image with the grid and the extent of an array [K, J, I], and no values."""
    image = slicer.vtkOrientedImageData()
    depth, rows, columns = shape
    image.SetExtent(0, columns - 1, 0, rows - 1, 0, depth - 1)
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(np.asarray(ijk_to_space, dtype=float)))
    return image


def bounding_box(array):
    """Slices [K, J, I] around all that is not 0, or None."""
    planes = np.flatnonzero(array.any(axis=(1, 2)))
    if not planes.size:
        return None
    inner = array[planes[0] : planes[-1] + 1]
    flat = inner.any(axis=0)
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    return tuple(slice(int(found[0]), int(found[-1]) + 1) for found in (planes, rows, columns))


def values_of(image):
    """The values of an oriented image, a view [K, J, I]; an array of size 0 where it has none."""
    scalars = image.GetPointData().GetScalars()
    if scalars is None or image.IsEmpty():
        return np.zeros((0, 0, 0), np.uint8)
    return vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])


def mask_of(segment):
    """Where a segment is, [K, J, I] on the extent of its own image; None for a segment made of a surface."""
    image = segment.GetRepresentation(BINARY_LABELMAP)
    return None if image is None else values_of(image) == segment.GetLabelValue()


def fingerprint(segment):
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


def same_grid(one, other):
    """Whether two oriented images share axes, spacing and the places of voxels, whatever their extents."""
    first, second = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    one.GetImageToWorldMatrix(first)
    other.GetImageToWorldMatrix(second)
    first, second = slicer.util.arrayFromVTKMatrix(first), slicer.util.arrayFromVTKMatrix(second)
    shift = np.linalg.solve(first[:3, :3], second[:3, 3] - first[:3, 3])
    return bool(np.allclose(first[:3, :3], second[:3, :3], atol=1e-5) and np.allclose(shift, np.rint(shift), atol=1e-3))
