"""2-D images: PNG, JPEG, TIFF and BMP files and single DICOM images without a place in the patient, as one slice.

Grey images only: colour is refused, grey stored as three equal channels is taken. The size is looked at before anything
is decoded. Pillow and pydicom are imported where such a file is read.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.core.files import is_plain, open_plain
from alhvr.data.dicom_file import is_dicom_file, read_header
from alhvr.data.geometry import Geometry
from alhvr.data.itk_io import itk_name
from alhvr.data.scan import Volume

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydicom import Dataset

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_MOST_PIXELS = 2**27
"""A larger image is refused before it is decoded; a mammogram has a fifth of it."""
_GREY = {"1": np.uint8, "L": np.uint8, "P": np.uint8, "I;16": np.uint16, "I;16B": np.uint16, "I;16L": np.uint16,
         "I": np.int32, "F": np.float32}
"""Pillow's modes of one number a pixel, and the type of that number."""
_ALPHA = ("LA", "RGBA", "La", "PA", "RGBa")
_DAMAGED = (OSError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError,
            RuntimeError, MemoryError, struct.error, zlib.error)
"""What Pillow raises where a file is damaged."""
_FLAT_MODALITIES = ("CR", "DX", "MG", "US", "XA", "RF", "IO", "PX", "OP", "XC", "ES", "OT")
"""DICOM modalities of projections and pictures, which need no place in the patient."""
_TAGS = ("Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated",
         "PhotometricInterpretation", "PixelSpacing", "ImagerPixelSpacing", "ImagePositionPatient",
         "ImageOrientationPatient")


@dataclass(frozen=True)
class FlatHeader:
    """What is known of a 2-D image before it is decoded."""

    geometry: Geometry
    """[1, J, I]; pixels of 1 mm where the file does not tell."""
    voxel_type: np.dtype | None
    """Number type; None where only decoding tells."""


def is_2d(path: Path) -> bool:
    """Whether ``path`` is a picture by its ending, or a DICOM image that needs no place in the patient."""
    return path.name.lower().endswith(PICTURE_ENDINGS) or (is_dicom_file(path) and is_frame(path))


def is_frame(path: Path) -> bool:
    """Whether a DICOM file is one single image of a projection, such as an X-ray, without a place in the patient."""
    header = _dicom_header(path)
    if header is None or header.get("Modality") not in _FLAT_MODALITIES:
        return False
    placed = header.get("ImagePositionPatient") and header.get("ImageOrientationPatient")
    return not placed and bool(header.get("Rows")) and bool(header.get("Columns")) and _frames(header) == 1


def read_2d_header(path: Path) -> FlatHeader:
    """Size and pixel type without decoding; raises UserError as ``read_2d`` where that shows already."""
    if not path.name.lower().endswith(PICTURE_ENDINGS):
        header = _require_dicom(path)
        _require_size(path, int(header.Columns), int(header.Rows))
        return FlatHeader(_dicom_grid(path, header), None)
    with _opened(path) as image:
        kind = _GREY.get(image.mode)
        return FlatHeader(_grid(image.width, image.height), None if kind is None else np.dtype(kind))


