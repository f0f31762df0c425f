"""The arguments of ``alhvr segment``, and the one call that they become."""

from __future__ import annotations

import argparse
from pathlib import Path

from alhvr.core.progress import Reporter


def add_segment_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything but --device and --progress."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT",
                        help="scan, DICOM series folder, or a folder of these; a bad one does not stop the others")
    parser.add_argument("--model", type=Path, required=True, metavar="MODEL", help="model folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="folder for the results; alhvr-segment.json in it tells what is done, so that the same "
                             "command skips it the next time and leaves results alone that somebody changed")
    parser.add_argument("--regions", action="store_true", help="also write the high-value regions")
    parser.add_argument("--fusion", choices=["mean", "competition", "a", "b"],
                        help="label by the mean of both networks, or voxel by voxel by the surer one; left out: as the "
                             "model was set when it was trained")
    parser.add_argument("--temperature", type=float, metavar="T",
                        help="sharpening temperature of the competing teacher's map beside the regions, above 0 and at "
                             "most 1; left out: that of training")
    parser.add_argument("--uncompressed", action="store_true",
                        help="do not compress the maps beside the regions: larger, quicker to write and to read")
    parser.add_argument("--dicom-seg", action="store_true",
                        help="also write a DICOM Segmentation; inputs must be DICOM series")
    parser.add_argument("--format", choices=["seg.nrrd", "nii.gz", "nrrd", "mha"], default="seg.nrrd",
                        help="file format of the segmentation")
    parser.add_argument("--backend", choices=["auto", "onnxruntime", "openvino", "torch"], default="auto",
                        help="what runs the networks")


def run_segment(options: argparse.Namespace, reporter: Reporter) -> None:
    """Segments; SomeFailed at the end where an input could not be."""
    from alhvr.inference.run import SegmentRequest, SomeFailed, segment

    request = SegmentRequest(model=options.model, inputs=tuple(options.inputs), out=options.out,
                             regions=options.regions, dicom_seg=options.dicom_seg, file_format=options.format,
                             device=options.device or "auto", backend=options.backend, fusion=options.fusion,
                             temperature=options.temperature, compressed=not options.uncompressed)
    try:
        result = segment(request, reporter)
    except SomeFailed as failures:
        failures.result.tell(reporter)
        raise
    result.tell(reporter)
