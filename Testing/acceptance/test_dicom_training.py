"""Training straight from DICOM: studies with DICOM-SEG as labels and series without, by two commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import write_series
from tiny_runs import OBLIQUE, make_scan, short_run

from alhvr.cli import main
from alhvr.data.cases import find_cases
from alhvr.data.geometry import Geometry
from alhvr.data.reading import read_scan
from alhvr.data.scan import Segmentation
from alhvr.export.dicom_seg import write_dicom_seg
from alhvr.formats.labels import LabelSet

LABELS = LabelSet.from_names({1: "liver", 3: "spleen"})


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies with a label elsewhere in the tree, three series of the archive."""
    base = tmp_path_factory.mktemp("dicom")
    for part, seeds in (("labeled", range(3)), ("archive", range(100, 103))):
        for seed in seeds:
            image, label = make_scan(seed)
            grid = Geometry(image.shape[::-1], OBLIQUE.spacing_mm, OBLIQUE.origin_lps_mm, OBLIQUE.direction)
            folder = base / part / f"study{seed}" / "series"
            write_series(folder, image.astype(np.int16), grid, SeriesDescription="AX T1",
                         StudyInstanceUID=f"1.2.{seed + 1}", FrameOfReferenceUID=f"1.3.{seed + 1}")
            write_series(folder.parent / "scout", image[:1].astype(np.int16), grid, SeriesDescription="scout")
            if part == "labeled":
                segmentation = Segmentation("x", label, read_scan(folder).geometry, LABELS)
                (base / part / "objects").mkdir(exist_ok=True)
                write_dicom_seg(base / part / "objects" / f"{seed}.dcm", segmentation, folder)
    return base


def test_studies_with_labels_as_dicom_are_trained_on_and_segmented_by_two_commands(studies: Path) -> None:
    rule, run, out = "description=*t1*, slices>=3", studies / "run", studies / "out"
    arguments = short_run(studies, run, "--iterations", 4, "--series", rule, "--force")
    assert main([str(argument) for argument in arguments]) == 0
    assert main(["segment", str(studies / "archive"), "--model", str(run / "model"), "--out", str(out), "--dicom-seg",
                 "--series", rule]) == 0
    assert len(list(out.glob("*.seg.nrrd"))) == 3
    for path in out.glob("*.seg.dcm"):
        assert pydicom.dcmread(path, stop_before_pixels=True).Modality == "SEG"
    assert json.loads((run / "config.json").read_text())["data"]["series"] == [rule]
    assert json.loads((run / "run.json").read_text())["labels"]["labels"][1]["name"] == "spleen"


def test_own_results_beside_the_series_are_no_labels(studies: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    image, label = make_scan(7)
    write_series(place / "s", image.astype(np.int16), OBLIQUE)
    segmentation = Segmentation("s", label, read_scan(place / "s").geometry, LABELS)
    write_dicom_seg(place / "s.seg.dcm", segmentation, place / "s")
    assert len(find_cases(place, labeled=True).cases) == 1
    entry = {"files": ["s.seg.dcm"]}
    (place / "alhvr-segment.json").write_text(json.dumps({"results": {"s": entry}}))
    assert find_cases(place, labeled=False).cases[0].label is None
    with pytest.raises(Exception, match="None of the 1 scans"):
        find_cases(place, labeled=True)
