"""Result files: segmentations, confidence and region maps in the exact geometry of the scan, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import write_refused, written_atomically
from alhvr.data.scan import Segmentation
from alhvr.export.formats import Encoder, write_meta_image, write_nifti, write_nifti_gz, write_nrrd
from alhvr.formats.region_tables import RegionMaps, table_record
from alhvr.formats.terminology import segment_keys

ENCODERS: dict[str, Encoder] = {
    ".nii.gz": write_nifti_gz,
    ".nii": write_nifti,
    ".nrrd": write_nrrd,
    ".mha": write_meta_image,
}
SEGMENTATION_ENDING = ".seg.nrrd"
ENDINGS = (SEGMENTATION_ENDING, *ENCODERS)
FAST = 1
"""Compression level of confidence maps: their last digits are noise, which no level makes smaller."""
TEACHER = "teacher"
_AS_UINT16 = np.linspace(0, 65535, 256, dtype=np.uint16)
"""From uint8, 255 = 1, to uint16, 65535 = 1."""


def write_segmentation(path: Path | str, segmentation: Segmentation) -> Path:
    """Writes label values in the scan's exact grid; the ending of ``path`` chooses the format (see ENDINGS).

    ``.seg.nrrd`` carries names, colours and coded terms as 3D Slicer reads them; the other formats values only.
    An existing file is replaced at once when the new one is whole. Raises UserError for another ending, and where
    the file cannot be written; nothing is left behind then.
    """
    path = Path(path)
    encode = _encoder(path, segmentation)
    with new_file(path) as file:
        encode(file, segmentation.array, segmentation.geometry)
    return path


def write_region_maps(folder: Path, name: str, maps: RegionMaps, *, level: int = FAST) -> tuple[Path, ...]:
    """Writes NAME.confidence-a.nrrd, .confidence-b.nrrd, .teacher.nrrd, .regions.nrrd and .regions.json.

    The JSON tells gamma, the smallest confident uint16 value and the voxels of each region for beta 0.00 to 1.00, so
    that the regions of another beta follow from comparing the two confidence maps (uint16, 65535 = 1, as the teacher's)
    with one number. ``level`` of compression: 0 (none) to 9. Raises UserError as ``write_segmentation``.
    """
    arrays = {"confidence-a": maps.confidence_a, "confidence-b": maps.confidence_b, TEACHER: maps.teacher,
              "regions": maps.region}
    paths = {kind: folder / f"{name}.{kind}.nrrd" for kind in arrays}
    for kind, array in arrays.items():
        with new_file(paths[kind]) as file:
            write_nrrd(file, array, maps.geometry, level=level, values=_AS_UINT16 if kind == TEACHER else None)
    table = folder / f"{name}.regions.json"
    record = {"files": {kind: path.name for kind, path in paths.items()}, **table_record(maps)}
    with new_file(table) as file:
        file.write(json.dumps(record, indent=1).encode("ascii"))
    return (*paths.values(), table)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under ``path`` only when the block ends well; its folder is made where it is missing.

    Raises UserError naming ``path`` when the system refuses: no right to write, disk full, a folder of that name.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(path) as file:
            yield file
    except OSError as error:
        raise write_refused(error, path) from error


def _encoder(path: Path, segmentation: Segmentation) -> Encoder:
    """How to write ``path`` by its ending."""
    name = path.name.lower()
    if name.endswith(SEGMENTATION_ENDING):
        return partial(write_nrrd, keys=segment_keys(segmentation))
    for ending, encoder in ENCODERS.items():
        if name.endswith(ending):
            return encoder
    raise UserError(f"{path.name}: no format is known for this ending.", f"Accepted: {', '.join(ENDINGS)}.")
