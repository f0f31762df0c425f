"""Files for export: names that every system takes, files that appear whole or not at all, one volume of segments."""

from __future__ import annotations

import errno
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from slicer.i18n import tr as _

from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.segment_masks import Mask
from ALHVRSegmentationLib.results.result_segments import LABEL_TAG, tag_of

NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]+')
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
LONGEST_NAME = 120


def file_name(text: str) -> str:
    """`text` as the name of a file on any system, letters of any language kept; "" where nothing is left."""
    name = NOT_IN_NAMES.sub("_", text).strip(" .")[:LONGEST_NAME].rstrip(" .")
    return f"_{name}" if RESERVED.match(name) else name


@contextmanager
def beside(path: pathlib.Path | str) -> Iterator[pathlib.Path]:
    """A new hidden folder beside `path` that goes when the block ends; SceneError where the disk refuses."""
    path = pathlib.Path(path)
    folder = None
    try:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=".ALHVR-", dir=path.parent))
        yield folder
    except OSError as error:
        raise SceneError(refusal(path, error)) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def refusal(path: pathlib.Path | str, error: OSError) -> str:
    """Why a file could not be written, in one sentence."""
    path = pathlib.Path(path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = _("{name} was not written: the disk of {folder} is full; free some space or choose another folder.")
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        text = _("{name} was not written: you may not write to {folder}; choose another folder.")
    elif error.errno == errno.ENOENT:
        text = _("{name} was not written: the folder {folder} is not there; choose another one.")
    else:
        text = _("{name} was not written to {folder}: {reason}.")
    return text.format(name=path.name, folder=path.parent, reason=error.strerror or error)


def check_space(path: pathlib.Path | str, size: int) -> None:
    """SceneError where the disk of `path` has no room for `size` bytes: Slicer's own writers say little."""
    path = pathlib.Path(path)
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise SceneError(refusal(path, error)) from error
    if free < size:
        raise SceneError(refusal(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))


def move(source: pathlib.Path, target: pathlib.Path) -> None:
    """Put a finished file in its place, at once."""
    os.replace(source, target)


@dataclass(frozen=True)
class LabelMap:
    """Segments as the values of one volume."""

    values: np.ndarray
    """uint8 or uint16 [K, J, I]."""
    masks: dict
    """Value to Mask."""
    n_overlapping: int
    """Voxels of more than one segment; they have the value of the last of them."""


def label_map(masks: Sequence[Mask]) -> LabelMap:
    """One volume of all masks; segments of a model keep the value that the model gives them."""
    numbers = _values(masks)
    values = np.zeros(masks[0].voxels.shape, np.uint8 if max(numbers) <= 255 else np.uint16)
    overlapping = np.zeros(values.shape, bool)
    for value, mask in zip(numbers, masks, strict=True):
        overlapping |= mask.voxels & (values != 0)
        values[mask.voxels] = value
    by_value = dict(zip(numbers, masks, strict=True))
    return LabelMap(values, by_value, int(np.count_nonzero(overlapping)))


def _values(masks: Sequence[Mask]) -> list[int]:
    """A value for each mask: that of the model's label where there is one and it is free, else the next free one."""
    wanted = [mask.segment.GetLabelValue() if tag_of(mask.segment, LABEL_TAG) else 0 for mask in masks]
    taken, numbers = set(wanted), []
    free = iter(number for number in range(1, 65536) if number not in taken)
    for value in wanted:
        numbers.append(value if 0 < value <= 65535 and value not in numbers else next(free))
    return numbers
