"""The check as JSON, for the Slicer module and other programs: findings, cases, counts and the forecast."""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.checking.facts import CaseFacts, ImageFacts, LabelFacts, Problem
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.measure import orientation_code
from alhvr.checking.result import CheckResult, case_key
from alhvr.core import files
from alhvr.formats.labels import LabelSet

FORMAT = "alhvr check"
VERSION = 1
"""Goes up when an entry changes its meaning or disappears; entries may be added without."""


def write_json(path: Path, result: CheckResult) -> Path:
    """Writes ``to_record(result)`` to ``path``, whole or not at all."""
    files.write_json(path, to_record(result))
    return path


def to_record(result: CheckResult) -> dict[str, Any]:
    """Plain values: no voxels, nothing of a DICOM header but its kind of scan, and no patients."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "may_train": not result.count(Severity.FAULT),
        "counts": _counts(result),
        "folders": {part: str(cases.folder) for part, cases in result.sets.items()},
        "archive_folders": [str(folder) for folder in result.sets["unlabeled"].folders]
                           if "unlabeled" in result.sets else [],
        "not_annotated": result.not_annotated,
        "structures": _structures(result.labels),
        "channels": _channels(result),
        "findings": [_finding(finding) for finding in result.findings],
        "forecast": None if result.forecast is None else asdict(result.forecast),
        "archive": [asdict(entry) for entry in result.unlike],
        "series_rules": {part: [str(rule) for rule in cases.rules] for part, cases in result.sets.items()},
        "series_left_out": [{"part": part, "path": str(one.path), "what": one.what, "reason": one.reason}
                            for part, cases in result.sets.items() for one in cases.left_out],
        "cases": [_case(facts) for facts in result.facts],
    }


def _counts(result: CheckResult) -> dict[str, Any]:
    return {
        **{f"{severity.value}s": result.count(severity) for severity in Severity},
        "cases": dict(Counter(facts.part for facts in result.facts)),
        "unusable": sum(not facts.usable for facts in result.facts),
        "known_from_before": result.n_cached,
    }


def _structures(labels: LabelSet | None) -> list[dict[str, Any]]:
    entries = labels.labels if labels else ()
    return [{"value": entry.value, "name": entry.name, "colour_rgb": entry.colour_rgb} for entry in entries]


def _channels(result: CheckResult) -> list[dict[str, str]]:
    """Those of the first folder that names any."""
    named = (cases.channels for cases in result.sets.values() if cases.channels)
    return [asdict(channel) for channel in next(named, ())]


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "severity": finding.severity.value,
        "seen": finding.seen,
        "remedy": finding.remedy,
        "cases": finding.cases,
        "files": [str(path) for path in finding.files],
        "structures": finding.structures,
    }


def _case(facts: CaseFacts) -> dict[str, Any]:
    case = facts.case
    return {
        "case": case_key(facts),
        "part": facts.part,
        "name": case.name,
        "files": [str(path) for path in case.images],
        "label_file": None if case.label is None else str(case.label),
        "usable": facts.usable,
        "image_problem": _problem(facts.image_problem),
        "label_problem": _problem(facts.label_problem),
        "declared_not_annotated": case.not_annotated,
        "images": [_image(image) for image in facts.images],
        "label": None if facts.label is None else _label(facts.label),
        **({"picture": _picture(facts.images[0].thumbnail)} if facts.label is not None and facts.images else {}),
        **({"outline": _picture(facts.label.outline)} if facts.label is not None else {}),
    }


def _picture(image: np.ndarray | None) -> dict[str, Any] | None:
    """A small slice of a labelled case for those who list it: rows, columns, and zlib of its uint8 in base64."""
    if image is None:
        return None
    packed = zlib.compress(np.ascontiguousarray(image, dtype=np.uint8).tobytes())
    return {"rows": image.shape[0], "columns": image.shape[1], "zlib": base64.b64encode(packed).decode("ascii")}


def _problem(problem: Problem | None) -> str | None:
    return None if problem is None else f"{problem.message} {problem.hint}".strip()


def _image(image: ImageFacts) -> dict[str, Any]:
    return {
        "size_ijk": image.geometry.size_ijk,
        "spacing_mm": image.geometry.spacing_mm,
        "spacing_may_be_unknown": image.geometry.nominal,
        "orientation": orientation_code(image.geometry),
        "modality": image.print.modality,
        "field_strength_t": image.field_strength_t,
        "intensity": None if image.print.intensity is None else asdict(image.print.intensity),
        "lowest": image.lowest,
        "highest": image.highest,
        "not_finite_voxels": image.n_not_finite,
        "warnings": image.warnings,
    }


def _label(label: LabelFacts) -> dict[str, Any]:
    return {
        "other_grid": label.other_grid,
        "not_annotated_share": label.n_not_annotated / max(1, label.n_voxels),
        "annotated_slices": label.annotated_slices,
        "slices": label.slices,
        "structures": {
            value: {
                "volume_ml": entry.volume_ml,
                "voxels": entry.voxels,
                "slices": entry.slices,
                "parts": entry.n_parts,
                "largest_part": entry.largest_part,
                "hole_voxels": entry.hole_voxels,
                "centroid_lps_mm": entry.centroid_lps_mm,
            }
            for value, entry in sorted(label.structures.items())
        },
    }
