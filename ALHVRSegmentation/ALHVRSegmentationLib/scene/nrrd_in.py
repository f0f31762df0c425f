"""NRRD in: the voxels of a file that the engine wrote, as an array; knows no node and may run on any thread."""

import pathlib
import re
import zlib

import numpy as np
from slicer.i18n import tr as _

from ALHVRSegmentationLib.scene.errors import SceneError

TYPES = {"unsigned char": "u1", "uint8": "u1", "unsigned short": "<u2", "uint16": "<u2", "float": "<f4"}
"""Number types of the engine's results."""
LONGEST_HEADER = 1 << 24
LARGEST_BYTES = 1 << 36
BLOCK = 1 << 22


def read_nrrd_array(path):
    """The voxels [K, J, I] of a result of the engine: 3-D, raw or gzip, little-endian, in the same file.

    Raises SceneError, in one sentence, when the file is missing, cut short or of another kind.
    """
    path = pathlib.Path(path)
    try:
        with path.open("rb") as file:
            fields = _fields(file)
            shape, kind = _layout(fields)
            data = _content(file, fields["encoding"], int(np.prod(shape)) * kind.itemsize)
    except (OSError, KeyError, ValueError, zlib.error) as error:
        text = _("The result {name} cannot be read ({reason}): run the segmentation again.")
        raise SceneError(text.format(name=path.name, reason=getattr(error, "strerror", None) or error)) from error
    return np.frombuffer(data, dtype=kind).reshape(shape)


def _fields(file):
    """The `name: value` lines of the header; `file` stands behind it then."""
    if not re.fullmatch(rb"NRRD000[1-5]\s*", file.readline(64)):
        raise ValueError(_("it is no NRRD file"))
    fields = {}
    while file.tell() < LONGEST_HEADER:
        line = file.readline(LONGEST_HEADER)
        if not line.strip():
            return fields
        match = re.match(r"([a-z ]+): ?(.*)", line.decode("utf-8", "replace").rstrip("\r\n"))
        if match:
            fields[match[1]] = match[2]
    raise ValueError(_("its header is too long"))


def _layout(fields):
    """Shape [K, J, I] and number type."""
    sizes = tuple(int(size) for size in fields["sizes"].split())
    if len(sizes) != 3 or min(sizes) < 1 or "data file" in fields or fields["type"] not in TYPES:
        raise ValueError(_("it is no volume as the engine writes them"))
    if np.prod(sizes, dtype=object) > LARGEST_BYTES:
        raise ValueError(_("it says that it is larger than any scan"))
    kind = np.dtype(TYPES[fields["type"]])
    if kind.itemsize > 1 and fields.get("endian") != "little":
        raise ValueError(_("its bytes are in another order"))
    return sizes[::-1], kind


def _content(file, encoding, size):
    """`size` bytes of voxels, no more whatever the file holds."""
    if encoding == "raw":
        data = file.read(size)
    elif encoding in ("gzip", "gz"):
        data = _unpacked(file, size)
    else:
        raise ValueError(_("its compression is not known"))
    if len(data) != size:
        raise ValueError(_("it is cut short"))
    return data


def _unpacked(file, size):
    data = bytearray()
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    while len(data) < size and not unpacker.eof:
        block = unpacker.unconsumed_tail or file.read(BLOCK)
        if not block:
            break
        data += unpacker.decompress(block, size - len(data))
    return data
