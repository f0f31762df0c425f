"""A real DICOM study: hippocampus crops segmented and looked at, oblique series read and written back in place.

    python benchmarks/dicom_study.py MODEL      (a model of hippocampus, anterior and posterior)

Results go to benchmarks/results/dicom_study.png, .md and .json. Segmentations are read with SimpleITK and the true
places of voxels come from pydicom's headers, so that no geometry of the engine is judged by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import matplotlib
import numpy as np
import pydicom
import SimpleITK as sitk
from accuracy import DATA, HERE, machine
from scipy import ndimage

from alhvr.bundle.model import read_model
from alhvr.data.reading import read_scan
from alhvr.data.scan import Segmentation
from alhvr.export.dicom_seg import write_dicom_seg
from alhvr.export.volumes import write_segmentation
from alhvr.formats.labels import LabelSet

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

STUDIES = DATA / "brain-dicom"
CROPS = ("Study1/13_HCropVolume", "Study3/11_HCropVolume")
OBLIQUE = ("Study1/12-T1post-05670", "Study1/36459-FLAIRreg-76244", "Study3/36468-FLAIRreg-58706")
FORMATS = ("seg.nrrd", "nrrd", "nii.gz", "nii", "mha")
LIMIT_MM = 0.01
PARTS = {"anterior": 1, "posterior": 2}
COLOURS = {"anterior": "#E69F00", "posterior": "#56B4E9"}
PLANES = {"axial": (0, "A", "P", "R", "L"), "coronal": (1, "S", "I", "R", "L"), "sagittal": (2, "S", "I", "A", "P")}
"""Axis of [S, P, L] looked along, and what is at the top, bottom, left and right of the picture."""


def segment_crops(model: Path, out: Path) -> float:
    """Runs ``alhvr segment`` once on all crops; returns seconds on the clock, loading included."""
    start = time.monotonic()
    command = [sys.executable, "-m", "alhvr", "segment", "--model", model, *(STUDIES / crop for crop in CROPS),
               "--out", out, "--dicom-seg"]
    subprocess.run([str(c) for c in command], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.monotonic() - start


def judge_crop(crop: str, out: Path) -> dict:
    """Volume, place and pieces of both parts of one crop, and how far the DICOM segmentation lies off."""
    image = sitk.ReadImage(str(out / f"{Path(crop).name}.seg.nrrd"))
    array, voxel_ml = sitk.GetArrayFromImage(image), float(np.prod(image.GetSpacing())) / 1000
    dicom = dicom_centroids_lps_mm(out / f"{Path(crop).name}.seg.dcm")
    found: dict = {}
    for name, value in PARTS.items():
        mask = array == value
        if not mask.any():
            raise SystemExit(f"{crop}: nothing was found of {name}.")
        pieces, count = ndimage.label(mask)
        centre = image.TransformContinuousIndexToPhysicalPoint(np.argwhere(mask).mean(axis=0)[::-1].tolist())
        found[name] = {"ml": mask.sum() * voxel_ml, "centroid_lps_mm": list(centre), "pieces": count,
                       "largest_piece": float(np.bincount(pieces.ravel())[1:].max() / mask.sum()),
                       "dicom_seg_off_mm": float(np.linalg.norm(np.subtract(dicom[value], centre)))}
    ahead_mm = found["posterior"]["centroid_lps_mm"][1] - found["anterior"]["centroid_lps_mm"][1]
    return {"parts": found, "anterior_ahead_mm": ahead_mm, "ml": sum(part["ml"] for part in found.values())}


def dicom_centroids_lps_mm(path: Path) -> dict[int, np.ndarray]:
    """Centroid of every segment by the tags of a DICOM segmentation alone, by segment number."""
    frames = dicom_points_lps_mm(path)
    return {number: np.concatenate([places for n, places in frames if n == number]).mean(axis=0)
            for number in {n for n, _ in frames}}


def dicom_points_lps_mm(path: Path) -> list[tuple[int, np.ndarray]]:
    """Segment number and voxel centres [N, 3] of every frame of a DICOM segmentation, by its tags alone."""
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    found = []
    for group, pixels in zip(dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True):
        position = group.PlanePositionSequence[0].ImagePositionPatient
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found.append((number, places_lps_mm(position, orientation, spacing, *np.nonzero(pixels))))
    return found


def places_lps_mm(position: list, orientation: list, spacing: list, j: np.ndarray, i: np.ndarray) -> np.ndarray:
    """LPS mm [N, 3] of pixels in rows ``j`` and columns ``i``: equation C.7.6.2.1-1 of the DICOM standard."""
    along_row, along_column = np.reshape(orientation, (2, 3)).astype(float)
    between_rows, between_columns = (float(x) for x in spacing)
    step = np.outer(i, along_row * between_columns) + np.outer(j, along_column * between_rows)
    return np.asarray(position, dtype=float) + step


def write_back(series: str, out: Path) -> dict:
    """Marks the four corner voxels of every slice, writes every format and measures how far the marks moved."""
    headers = [pydicom.dcmread(path) for path in (STUDIES / series).iterdir()]
    normal = np.cross(*np.reshape(headers[0].ImageOrientationPatient, (2, 3)).astype(float))
    headers.sort(key=lambda header: float(np.dot(normal, np.array(header.ImagePositionPatient, dtype=float))))
    scan = read_scan(STUDIES / series)
    marks, truth = np.zeros(scan.array.shape, dtype=np.uint8), {}
    for k, header in enumerate(headers):
        np.testing.assert_array_equal(scan.array[k], header.pixel_array)
        for j, i in product((0, header.Rows - 1), (0, header.Columns - 1)):
            truth[len(truth) + 1] = places_lps_mm(header.ImagePositionPatient, header.ImageOrientationPatient,
                                                  header.PixelSpacing, np.array([j]), np.array([i]))[0]
            marks[k, j, i] = len(truth)
    labels = LabelSet.from_names({value: f"marker {value}" for value in truth})
    segmentation = Segmentation(scan.name, marks, scan.geometry, labels)
    moved = {ending: moved_mm(write_segmentation(out / f"{scan.name}.{ending}", segmentation), truth)
             for ending in FORMATS}
    written = write_dicom_seg(out / f"{scan.name}.seg.dcm", segmentation, STUDIES / series)
    marked = dict(dicom_points_lps_mm(written.path))
    moved["DICOM Segmentation"] = max(float(np.linalg.norm(marked[v][0] - place)) for v, place in truth.items())
    angle = float(np.degrees(np.arccos(np.abs(normal).max())))
    return {"size_ijk": scan.geometry.size_ijk, "spacing_mm": scan.geometry.spacing_mm,
            "degrees_off_axis": angle, "markers": len(truth), "moved_mm": moved}


def moved_mm(path: Path, truth: dict[int, np.ndarray]) -> float:
    """Largest distance of a marked voxel, as SimpleITK places it, from its true place."""
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    if np.count_nonzero(array) != len(truth):
        raise SystemExit(f"{path.name}: {np.count_nonzero(array)} marked voxels instead of {len(truth)}.")
    return max(float(np.linalg.norm(image.TransformIndexToPhysicalPoint(tuple(int(x) for x in index[::-1]))
                                    - truth[int(array[tuple(index)])])) for index in np.argwhere(array))


def draw(out: Path, picture: Path) -> None:
    """Every crop in three planes through the middle of the segmentation, without and with its outlines."""
    figure, grid = plt.subplots(2 * len(CROPS), 3, figsize=(9.5, 6.2 * len(CROPS)), facecolor="white")
    for number, crop in enumerate(CROPS):
        scan = upright(sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(STUDIES / crop))))
        marked = upright(sitk.ReadImage(str(out / f"{Path(crop).name}.seg.nrrd")))
        middle = np.rint(np.argwhere(marked > 0).mean(axis=0)).astype(int)
        for column, plane in enumerate(PLANES):
            for row, outlined in enumerate((False, True)):
                panel = grid[2 * number + row, column]
                draw_plane(panel, plane, scan, marked if outlined else np.zeros_like(marked), middle)
        grid[2 * number, 0].set_ylabel(Path(crop).name)
    handles = [plt.Line2D([], [], color=COLOURS[name], label=f"hippocampus {name}") for name in PARTS]
    figure.legend(handles=handles, loc="lower center", ncols=2, frameon=False)
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    figure.savefig(picture, dpi=90)


def draw_plane(panel: plt.Axes, plane: str, scan: np.ndarray, marked: np.ndarray, middle: np.ndarray) -> None:
    """One plane of [S, P, L] arrays of 1 mm voxels, superior or anterior up, with the outlines of both parts."""
    axis, top, bottom, left, right = PLANES[plane]
    image, labels = (np.take(array, middle[axis], axis) for array in (scan, marked))
    if plane != "axial":
        image, labels = image[::-1], labels[::-1]
    panel.imshow(image, cmap="gray", vmin=np.percentile(scan, 1), vmax=np.percentile(scan, 99))
    for name, value in PARTS.items():
        if (labels == value).any():
            panel.contour(labels == value, levels=[0.5], colors=COLOURS[name], linewidths=1.6)
    panel.set(title=f"{plane}, {'SPL'[axis]} index {middle[axis]}", xticks=[], yticks=[])
    height, width = image.shape
    for text, x, y in ((top, width / 2, 1.5), (bottom, width / 2, height - 2.5), (left, 1.5, height / 2),
                       (right, width - 2.5, height / 2)):
        panel.text(x, y, text, color="w", ha="center", va="center", bbox={"fc": "k", "ec": "none", "pad": 1.5})


def upright(image: sitk.Image) -> np.ndarray:
    """The voxels with axes towards superior, posterior and left."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS"))


