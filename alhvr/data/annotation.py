"""Annotation: what the label files of a run say, and what they leave open: voxels and whole structures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.data.labels import LabelSet
from alhvr.data.reading import LabelVolume, read_label
from alhvr.errors import UserError


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
        label = read_label_of(case, geometry)
        try:
            return self.labels.to_class_index(label.array, not_annotated=self.not_annotated)
        except UserError as error:
            raise UserError(f"The label file {case.label.name}: {error.message}", error.hint) from error

    def missing_classes(self, case: Case) -> tuple[int, ...]:
        """Class indices, rising, of the structures that nobody annotated in ``case``."""
        return tuple(1 + n for n, value in enumerate(self.labels.values) if value in case.not_annotated)


def read_label_of(case: Case, geometry: Geometry) -> LabelVolume:
    """The label of ``case``, whose scan lies on ``geometry``; raises UserError without one, or on another grid."""
    if case.label is None:
        raise UserError(f"{case.image.name} has no label.", "Add one of the same name to the folder labels.")
    label = read_label(case.label)
    difference = geometry.difference(label.geometry)
    if difference:
        raise UserError(f"The label {case.label.name} lies on another grid than its scan {case.image.name}: "
                        f"{difference}.", "Check that both belong together, or resample the label to the scan.")
    return label
