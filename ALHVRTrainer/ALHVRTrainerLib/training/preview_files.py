"""Preview files: which previews of a training are kept, and reading one case of them. No Qt, no scene.

The engine writes RUN/previews/ITERATION/preview.json with what it names. All of it is text from a file: results are
taken from that folder only, and scans only from the project and its archive.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.core.files import parse_json, read_bytes
from alhvr.formats.model_folder import is_safe_name
from ALHVRLib.child_events import finite
from ALHVRLib.models.untrusted_files import one_line
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.label_images import read_nrrd

RECORD = "preview.json"
LARGEST_RECORD = 1_000_000
MOST_PREVIEWS, MOST_CASES, MOST_LABELS = 50, 10, 200
HELD_OUT, ARCHIVE = "held-out", "archive"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class PreviewCase:
    """One scan as it was segmented at one moment."""

    name: str
    role: str
    """HELD_OUT or ARCHIVE."""
    image: Path
    segmentation: Path
    regions: Path | None


@dataclass(frozen=True)
class Preview:
    """The previews of one moment."""

    iteration: int
    minute: float
    """Minutes of training."""
    cases: tuple[PreviewCase, ...]


@dataclass(frozen=True)
class Scan:
    """A scan, or what was made of it, with its place."""

    voxels: np.ndarray
    """[K, J, I]."""
    ijk_to_ras: np.ndarray
    """(4, 4), millimetres."""


@dataclass(frozen=True)
class PreviewData:
    """What was read of one case; a part that could not be read is None, and the problem says why."""

    case: PreviewCase
    image: Scan | None
    segmentation: np.ndarray
    """[K, J, I] on the scan's own grid: label values."""
    grid: np.ndarray
    """(4, 4), index to millimetres RAS, of the segmentation."""
    names: dict[int, str] = field(default_factory=dict)
    """Of the label values."""
    regions: np.ndarray | None = None
    """[K, J, I]: 1, 2, 3, or 0 outside."""
    problem: str = ""


def kept_previews(run: Path, project: Path) -> tuple[Preview, ...]:
    """The previews that a training has kept, the oldest first; damaged ones are passed over."""
    folder = run / "previews"
    try:
        names = sorted(name for name in os.listdir(folder) if name.isascii() and name.isdigit())[-MOST_PREVIEWS:]
    except OSError:
        return ()
    found = (_parsed(folder / name, project) for name in names)
    return tuple(sorted((preview for preview in found if preview is not None), key=lambda one: one.iteration))


def _parsed(folder: Path, project: Path) -> Preview | None:
    try:
        values = parse_json(read_bytes(folder / RECORD, at_most=LARGEST_RECORD), RECORD)
    except (OSError, UserError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("cases"), list):
        return None
    iteration, elapsed_s = finite(values.get("iteration")), finite(values.get("elapsed_s"))
    if iteration is None or elapsed_s is None:
        return None
    cases = [_case(folder, entry, project) for entry in values["cases"][:MOST_CASES] if isinstance(entry, dict)]
    return Preview(int(iteration), elapsed_s / 60, tuple(case for case in cases if case is not None))


def _case(folder: Path, entry: dict[str, Any], project: Path) -> PreviewCase | None:
    name, role, image = entry.get("name"), entry.get("role"), entry.get("image")
    files = [entry.get("segmentation"), entry.get("regions")]
    safe = [isinstance(file, str) and "/" not in file and is_safe_name(file) for file in files]
    if role not in (HELD_OUT, ARCHIVE) or not isinstance(name, str) or not isinstance(image, str) or not safe[0]:
        return None
    regions = folder / files[1] if safe[1] else None
    return PreviewCase(one_line(name), role, Path(os.path.abspath(project / image)), folder / files[0], regions)


def read_preview(case: PreviewCase, allowed: Sequence[Path], image: Scan | None = None) -> PreviewData:
    """Read a case; may take seconds, and is for a thread.

    Args:
        allowed: folders in which its scan may lie: the project and its archive.
        image: the scan, where it was read before.

    Raises SceneError, in one sentence, where the segmentation cannot be read.
    """
    segmentation, regions, problem = read_nrrd(case.segmentation), None, ""
    grid, names = _header(case.segmentation)
    try:
        regions = None if case.regions is None else read_nrrd(case.regions)
        image = image or _read_scan(place_of(case.image, allowed))
    except SceneError as error:
        problem = str(error)
    return PreviewData(case, image, segmentation, grid, names, regions, problem)


def place_of(path: Path, allowed: Sequence[Path]) -> Path:
    """The scan; in a project that was moved it is looked for among the project's own cases, by its name.

    A path that lies elsewhere by its letters is not looked up: it may name another computer.
    """
    places = [place.resolve() for place in allowed]
    candidates = [path, *(place / "cases" / "images" / path.name for place in places[:1])]
    for candidate in candidates:
        named = Path(os.path.abspath(candidate))
        if not any(named.is_relative_to(place) for place in (*allowed, *places)):
            continue
        if candidate.exists() and any(candidate.resolve().is_relative_to(place) for place in places):
            return candidate
    raise SceneError(_("The scan {name} is not in the project or its archive any more.").format(name=path.name))


def _read_scan(path: Path) -> Scan:
    import SimpleITK

    try:
        if path.is_dir():
            files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(path))
            image = SimpleITK.ReadImage(files)
        else:
            image = SimpleITK.ReadImage(str(path))
        return _first_volume(image)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise SceneError(_("The scan {name} cannot be read here.").format(name=path.name)) from error


def _first_volume(image: Any) -> Scan:
    """Of channels and moments the first one."""
    import SimpleITK

    if image.GetNumberOfComponentsPerPixel() > 1:
        image = SimpleITK.VectorIndexSelectionCast(image, 0)
    while image.GetDimension() > 3:
        image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
    if image.GetDimension() == 2:
        image = SimpleITK.JoinSeries(image)
    return Scan(SimpleITK.GetArrayFromImage(image), _grid_of(image))


def _grid_of(image: Any) -> np.ndarray:
    """(4, 4): index to millimetres RAS, of anything in three dimensions with origin, spacing and direction."""
    grid = np.eye(4)
    grid[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    grid[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ grid


def _header(path: Path) -> tuple[np.ndarray, dict[int, str]]:
    """The grid of a segmentation, and the names of its label values."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NrrdImageIO")
    reader.ReadImageInformation()
    names = {}
    for number in range(MOST_LABELS):
        value, name = (_meta(reader, f"Segment{number}_{key}") for key in ("LabelValue", "Name"))
        if not value.isascii() or not value.isdigit():
            break
        names[int(value)] = one_line(name)
    return _grid_of(reader), names


def _meta(reader: Any, key: str) -> str:
    return reader.GetMetaData(key) if reader.HasMetaDataKey(key) else ""
