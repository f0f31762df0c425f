"""HDF5 files as the code around SSL4MIS keeps them: one scan each, the voxels in "image" and its label in "label".

h5py is imported where such a file is read; it comes with the extra "train". A dataset that lies in another file, by an
external link, external storage or a virtual dataset, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import require_plain
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Volume

if TYPE_CHECKING:
    from h5py import Dataset, File

H5_ENDINGS = (".h5", ".hdf5")
IMAGE, LABEL = "image", "label"
_LARGEST_DEFLATE_RATIO = 1100
"""Nothing that is packed grows by more when unpacked."""
_DAMAGED = (OSError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, MemoryError)
"""What h5py raises where a file is damaged."""
_STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def has_h5py() -> bool:
    """Whether HDF5 files can be read here."""
    return find_spec("h5py") is not None


def require_h5py(path: Path) -> None:
    """Raises UserError with the line that installs what reads HDF5 files."""
    if not has_h5py():
        raise UserError(f"{path.name} is an HDF5 file, which needs a package that is not installed: h5py.",
                        "Install it: pip install h5py.")


def datasets_of(path: Path) -> tuple[str, ...]:
    """Which of "image" and "label" the file holds; none for what is no HDF5 file. Raises UserError without h5py."""
    require_h5py(path)
    try:
        with _opened(path) as file:
            return tuple(name for name in (IMAGE, LABEL) if name in file)
    except UserError:
        return ()


def read_h5_header(path: Path) -> tuple[Geometry, np.dtype]:
    """Grid (voxels of 1 mm, as these files carry no spacing) and number type of the image; raises UserError."""
    with _opened(path) as file:
        found = _dataset(path, file, IMAGE)
        return _grid(found.shape), found.dtype


def read_h5(path: Path, *, label: bool = False) -> Volume:
    """The image, or its ``label``, [K, J, I]; a slice [J, I] becomes [1, J, I].

    Raises UserError without h5py, for a damaged file, one without such a dataset or with one of another kind.
    """
    with _opened(path) as file:
        found = _dataset(path, file, LABEL if label else IMAGE)
        geometry = _grid(found.shape)
        array = found[()]
    return Volume(np.ascontiguousarray(array).reshape(geometry.shape_kji), geometry)


@contextmanager
def _opened(path: Path) -> Iterator[File]:
    """The file; what goes wrong while it is read in the block is a UserError too."""
    require_h5py(path)
    import h5py

    require_plain(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except _DAMAGED as error:
        raise _unreadable(path) from error


def _dataset(path: Path, file: File, name: str) -> Dataset:
    """The dataset ``name`` of real numbers with two or three axes, all of it in this file."""
    import h5py

    link = file.get(name, getlink=True) if name in file else None
    if not isinstance(link, h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise UserError(f'{path.name} has no dataset "{name}" of its own.',
                        'One scan is read from each file: voxels in "image", labels in "label".')
    found = file[name]
    if found.external or found.is_virtual:
        raise UserError(f'"{name}" in {path.name} lies in another file.', "Copy it into one file.")
    if found.dtype.kind not in "iuf" or found.ndim not in (2, 3) or 0 in found.shape:
        raise UserError(f'"{name}" in {path.name} has the shape {found.shape} and the type {found.dtype}; two or three '
                        "axes of real numbers are needed.", "Write it as [slices, rows, columns].")
    if found.size * found.dtype.itemsize > path.stat().st_size * _LARGEST_DEFLATE_RATIO:
        raise UserError(f'"{name}" in {path.name} announces {found.size} voxels, more than its file can hold.',
                        "Copy or write it again.")
    return found


def _grid(shape: tuple[int, ...]) -> Geometry:
    height, width = shape[-2:]
    return Geometry((int(width), int(height), int(shape[0]) if len(shape) == 3 else 1), (1.0, 1.0, 1.0),
                    (0.0, 0.0, 0.0), _STRAIGHT)


def _unreadable(path: Path) -> UserError:
    return UserError(f"{path.name} cannot be read as HDF5: it is cut short, damaged or of another kind.",
                     "Copy or write it again.")
