"""NRRD and MetaImage files: header and voxels of one 3-D image; and what ITK can open.

ITK's own readers of these headers crash on numbers that no image has, and open any file that a header names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.geometry import Geometry
from alhvr.data.metaimage import read_metaimage, read_metaimage_header
from alhvr.data.nrrd import read_nrrd, read_nrrd_header
from alhvr.data.scan import Volume

_META_ENDINGS = (".mha", ".mhd")


def read_itk_header(path: Path) -> tuple[Geometry, np.dtype]:
    """Grid and number type of a .nrrd, .nhdr, .mha or .mhd file, not decoded; UserError unless 3-D, one channel."""
    meta = path.suffix.lower() in _META_ENDINGS
    header = read_metaimage_header(path) if meta else read_nrrd_header(path)
    return header.geometry, header.voxel_type.newbyteorder("=")


def read_itk(path: Path) -> Volume:
    """Voxels [K, J, I] in the file's number type; raises UserError when it is damaged or not one 3-D image."""
    return read_metaimage(path) if path.suffix.lower() in _META_ENDINGS else read_nrrd(path)


def itk_name(path: Path) -> str:
    """The path as ITK takes it; raises UserError for letters that are not UTF-8, at which ITK ends the program."""
    try:
        path.absolute().as_posix().encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"The path {shown(path.as_posix())} is not valid UTF-8.",
                        "Rename it using ASCII characters.") from error
    return str(path)