def read_2d(path: Path, *, label: bool = False) -> Volume:
    """Pixels [1, J, I]; of a palette its indices where it is a ``label``, else its grey values.

    Raises UserError for colour, transparency, several pages or frames, more than 2**27 pixels, a damaged file, and a
    ``label`` that was stored with loss.
    """
    if not path.name.lower().endswith(PICTURE_ENDINGS):
        return _read_frame(path)
    with _opened(path) as image:
        if label and image.format == "JPEG":
            raise UserError(f"{path.name} is a JPEG file, whose values are not those that were drawn.",
                            "Save labels as PNG.")
        return Volume(_grey(path, image, label=label)[np.newaxis], _grid(image.width, image.height))


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """The image, of a size that may be decoded; what goes wrong while it is decoded in the block is a UserError too."""
    from PIL import Image

    if not is_plain(path):
        raise UserError(f"{path.name} is no file.", "Give the path of an image file.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of damage that is refused, or of a size, which is looked at here
        try:
            with Image.open(path, formats=_FORMATS) as image:
                _require_size(path, image.width, image.height)
                pages = getattr(image, "n_frames", 1)
                if pages != 1:
                    raise UserError(f"{path.name} holds {pages} images; one is needed.",
                                    "Save each in a file of its own, or all as one NRRD volume.")
                yield image
        except Image.DecompressionBombError as error:
            raise UserError(f"{path.name} has far more than {_MOST_PIXELS} pixels.", "Make it smaller.") from error
        except _DAMAGED as error:
            raise _unreadable(path) from error


def _grey(path: Path, image: Image, *, label: bool) -> np.ndarray:
    """The pixels [J, I] as one number each."""
    if image.mode in _GREY and (label or image.mode != "P") and (label or "transparency" not in image.info):
        return np.array(image, dtype=_GREY[image.mode])
    if image.mode not in (*_GREY, *_ALPHA, "RGB"):
        raise UserError(f"{path.name} is stored as {image.mode}; grey values are needed.", "Save it as a grey image.")
    bands = np.array(image.convert("RGBA"))
    if (bands[..., 3] != 255).any():
        raise UserError(f"{path.name} has pixels that are transparent.", "Save it without transparency.")
    if (bands[..., :3] != bands[..., :1]).any():
        raise _colour(path)
    return np.ascontiguousarray(bands[..., 0])


def _read_frame(path: Path) -> Volume:
    """A DICOM image by itself."""
    header = _require_dicom(path)
    _require_size(path, int(header.Columns), int(header.Rows))
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(itk_name(path))
    try:
        array = sitk.GetArrayFromImage(reader.Execute())
    except (RuntimeError, ValueError) as error:
        raise _unreadable(path) from error
    array = array[0] if array.shape[0] == 1 else array
    if array.ndim == 3:
        if (array != array[..., :1]).any():
            raise _colour(path)
        array = array[..., 0]
    said: tuple[str, ...] = ()
    if header.get("PhotometricInterpretation") == "MONOCHROME1":  # which the library that decodes it turns round
        said = (f"{path.name} is stored with black as its largest value; its values were turned round.",)
    return Volume(np.ascontiguousarray(array)[np.newaxis], _dicom_grid(path, header), warnings=said)


def _dicom_header(path: Path) -> Dataset | None:
    """The tags needed, without pixels; None where they cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open_plain(path) as file:
                header = read_header(file, _TAGS).values
            header.decode()
            for tag in _TAGS:
                header.get(tag)
        except Exception:  # noqa: BLE001 - whatever one byte in a header makes pydicom raise, there is no header
            return None
    return header


def _require_dicom(path: Path) -> Dataset:
    header = _dicom_header(path)
    if header is None:
        raise _unreadable(path)
    return header


def _frames(header: Dataset) -> int:
    """Frames of a DICOM file; 0 where it does not say so as one number."""
    try:
        return int(header.get("NumberOfFrames") or 1)
    except (TypeError, ValueError):
        return 0


def _dicom_grid(path: Path, header: Dataset) -> Geometry:
    """Pixels as large as PixelSpacing says, or else at the detector; 1 mm where neither is there."""
    values = header.get("PixelSpacing") or header.get("ImagerPixelSpacing") or (1.0, 1.0)
    try:
        row_mm, column_mm = (float(value) for value in values)
        return _grid(int(header.Columns), int(header.Rows), (column_mm, row_mm))
    except (TypeError, ValueError) as error:
        raise UserError(f"{path.name} has the pixel size {values}; two numbers are needed.",
                        "Export it again.") from error


def _grid(width: int, height: int, spacing_ij_mm: tuple[float, float] = (1.0, 1.0)) -> Geometry:
    return Geometry((width, height, 1), (*spacing_ij_mm, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))


def _require_size(path: Path, width: int, height: int) -> None:
    if min(width, height) < 1 or width * height > _MOST_PIXELS:
        raise UserError(f"{path.name} has {width} x {height} pixels; at most {_MOST_PIXELS} are read.",
                        "Make it smaller.")


def _colour(path: Path) -> UserError:
    return UserError(f"{path.name} is a colour image: its channels differ; grey values are needed.",
                     "Convert it to grey, where its colours tell nothing.")


def _unreadable(path: Path) -> UserError:
    return UserError(f"{path.name} cannot be read as an image: it is cut short, damaged or of another kind.",
                     "Copy or export it again.")
