"""Files: names that every system takes, and files that appear whole and read back, or not at all."""

import errno
import os
import pathlib
import re
import shutil
import tempfile
from contextlib import contextmanager

from slicer.i18n import tr as _

from ALHVRSegmentationLib.scene.errors import SceneError

NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]+')
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
LONGEST_NAME = 120


def file_name(text):
    """`text` as the name of a file on any system, letters of any language kept; "" where nothing is left."""
    name = NOT_IN_NAMES.sub("_", text).strip(" .")[:LONGEST_NAME].rstrip(" .")
    return f"_{name}" if RESERVED.match(name) else name


@contextmanager
def beside(path):
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


def refusal(path, error):
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


def check_space(path, size):
    """SceneError where the disk of `path` has no room for `size` bytes: Slicer's own writers say little."""
    path = pathlib.Path(path)
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise SceneError(refusal(path, error)) from error
    if free < size:
        raise SceneError(refusal(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))


def move(source, target):
    """Put a finished file in its place, at once."""
    os.replace(source, target)
