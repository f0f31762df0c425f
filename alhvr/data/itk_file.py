"""NRRD and MetaImage files, read with ITK: header and voxels of one 3-D image."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from alhvr.data.geometry import Geometry
from alhvr.data.scan import Volume
from alhvr.errors import UserError

_META_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4, "FLOAT": 4,
    "DOUBLE": 8, "LONG_LONG": 8, "ULONG_LONG": 8,
}  # fmt: skip


def read_itk_header(path: Path) -> tuple[Geometry, np.dtype]:
    """Grid and number type of a .nrrd, .nhdr, .mha or .mhd file, not decoded; UserError unless 3-D, one channel."""
    reader = _header(path)
    pixel = sitk.Image([1, 1, 1], reader.GetPixelID())
    return Geometry.from_sitk(reader), sitk.GetArrayViewFromImage(pixel).dtype


def read_itk(path: Path) -> Volume:
    """Voxels [K, J, I] in the file's number type; raises UserError when it is damaged or not one 3-D image."""
    reader = _header(path)
    if path.suffix.lower() in (".mha", ".mhd"):
        _require_complete_metaimage(path)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _unreadable(path) from error
    return Volume(sitk.GetArrayFromImage(image), Geometry.from_sitk(image))


def itk_name(path: Path) -> str:
    """The path as ITK takes it; raises UserError for letters that are not UTF-8, at which ITK ends the program."""
    try:
        path.absolute().as_posix().encode("utf-8")
    except UnicodeEncodeError as error:
        shown = path.as_posix().encode("utf-8", "backslashreplace").decode("utf-8")
        raise UserError(f"The path {shown} has letters in an old encoding.", "Rename it with plain letters.") from error
    return str(path)


def _header(path: Path) -> sitk.ImageFileReader:
    """A reader that has read the header of a 3-D image with one real number a voxel."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(itk_name(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path) from error
    size, channels = reader.GetSize(), reader.GetNumberOfComponents()
    if channels != 1 and path.name.lower().endswith(".seg.nrrd"):
        hint = "In Slicer, export it to a labelmap, which gives each voxel to one segment."
        raise UserError(f"{path.name} has segments that overlap ({channels} layers); one layer is needed.", hint)
    if channels != 1:
        raise UserError(f"{path.name} has {channels} numbers a voxel; one is needed.", "Export one channel.")
    if len(size) != 3:
        raise UserError(f"{path.name} has {len(size)} axes, size {size}; a scan needs three.", "Give one 3-D volume.")
    return reader


def _unreadable(path: Path) -> UserError:
    kind = "MetaImage" if path.suffix.lower() in (".mha", ".mhd") else "NRRD"
    message = f"{path.name} cannot be read as {kind}: it is cut short, damaged or of another kind."
    return UserError(message, "Copy or export it again.")


def _require_complete_metaimage(path: Path) -> None:
    """Raises UserError when the voxels of a MetaImage are missing in part; ITK would complain on stderr by itself."""
    with path.open("rb") as stream:
        start = stream.read(65536)
    match = re.search(rb"^ElementDataFile\s*=\s*(.+?)\s*?\n", start, re.MULTILINE)
    if match is None:
        raise _unreadable(path)
    fields = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", start[: match.end()].decode("utf-8", "replace"), re.MULTILINE))
    file_name, local = fields["ElementDataFile"], fields["ElementDataFile"].upper() == "LOCAL"
    if "%" in file_name or file_name.upper().startswith("LIST"):
        return
    data_path = path if local else path.parent / file_name
    if not data_path.is_file():
        raise UserError(f"{path.name} needs the file {data_path.name}, which is not there.", "Copy both together.")
    seen = data_path.stat().st_size - (match.end() if local else 0)
    needed = _metaimage_bytes(fields)
    if seen < needed:
        raise UserError(f"{path.name} is cut short: {seen} of {needed} bytes are there.", "Copy or export it again.")


def _metaimage_bytes(fields: dict[str, str]) -> int:
    """Bytes of voxel data that the header announces; 0 where it does not tell."""
    if fields.get("CompressedData", "False").lower() in ("true", "1"):
        return int(fields.get("CompressedDataSize", 0))
    voxel_bytes = _META_BYTES.get(fields.get("ElementType", "").removeprefix("MET_"), 0)
    return voxel_bytes * int(np.prod([int(size) for size in fields["DimSize"].split()], dtype=object))
