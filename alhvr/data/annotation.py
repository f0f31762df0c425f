"""Annotation: what the label files of a run say, and what they leave open: voxels and whole structures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from alhvr.core.errors import UserError
from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.data.label_names import IGNORED
from alhvr.data.reading import LabelVolume, distinct_values, read_label
from alhvr.data.segment_names import read_segment_names
from alhvr.formats.labels import MAX_VALUE, NO_VALUE, LabelSet


@dataclass(frozen=True)
class Annotation:
    """How to understand label files."""

    labels: LabelSet
    """What the values mean."""
    not_annotated: int | None = None
    """Value of voxels that nobody annotated; None for none. It does not count where it is the value of a label."""

    def read(self, case: Case, geometry: Geometry) -> np.ndarray:
        """uint8 [K, J, I] of class indices, or NOT_ANNOTATED, of the label of ``case`` on its scan's ``geometry``.

        Raises UserError where there is none, it lies on another grid, or it holds a value that is not known.
        """
        not_annotated = self.value_for_not_annotated
        label = read_label_of(case, geometry, not_annotated)
        try:
            return self.labels.to_class_index(label.array, not_annotated=not_annotated)
        except UserError as error:
            raise UserError(f"The label file {case.label.name}: {error.message}", error.hint) from error

    @property
    def value_for_not_annotated(self) -> int:
        """The value that stands for not annotated once a label is read: NO_VALUE where a label has the one asked."""
        asked = self.not_annotated
        return NO_VALUE if asked is None or asked in self.labels.values else asked

    def missing_classes(self, case: Case) -> tuple[int, ...]:
        """Class indices, rising, of the structures that nobody annotated in ``case``."""
        return tuple(1 + n for n, value in enumerate(self.labels.values) if value in case.not_annotated)


def read_values(case: Case, not_annotated: int | None) -> LabelVolume:
    """The label of ``case`` with the values of the run (``Case.meaning``), whatever its grid.

    What the case's files mark as not annotated has the value ``not_annotated``, or NO_VALUE where that is None. Raises
    UserError as ``read_label``, and where the names in its header are no structures of the run.
    """
    label = read_label(case.label)
    segments = read_segment_names(case.label)
    if label.array.dtype == np.int32 and (label.array == NO_VALUE).any():
        raise UserError(f"{case.label.name} holds the value {NO_VALUE}; 0 to {MAX_VALUE} is accepted.")
    if not (segments or case.meaning.by_value):
        return label
    values = [value for value in distinct_values(label.array)
              if value and (value != not_annotated or value in segments)]
    changes = case.meaning.value_map(case.label.name, values, segments)
    return replace(label, array=_with_changes(label.array, changes, not_annotated))


def read_label_of(case: Case, geometry: Geometry, not_annotated: int | None = None) -> LabelVolume:
    """As ``read_values``, of a case whose scan lies on ``geometry``; raises UserError without label or elsewhere."""
    if case.label is None:
        raise UserError(f"{case.image.name} has no label.", "Add one of the same name to the folder labels.")
    label = read_values(case, not_annotated)
    difference = geometry.difference(label.geometry)
    if difference:
        raise UserError(f"The label {case.label.name} lies on another grid than its scan {case.image.name}: "
                        f"{difference}.", "Check that both belong together, or resample the label to the scan.")
    return label


def _with_changes(array: np.ndarray, changes: Mapping[int, int], not_annotated: int | None) -> np.ndarray:
    """Integers of any shape with ``changes`` made, in the smallest of uint8, uint16 and int32 that holds them.

    IGNORED becomes ``not_annotated``, or NO_VALUE where that is None.
    """
    if not changes:
        return array
    ignored = NO_VALUE if not_annotated is None else not_annotated
    changes = {value: ignored if target == IGNORED else target for value, target in changes.items()}
    largest = max(int(array.max(initial=0)), *changes.values())
    small = np.min_scalar_type(largest) if array.min(initial=0) >= 0 else np.dtype(np.int32)
    dtype = small if small.itemsize <= 2 else np.dtype(np.int32)
    if array.dtype == np.int32:
        mapped = array.astype(dtype)
        for value, target in changes.items():
            mapped[array == value] = target
        return mapped
    table = np.arange(np.iinfo(array.dtype).max + 1).astype(dtype)
    for value, target in changes.items():
        table[value] = target
    return table[array]
