"""The whole story on generated scans: train without and with the archive, score both, segment, and report."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.bundle.model import read_model
from alhvr.config import PlanConfig, RunConfig, TrainingConfig
from alhvr.core.errors import UserError
from alhvr.core.files import write_bytes
from alhvr.core.progress import Reporter
from alhvr.data.reading import read_label, read_scan
from alhvr.demo.overlays import Curve, curves_picture, regions_picture, segmentation_picture
from alhvr.demo.report import DemoResults, verdict, write_demo_report
from alhvr.evaluation.report import Report, evaluate_folders
from alhvr.formats.region_tables import REGION_NAMES
from alhvr.inference.run import SegmentRequest, segment
from alhvr.phantom.study import PhantomStudy, make_phantom, write_phantom_case, write_phantom_study
from alhvr.training.run import TrainRequest, train

ITERATIONS = 500
"""Optimiser steps of each of the two trainings."""

LABELED = 2
"""Labelled scans to learn from: few, as where an archive counts."""

NEW_SCAN = 1000
"""Number of the generated scan that belongs to no part of the study."""

LABELS_ONLY, WITH_ARCHIVE = "labels-only", "with-archive"
_COLOURS = {LABELS_ONLY: "#0072B2", WITH_ARCHIVE: "#D55E00"}
_NAMES = {LABELS_ONLY: "labels only", WITH_ARCHIVE: "labels and archive"}


@dataclass
class _Story:
    """The demo under way: where it writes, who listens, and how long each chapter took."""

    out: Path
    reporter: Reporter
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """Announces a chapter and takes its time."""
        self.reporter.note(f"{len(self.seconds) + 1}. {title} ...")
        began_at = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - began_at

    def run_folder(self, kind: str) -> Path:
        """Where the training ``kind`` keeps its run."""
        return self.out / f"run-{kind}"

    def predictions(self, kind: str) -> Path:
        """Where the test segmentations of the model ``kind`` lie."""
        return self.out / f"test-{kind}"


def run_demo(out: Path, reporter: Reporter, *, seed: int = 0, iterations: int = ITERATIONS) -> Path:
    """Plays the whole story into the folder ``out`` and returns its report, an HTML file.

    Raises UserError when ``out`` already holds something, Cancelled when stopped by a signal.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} already holds something.", "Choose another --out folder, or empty it first.")
    story, config = _Story(out, reporter), _config(seed, iterations)
    with story.chapter("Generating 21 abdominal CT scans, 8 of them with true labels"):
        study = write_phantom_study(out / "study", seed, labeled=LABELED)
        new_scan = write_phantom_case(out / "new-scan", make_phantom(seed, NEW_SCAN), labeled=False)
    with story.chapter("Training on the 2 labelled scans only"):
        _train(story, LABELS_ONLY, study, config)
    with story.chapter("Training on the same 2 scans and the archive of 12 without labels"):
        _train(story, WITH_ARCHIVE, study, config)
    with story.chapter("Scoring both models on 3 test scans that neither has seen"):
        scores = {kind: _score(story, kind, study) for kind in (LABELS_ONLY, WITH_ARCHIVE)}
    with story.chapter("Segmenting a new scan, with the regions where the model is unsure"):
        model = story.run_folder(WITH_ARCHIVE) / "model"
        segment(SegmentRequest(model, (new_scan,), out / "new-scan", regions=True), reporter)
    with story.chapter("Drawing pictures and writing the report"):
        results = DemoResults(
            labels_only=scores[LABELS_ONLY], with_archive=scores[WITH_ARCHIVE],
            region_shares=_region_shares(new_scan), pictures=_pictures(story, study, new_scan),
            facts=_facts(story, config), files=_FILES,
        )
        report = write_demo_report(out / "report.html", results)
    for sentence in verdict(results):
        reporter.note(sentence)
    reporter.artifact("report", str(report.resolve()))
    reporter.note(f"Everything is in {out.resolve()}; open report.html first.")
    return report


def _config(seed: int, iterations: int) -> RunConfig:
    """Slices of small scans, eight at a time: what two CPU cores can learn in two minutes."""
    return RunConfig(
        training=TrainingConfig(iterations=iterations, validations=5, learning_rate=0.03, seed=seed),
        plan=PlanConfig(dimensions=2, target_spacing_mm=(5.0, 3.7, 3.7), patch_size=(80, 96), batch_size=8,
                        modality="CT"),
    )


def _train(story: _Story, kind: str, study: PhantomStudy, config: RunConfig) -> None:
    """One training; both kinds differ in nothing but the archive."""
    train(TrainRequest(labeled=study.labeled, unlabeled=(study.unlabeled,) if kind == WITH_ARCHIVE else (),
                       validation=study.validation, out=story.run_folder(kind), config=config), story.reporter)


