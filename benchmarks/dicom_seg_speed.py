"""A DICOM-SEG of 512 x 512 x 300 voxels and 5 segments, written and read here and by highdicom alone.

    python benchmarks/dicom_seg_speed.py [--slices 300] [--rounds 3]

Each task is a process of its own, all tasks in turn in each round. Both writers read the headers of the same files
and write binary segments; both readers end with one array of label values. Compared is processor time, which other
work on the machine changes least; making the labels and loading libraries are not counted. Results go to
benchmarks/results/dicom_seg_speed.json: each round, the ratio of the medians, the largest resident memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TASKS = ("write here", "write highdicom", "read here", "read highdicom")
N_SEGMENTS, SIDE = 5, 512
MM = 0.8


def geometry(n_slices: int):
    """An axial grid."""
    from alhvr.data.geometry import Geometry

    return Geometry((SIDE, SIDE, n_slices), (MM, MM, 1.5), (-200.0, -200.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


def labels_array(n_slices: int) -> np.ndarray:
    """uint8 [K, J, I]: five balls of different sizes."""
    array = np.zeros((n_slices, SIDE, SIDE), np.uint8)
    j, i = np.ogrid[:SIDE, :SIDE]
    for number, (y, x, radius) in enumerate([(120, 140, 90), (370, 130, 70), (250, 260, 110), (130, 400, 60),
                                             (390, 390, 80)], start=1):
        for k in range(n_slices):
            off = (k - n_slices / 2) / (n_slices / 2)
            reach = radius * np.sqrt(max(0.0, 1 - off * off))
            array[k][(j - y) ** 2 + (i - x) ** 2 < reach ** 2] = number
    return array


def write_source(folder: Path, n_slices: int) -> None:
    """A CT series with small random voxels."""
    sys.path.insert(0, str(HERE.parent / "Testing" / "support"))
    from dicom_files import write_series

    pixels = np.random.default_rng(0).integers(-100, 200, (n_slices, SIDE, SIDE), dtype=np.int16)
    write_series(folder, pixels, geometry(n_slices), Modality="CT", StudyDate="20200101", StudyTime="101010",
                 PatientBirthDate="", PatientSex="", AccessionNumber="", StudyID="1", ReferringPhysicianName="")


def write_here(work: Path, n_slices: int, array: np.ndarray) -> None:
    """The engine's writer."""
    from alhvr.data.scan import Segmentation
    from alhvr.export.dicom_seg import write_dicom_seg
    from alhvr.formats.labels import LabelSet

    names = LabelSet.from_names({n: name for n, name in enumerate(
        ("liver", "spleen", "pancreas", "left kidney", "right kidney"), start=1)})
    segmentation = Segmentation("scan", array, geometry(n_slices), names)
    write_dicom_seg(work / "here.seg.dcm", segmentation, work / "series")


def write_highdicom(work: Path, n_slices: int, array: np.ndarray) -> None:
    """What a script with highdicom and pydicom does."""
    import highdicom
    import pydicom
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in (work / "series").iterdir()]
    headers.sort(key=lambda header: header.ImagePositionPatient[2])
    algorithm = highdicom.AlgorithmIdentificationSequence("x", codes.DCM.ArtificialIntelligence, "1")
    segments = [highdicom.seg.SegmentDescription(n, f"segment {n}", codes.SCT.Tissue, codes.SCT.Tissue, "AUTOMATIC",
                                                 algorithm) for n in range(1, N_SEGMENTS + 1)]
    seg = highdicom.seg.Segmentation(headers, array, "BINARY", segments, generate_uid(), 300,
                                     generate_uid(), 1, "x", "x", "1", "1")
    seg.save_as(work / "highdicom.seg.dcm")


def read_here(work: Path, n_slices: int, array: np.ndarray) -> None:
    """The engine's reader; ends with an array of label values."""
    from alhvr.data.dicom_labels import read_dicom_label

    found = read_dicom_label(work / "here.seg.dcm", geometry(n_slices))
    assert np.array_equal(found.array, array)


def read_highdicom(work: Path, n_slices: int, array: np.ndarray) -> None:
    """highdicom's reader."""
    from highdicom.seg import segread

    found = segread(work / "here.seg.dcm").get_volume(combine_segments=True, allow_missing_positions=True)
    assert np.count_nonzero(found.array) == np.count_nonzero(array)


def run_task(task: str, work: Path, n_slices: int) -> None:
    """One task in this process; prints seconds and bytes as JSON."""
    import highdicom  # noqa: F401 - loading it is not what is compared
    import pydicom  # noqa: F401

    import alhvr.data.dicom_labels
    import alhvr.export.dicom_seg  # noqa: F401

    array = labels_array(n_slices)
    start, start_cpu = time.perf_counter(), time.process_time()
    {"write here": write_here, "write highdicom": write_highdicom, "read here": read_here,
     "read highdicom": read_highdicom}[task](work, n_slices, array)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(json.dumps({"cpu_seconds": round(cpu, 2), "seconds": round(seconds, 2),
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def main() -> None:
    """Runs all tasks in turn, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    if options.task:
        run_task(options.task, options.work, options.slices)
        return
    found: dict[str, list[dict]] = {task: [] for task in TASKS}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_source(work / "series", options.slices)
        for _ in range(options.rounds):
            for task in TASKS:
                words = [sys.executable, __file__, "--slices", str(options.slices), "--task", task, "--work", folder]
                told = subprocess.run(words, capture_output=True, text=True, check=True)
                found[task].append(json.loads(told.stdout.splitlines()[-1]))
                print(task, found[task][-1], flush=True)
    middle = {task: statistics.median(each["cpu_seconds"] for each in rounds) for task, rounds in found.items()}
    record = {"slices": options.slices, "segments": N_SEGMENTS, "rounds": found,
              "ratio_write": round(middle["write here"] / middle["write highdicom"], 3),
              "ratio_read": round(middle["read here"] / middle["read highdicom"], 3),
              "peak_gb": {task: round(max(each["peak_bytes"] for each in rounds) / 1e9, 2)
                          for task, rounds in found.items()}}
    (HERE / "results" / "dicom_seg_speed.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(json.dumps(record["peak_gb"]), record["ratio_write"], record["ratio_read"])


if __name__ == "__main__":
    main()
