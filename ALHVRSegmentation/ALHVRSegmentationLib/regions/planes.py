"""Planes: which voxels of a grid a slice touches, whatever its orientation. Plain numpy, axes I, J, K."""

import numpy as np

_SLACK = 1e-3
"""Part of a voxel by which a voxel counts as touched although the plane passes beside it: more than rounding errs."""


def voxels_on_plane(origin, along_x, along_y, shape_kji):
    """Flat indices into a C-ordered KJI array of the voxels that an infinite plane touches.

    origin: a point of the plane in voxel coordinates (I, J, K), voxel centres being whole numbers; along_x, along_y:
    two directions in it. A plane that has lost a direction touches none.
    """
    size = np.array(shape_kji[::-1])
    strides = np.array([1, size[0], size[0] * size[1]], np.intp)
    normal = np.cross(along_x, along_y)
    deep = int(np.argmax(np.abs(normal)))
    if not np.isfinite(normal).all() or abs(normal[deep]) < 1e-12:
        return np.empty(0, np.intp)
    p, q = (axis for axis in (2, 1, 0) if axis != deep)
    slope_p, slope_q = normal[p] / normal[deep], normal[q] / normal[deep]
    depth = (
        origin[deep]
        - slope_p * (np.arange(size[p])[:, None] - origin[p])
        - slope_q * (np.arange(size[q])[None, :] - origin[q])
    )
    column = strides[p] * np.arange(size[p])[:, None] + strides[q] * np.arange(size[q])[None, :]
    reach = (abs(slope_p) + abs(slope_q)) / 2 + 0.5 + _SLACK
    lowest = np.ceil(depth - reach).astype(np.intp)
    found = []
    for number in range(int(2 * reach) + 1):
        level = lowest + number
        touched = (level >= 0) & (level < size[deep]) & (level <= depth + reach)
        found.append((column + level * strides[deep])[touched])
    return np.concatenate(found)


def voxels_at_points(points, shape_kji):
    """Flat indices of the voxels that hold the points [N, 3] in voxel coordinates, those of a tie all; each once."""
    size = np.array(shape_kji[::-1])
    found = []
    for shift in np.ndindex(2, 2, 2):
        voxel = np.floor(points + 0.5 + (np.array(shift) * 2 - 1) * _SLACK)
        inside = np.isfinite(voxel).all(axis=1) & (voxel >= 0).all(axis=1) & (voxel < size).all(axis=1)
        i, j, k = voxel[inside].astype(np.intp).T
        found.append(np.unique((k * size[1] + j) * size[0] + i))
    return np.unique(np.concatenate(found))