def _score(story: _Story, kind: str, study: PhantomStudy) -> Report:
    """Segments the test scans with the model ``kind`` and scores them; the scores are kept as JSON too."""
    request = SegmentRequest(story.run_folder(kind) / "model", (study.test / "images",), story.predictions(kind),
                             file_format="nii.gz")
    segment(request, story.reporter)
    report = evaluate_folders(story.predictions(kind), study.test, reporter=story.reporter)
    report.write_json(story.out / f"scores-{kind}.json")
    return report


def _pictures(story: _Story, study: PhantomStudy, new_scan: Path) -> dict[str, bytes]:
    """The report's pictures as PNG, by name; also written beside the report."""
    pictures = {
        "segmentation": _segmentation_picture(story, study),
        "regions": _regions_picture(story, new_scan),
        "curves": curves_picture([_curve(story.run_folder(kind), kind) for kind in (LABELS_ONLY, WITH_ARCHIVE)]),
    }
    for name, data in pictures.items():
        write_bytes(story.out / f"{name}.png", data)
    return pictures


def _segmentation_picture(story: _Story, study: PhantomStudy) -> bytes:
    """The first test scan: truth beside both models."""
    image = min((study.test / "images").iterdir())
    truth = read_label(study.test / "labels" / image.name).array
    found = {title: read_label(story.predictions(kind) / image.name).array
             for title, kind in (("labels only", LABELS_ONLY), ("with the archive", WITH_ARCHIVE))}
    labels = read_model(story.run_folder(WITH_ARCHIVE) / "model").description.labels
    smallest = min(labels.values, key=lambda value: np.count_nonzero(truth == value) or truth.size)
    return segmentation_picture(read_scan(image), {"true label": truth, **found}, labels, truth == smallest)


def _regions_picture(story: _Story, new_scan: Path) -> bytes:
    """The new scan: regions and confidence, cut where the region to look at first is largest."""
    region = read_label(_beside(new_scan, "regions.nrrd")).array
    confidence = {f"confidence of network {network}": read_scan(_beside(new_scan, f"confidence-{network}.nrrd")).array
                  / np.float32(65535) for network in ("a", "b")}
    return regions_picture(read_scan(new_scan), region, confidence, region == 3)


def _region_shares(new_scan: Path) -> dict[int, float]:
    region = read_label(_beside(new_scan, "regions.nrrd")).array
    return {value: float((region == value).mean()) for value in REGION_NAMES}


def _beside(scan: Path, ending: str) -> Path:
    """The result file of ``scan`` with this ending, in the demo's new-scan folder."""
    return scan.parent.parent / f"{scan.name.removesuffix('.nii.gz')}.{ending}"


def _curve(run: Path, kind: str) -> Curve:
    """The losses and Dice of a run from its metrics.jsonl; unsupervised losses are shown unweighted."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    terms = {
        "labelled scans": ("supervised_ce", "supervised_dice"),
        "prototypes (both networks)": ("prototype_ce", "prototype_cosine"),
        "competition (both networks)": ("competition_mse", "competition_entropy"),
    }
    losses = {title: _series(lines, names) for title, names in terms.items()}
    scored = [line for line in lines if "mean_dice" in line]
    dice = ([line["iteration"] for line in scored], [line["mean_dice"] for line in scored])
    return Curve(_NAMES[kind], _COLOURS[kind], {title: points for title, points in losses.items() if points[0]}, dice)


def _series(lines: list[dict[str, Any]], names: tuple[str, ...]) -> tuple[list[int], list[float]]:
    """Iterations and the sum of the named losses where all of them were recorded."""
    kept = [line for line in lines if all(name in line.get("losses", {}) for name in names)]
    return [line["iteration"] for line in kept], [sum(line["losses"][name] for name in names) for line in kept]


def _facts(story: _Story, config: RunConfig) -> dict[str, str]:
    record = read_model(story.run_folder(WITH_ARCHIVE) / "model").description.training
    minutes = {title: f"{seconds / 60:.1f} min" for title, seconds in story.seconds.items()}
    return {
        "Scans": f"{LABELED} labelled, 12 in the archive, 3 for validation, 3 for the test, 1 new",
        "Each training": f"{config.training.iterations} iterations on slices, batches of {config.plan.batch_size}",
        "Seed": str(config.training.seed),
        "Machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, device {record['device']}, "
                   f"{record['precision']}, {platform.system()}",
        **minutes,
    }


_FILES = {
    "report.html": "this page",
    f"run-{LABELS_ONLY}/model": "the model that learned from the labels only",
    f"run-{WITH_ARCHIVE}/model": "the model that learned from the labels and the archive",
    f"scores-{LABELS_ONLY}.json, scores-{WITH_ARCHIVE}.json": "all scores of the test scans",
    f"test-{LABELS_ONLY}/, test-{WITH_ARCHIVE}/": "segmentations of the test scans",
    "new-scan/": "the new scan, its segmentation, regions and confidence maps; open them in 3D Slicer",
    "study/": "the generated scans and labels, in the layout that alhvr train reads",
}
