"""For tests of the review: a project with a model and a ranking, as ``alhvr rank`` leaves them, made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from seg_files import write_label
from tiny_runs import NAMES, OBLIQUE, SHAPE, make_scan

UNSURE = (2, 20, 21)
"""(K, J, I) of the middle of the place where the model is least sure."""


def draft_of(index: int) -> np.ndarray:
    """The label of an archive scan of write_study, but for a slice of it in which the spleen (3) is not found."""
    label = make_scan(100 + index)[1].copy()
    label[1][label[1] == 3] = 0
    return label


def add_model(project: Path, run: int = 1) -> Path:
    """What counts as a finished model, by its manifest alone."""
    folder = project / "runs" / str(run) / "archive" / "model"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


def write_ranking(project: Path, archive: Path, *, scans: int = 2, **changes: Any) -> Path:
    """ranking.json with drafts and regions of the first archive scans; ``changes``: of every entry."""
    drafts = project / "review" / "drafts"
    entries = []
    for index in range(scans):
        name = f"scan{index}"
        regions = np.ones(SHAPE, np.uint8)
        regions[UNSURE[0], UNSURE[1] - 1:UNSURE[1] + 2, UNSURE[2] - 1:UNSURE[2] + 2] = 3
        write_label(drafts / f"{name}.seg.nrrd", draft_of(index), {int(value): text for value, text in NAMES.items()})
        for path, array in ((drafts / f"{name}.seg.nrrd", None), (drafts / f"{name}.regions.nrrd", regions)):
            _on_the_grid(path, array)
        entries.append({"case": name, "image": str(archive / f"{name}.nrrd"), "place": index + 1,
                        "score": 0.9 - 0.1 * index, "by_structure": {"liver": 0.1, "spleen": 0.9},
                        "reason": "spleen uncertain", "drawn_at_random": index == 1,
                        "segmentation": f"drafts/{name}.seg.nrrd", "regions": f"drafts/{name}.regions.nrrd",
                        "patient": None, **changes})
    path = project / "review" / "ranking.json"
    path.write_text(json.dumps({"format": "alhvr ranking 1", "model": "m", "round": 1, "seed": 0, "scans": entries,
                                "left_out": []}))
    return path


def _on_the_grid(path: Path, array: np.ndarray | None) -> None:
    """Write voxels, or those that are there, with the place in the world that the scans have."""
    image = SimpleITK.ReadImage(str(path)) if array is None else SimpleITK.GetImageFromArray(array)
    image.SetSpacing(OBLIQUE.spacing_mm)
    image.SetOrigin(OBLIQUE.origin_lps_mm)
    image.SetDirection(OBLIQUE.direction)
    SimpleITK.WriteImage(image, str(path), True)
