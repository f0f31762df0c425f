"""A made-up end of a check, for tests of what is written about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from alhvr.checking.facts import CaseFacts, ImageFacts, LabelFacts, Problem, StructureFacts
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.result import CheckResult, Forecast, Outlier
from alhvr.data.cases import Case, CaseSet
from alhvr.data.fingerprint import Fingerprint
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics
from alhvr.formats.labels import LabelSet

LABELS = LabelSet.from_names({1: "liver", 3: "spleen"})
GRID = Geometry((20, 16, 5), (1.5, 1.5, 4.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def image_facts(seed: int = 0, **changes: Any) -> ImageFacts:
    """A scan of noise on GRID."""
    rng = np.random.default_rng(seed)
    seen = Statistics(lower=-2.0, median=50.0, upper=120.0, mean=52.0, std=30.0)
    facts = {"content": f"{seed:064d}", "print": Fingerprint(GRID, "MR", seen), "lowest": -9.0, "highest": 130.0,
             "n_not_finite": 0, "histogram": tuple(rng.integers(0, 99, 64).tolist()),
             "thumbnail": rng.integers(0, 256, (16, 20), dtype=np.uint8)}
    return ImageFacts(**{**facts, **changes})


def structure_facts(volume_ml: float = 9.0, **changes: Any) -> StructureFacts:
    """A structure in one piece."""
    facts = {"voxels": 1000, "volume_ml": volume_ml, "slices": 3, "centroid_lps_mm": (1.0, 2.0, 3.0), "n_parts": 1,
             "largest_part": 1.0, "hole_voxels": 0}
    return StructureFacts(**{**facts, **changes})


def label_facts(**changes: Any) -> LabelFacts:
    """Liver and spleen, each drawn as a box in the picture."""
    outline = np.zeros((16, 20), np.uint8)
    outline[2:6, 3:9], outline[8:12, 3:9] = 1, 3
    facts = {"content": "0" * 64, "geometry": GRID, "other_grid": "", "n_voxels": 1600, "n_not_annotated": 0,
             "structures": {1: structure_facts(), 3: structure_facts(2.5)}, "annotated_slices": 5, "slices": 5,
             "outline": outline}
    return LabelFacts(**{**facts, **changes})


def case_facts(part: str, name: str, seed: int = 0, **changes: Any) -> CaseFacts:
    """A case that was read without trouble, with a label where its part has labels."""
    labelled = part != "unlabeled"
    case = Case(name, Path(f"/data/{part}/images/{name}.nii.gz"),
                Path(f"/data/{part}/labels/{name}.nii.gz") if labelled else None)
    facts = {"images": (image_facts(seed),), "label": label_facts() if labelled else None}
    return CaseFacts(part, case, **{**facts, **changes})


def finding(kind: str, severity: Severity, *cases: str, seen: str = "Something was seen.") -> Finding:
    """A finding about ``cases`` (part/name) and their scans."""
    files = tuple(Path("/data", *key.split("/", 1)).with_suffix(".nii.gz") for key in cases)
    return Finding(kind, severity, files, seen, "Do something about it.", cases)


def check_result(*, archive: int = 2, findings: tuple[Finding, ...] = (), **changes: Any) -> CheckResult:
    """Two labelled cases, a broken third, one to validate on, and an archive of which the last is the furthest off."""
    cut_off = Problem("It is cut off.", "Copy it.")
    facts = [case_facts("labeled", "one", 1), case_facts("labeled", "two", 2),
             case_facts("labeled", "broken", images=(), label=None, image_problem=cut_off),
             case_facts("validation", "three", 3),
             *(case_facts("unlabeled", f"scan{i}", 9 + i) for i in range(archive))]
    sets = {part: CaseSet(Path(f"/data/{part}"), tuple(f.case for f in facts if f.part == part), {1: "liver"}, None, ())
            for part in ("labeled", "validation", "unlabeled")}
    unlike = tuple(Outlier(f"unlabeled/scan{i}", float(i), "Its intensity.") for i in reversed(range(archive)))
    result = {"sets": sets, "labels": LABELS, "unlike": unlike, "n_cached": 2,
              "forecast": Forecast(3.25, 412.0, 0.35, ("Three steps were measured.",), 11.0, 120.0, 0.02)}
    return CheckResult(tuple(facts), findings, **{**result, **changes})