def reference_volumes_ml() -> dict[str, tuple[float, float]]:
    """Smallest and largest volume of each part among the reference labels of the hippocampus data."""
    seen: dict[str, list[float]] = {name: [] for name in PARTS}
    for path in (DATA / "hippocampus" / "labels").iterdir():
        image = sitk.ReadImage(str(path))
        counts = np.bincount(sitk.GetArrayViewFromImage(image).astype(int).ravel(), minlength=3)
        for name, value in PARTS.items():
            seen[name].append(float(counts[value] * np.prod(image.GetSpacing())) / 1000)
    return {name: (min(values), max(values)) for name, values in seen.items()}


def report(results: dict) -> str:
    """The page for people."""
    rows = ["| crop | anterior, ml | posterior, ml | both, ml | pieces | anterior in front of posterior by, mm "
            "| DICOM Segmentation off by, mm |", "|---|---|---|---|---|---|---|"]
    for crop, found in results["crops"].items():
        parts = found["parts"].values()
        volumes = " | ".join(f"{part['ml']:.2f}" for part in parts)
        rows.append(f"| {crop} | {volumes} | {found['ml']:.2f} | {' + '.join(str(p['pieces']) for p in parts)} "
                    f"| {found['anterior_ahead_mm']:.1f} | {max(p['dicom_seg_off_mm'] for p in parts):.1e} |")
    known = "; ".join(f"{name} {low:.2f} to {high:.2f} ml" for name, (low, high) in results["reference_ml"].items())
    back = ["| series | voxels (I, J, K) | spacing, mm | off the body's axes | markers | largest displacement, mm |",
            "|---|---|---|---|---|---|"]
    for series, found in results["oblique"].items():
        size = " x ".join(map(str, found["size_ijk"]))
        spacing = " x ".join(f"{x:.4g}" for x in found["spacing_mm"])
        moved = ", ".join(f"{ending} {value:.1e}" for ending, value in found["moved_mm"].items())
        back.append(f"| {series} | {size} | {spacing} | {found['degrees_off_axis']:.1f} degrees | {found['markers']} "
                    f"| {moved} |")
    about = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    return "\n".join([
        "# A real DICOM study", "", "## Hippocampus crops, segmented", "",
        f"Model `{results['model']}` (validation Dice {results['dice']:.3f}), `alhvr segment --dicom-seg` on both "
        f"series folders in one call: {results['seconds']:.1f} s with loading, one thread.", "",
        "![Both crops in three planes](dicom_study.png)", "", *rows, "",
        f"Reference labels of the training task, for comparison: {known}.", "",
        "## Oblique series, read and written back", "", "The corner voxels of every slice were marked, written in "
        "each format, and found again by another reader; their true places are pydicom's ImagePositionPatient, "
        f"ImageOrientationPatient and PixelSpacing. Accepted: less than {LIMIT_MM} mm.", "", *back, "",
        "Data: Brain-Tumor-Progression (TCIA), derived, CC BY 3.0; the names in its headers are invented.", "",
        f"Command: `{results['command']}`", "", f"Machine: {about}.", ""])


def main() -> None:
    """Segments, measures, draws and writes the results; fails where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    about = read_model(options.model).description
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        results = {"model": about.name, "dice": about.training["validation_dice"]["mean"], "machine": machine(),
                   "command": "python " + " ".join(["benchmarks/dicom_study.py", *sys.argv[1:]]),
                   "seconds": segment_crops(options.model, work),
                   "crops": {crop: judge_crop(crop, work) for crop in CROPS}, "reference_ml": reference_volumes_ml(),
                   "oblique": {series: write_back(series, work) for series in OBLIQUE}}
        draw(work, options.out / "dicom_study.png")
    (options.out / "dicom_study.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "dicom_study.md").write_text(report(results))
    print(report(results))
    worst = max(max(found["moved_mm"].values()) for found in results["oblique"].values())
    behind = [crop for crop, found in results["crops"].items() if found["anterior_ahead_mm"] <= 0]
    if worst >= LIMIT_MM or behind:
        raise SystemExit(f"Largest displacement {worst:.3g} mm; anterior behind posterior in: {behind or 'none'}.")


if __name__ == "__main__":
    main()
