"""NRRD and MetaImage files: header and voxels of one 3-D image, segment names of .seg.nrrd; and what ITK can open.

ITK's own readers of these headers crash on numbers that no image has, and open any file that a header names.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from alhvr.data.geometry import Geometry
from alhvr.data.metaimage import read_metaimage, read_metaimage_header
from alhvr.data.nrrd import read_key_values, read_nrrd, read_nrrd_header
from alhvr.data.scan import Volume
from alhvr.errors import UserError
from alhvr.files import shown

_META_ENDINGS = (".mha", ".mhd")


def read_itk_header(path: Path) -> tuple[Geometry, np.dtype]:
    """Grid and number type of a .nrrd, .nhdr, .mha or .mhd file, not decoded; UserError unless 3-D, one channel."""
    meta = path.suffix.lower() in _META_ENDINGS
    header = read_metaimage_header(path) if meta else read_nrrd_header(path)
    return header.geometry, header.voxel_type.newbyteorder("=")


def read_itk(path: Path) -> Volume:
    """Voxels [K, J, I] in the file's number type; raises UserError when it is damaged or not one 3-D image."""
    return read_metaimage(path) if path.suffix.lower() in _META_ENDINGS else read_nrrd(path)


def read_segment_names(path: Path) -> dict[int, str]:
    """Label value to segment name from the header of a .seg.nrrd file; empty when it names none."""
    values, names = read_key_values(path), {}
    for key, text in values.items():
        match = re.fullmatch(r"Segment(\d+)_LabelValue", key)
        name = match and values.get(f"Segment{match[1]}_Name")
        if name:
            if not re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", text):
                raise UserError(f'{shown(path.name)} gives the segment {shown(name)[:60]} the value '
                                f'"{shown(text[:60])}" ({key}); a whole number is needed.',
                                "Open it in Slicer and save it again.")
            names[int(text)] = name
    return names


def itk_name(path: Path) -> str:
    """The path as ITK takes it; raises UserError for letters that are not UTF-8, at which ITK ends the program."""
    try:
        path.absolute().as_posix().encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"The path {shown(path.as_posix())} has letters in an old encoding.",
                        "Rename it with plain letters.") from error
    return str(path)
