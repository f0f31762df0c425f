"""Time and memory of finding the series of a large DICOM archive: first, again, and after one series was added.

    python benchmarks/dicom_index.py [--series 5000] [--slices 4]

Tiny invented series are written to a temporary folder; figures go to benchmarks/results/dicom_index.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from accuracy import HERE, machine
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

SETTLED_S = 2.5
"""Files that were written a moment ago are read again the next time."""


def template() -> bytes:
    """One slice with marks where UIDs and the place stand."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality = MRImageStorage, "MR"
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = "1.9.1111111", "1.9.222222"
    dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = "1.9.333333"
    dataset.PatientName, dataset.PatientID = "Invented^Person", "0000"
    dataset.ImagePositionPatient = ["0", "0", "444444"]
    dataset.ImageOrientationPatient, dataset.PixelSpacing = [1, 0, 0, 0, 1, 0], [1, 1]
    dataset.SliceThickness, dataset.SeriesDescription = 3, "AX T1"
    dataset.Rows = dataset.Columns = 16
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PixelData = np.arange(256, dtype="<i2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def write_series(folder: Path, number: int, n_slices: int, data: bytes) -> None:
    """One series in a folder of its own, four to a study."""
    place = folder / f"study{number // 4:05d}" / f"series{number:06d}"
    place.mkdir(parents=True)
    data = data.replace(b"1.9.222222", b"1.9.%06d" % (number + 100000)).replace(
        b"1.9.333333", b"1.9.%06d" % (number // 4 + 700000))
    for index in range(n_slices):
        uid = b"1.9.%07d" % (number * n_slices + index + 1000000)
        (place / f"{index:04d}.dcm").write_bytes(
            data.replace(b"1.9.1111111", uid).replace(b"444444", b"%06d" % (3 * index)))


def look(folder: Path, cache: Path) -> dict:
    """Lists the archive in a process of its own; seconds, its peak memory and how many series it found."""
    program = ("import sys, resource, time; from pathlib import Path; from alhvr.data.dicom_folder import list_series;"
               "start = time.monotonic(); found = list_series(Path(sys.argv[1]));"
               "print(len(found.images), time.monotonic() - start, time.process_time(),"
               " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)")
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True,
                          env={**os.environ, "ALHVR_CACHE": str(cache), "OMP_NUM_THREADS": "1"})
    series, seconds, cpu_s, memory_mb = done.stdout.split()
    return {"series": int(series), "seconds": float(seconds), "cpu_s": float(cpu_s), "memory_mb": float(memory_mb)}


def main() -> None:
    """Writes the archive, looks three times, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=5000)
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    data = template()
    with tempfile.TemporaryDirectory() as base:
        archive, cache = Path(base) / "archive", Path(base) / "cache"
        cache.mkdir()
        for number in range(options.series):
            write_series(archive, number, options.slices, data)
        time.sleep(SETTLED_S)
        found = {"first": look(archive, cache), "again": look(archive, cache)}
        write_series(archive, options.series, options.slices, data)
        found["one series more"] = look(archive, cache)
        size_mb = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / 1e6
    result = {"series": options.series, "slices": options.slices, "index_mb": size_mb, "looks": found,
              "machine": machine(), "command": "python " + " ".join(["benchmarks/dicom_index.py", *sys.argv[1:]])}
    rows = [f"| {what} | {one['series']} | {one['seconds']:.1f} | {one['cpu_s']:.1f} | "
            f"{one['memory_mb']:.0f} |"
            for what, one in found.items()]
    about = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "dicom_index.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.out / "dicom_index.md").write_text("\n".join([
        "# Finding the series of a DICOM archive", "",
        f"{options.series} series of {options.slices} slices, once each; the index takes {size_mb:.1f} MB.", "",
        "| look | series found | seconds | of the processor | peak memory, MB |", "|---|---|---|---|---|", *rows, "",
        f"Command: `{result['command']}`", "", f"Machine: {about}.", ""]))
    print((options.out / "dicom_index.md").read_text())


if __name__ == "__main__":
    main()
