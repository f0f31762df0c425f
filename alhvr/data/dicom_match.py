"""Which DICOM-SEG or RTSTRUCT is the label of which series: by the UIDs that it refers to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.dicom_labels import LabelObject, read_label_object


@dataclass(frozen=True)
class Identity:
    """By what labels refer to a series."""

    series_uid: str
    frame_uid: str
    """Of its frame of reference; "" where it names none."""


@dataclass(frozen=True)
class Matched:
    """Which label belongs to which series."""

    labels: dict[Path, Path]
    """Series to label file."""
    warnings: tuple[str, ...]
    """Labels that were not taken, and why; one sentence each."""


def match_labels(files: Sequence[Path], series: Mapping[Path, Identity],
                 images_of: Callable[[Path], frozenset[str]]) -> Matched:
    """The label of each series: by the SeriesInstanceUID that a label refers to, of several stacks by their images.

    A label that names no series goes to the only one in its frame of reference. A DICOM-SEG comes before contours; of
    two labels of one kind none is taken. ``images_of`` gives the SOPInstanceUIDs of a series.
    """
    found: dict[Path, list[LabelObject]] = {}
    told, lost = [], []
    for file in files:
        try:
            label = read_label_object(file)
        except (UserError, OSError) as error:
            told.append(f"{shown(getattr(error, 'message', error))}")
            continue
        of_label = _series_of(label, series, images_of)
        if not of_label:
            lost.append(shown(file.name))
        for path in of_label:
            found.setdefault(path, []).append(label)
    taken, doubled = {}, []
    for path, labels in found.items():
        best = [label for label in labels if label.kind == "SEG"] or labels
        if len(best) == 1:
            taken[path] = best[0].path
        else:
            doubled += [shown(label.path.name) for label in best]
    for what, names in (("DICOM labels that refer to no series here", lost),
                        ("DICOM labels of series that have more than one, so that none is taken (name one in "
                         "cases.json)", doubled)):
        if names:
            told.append(f"{what}: {len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''}).")
    return Matched(taken, tuple(told))


def _series_of(label: LabelObject, series: Mapping[Path, Identity],
               images_of: Callable[[Path], frozenset[str]]) -> list[Path]:
    """The series that a label belongs to: none, one, or several stacks of one that it does not tell apart."""
    if label.series_uids:
        found = [path for path, own in series.items() if own.series_uid in label.series_uids]
    else:
        found = [path for path, own in series.items() if own.frame_uid and own.frame_uid in label.frame_uids]
        return found if len(found) == 1 else []
    if len(found) > 1 and label.instance_uids:
        return [path for path in found if images_of(path) & label.instance_uids] or found
    return found
