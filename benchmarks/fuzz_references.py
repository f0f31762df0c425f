"""What independent readers make of an image file: voxels and grid, to compare with."""

from __future__ import annotations

import contextlib
import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from alhvr.data.scan import Scan


@dataclass(frozen=True)
class Expected:
    """Voxels and grid by another reader."""

    array: np.ndarray
    """[K, J, I] of real numbers."""
    affine_lps: np.ndarray
    """(4, 4): index to LPS mm."""


def reference(kind: str, path: Path) -> Expected:
    """What the independent reader of this kind gives; raises whatever it raises."""
    if kind.startswith("nifti"):
        return _nifti(path)
    return _dicom(path) if kind == "dicom" else _itk(path)


def differs(scan: Scan, expected: Expected) -> str:
    """How a scan differs from what was expected; empty where it does not."""
    if scan.array.shape != expected.array.shape:
        return f"voxels {scan.array.shape}, expected {expected.array.shape}"
    with np.errstate(over="ignore", invalid="ignore"):
        array = expected.array.astype(scan.array.dtype)
        finite = np.isfinite(array)
        array = np.where(finite, array, array[finite].min() if finite.any() else 0)
        close = np.isclose(array.astype(float), scan.array.astype(float), rtol=1e-6, atol=0)
    if not close.all():
        return f"{int((~close).sum())} voxels differ"
    scale = np.abs(expected.affine_lps).max()
    apart = np.abs(scan.geometry.affine_lps - expected.affine_lps).max()
    return "" if apart <= 1e-4 * max(1.0, scale) else f"the grid is {apart:g} mm off"


def _itk(path: Path) -> Expected:
    content, told = path.read_bytes(), b"\nCompressedData = True\n"
    if path.suffix in (".mha", ".mhd") and told in content and b"\nCompressedDataSize = " not in content:
        # ITK takes what lies in memory for voxels where the size is missing
        end = content.find(b"\n", content.find(b"\nElementDataFile = ") + 1) + 1
        size = len(content) - end or (path.parent / "a.raw").stat().st_size
        path.write_bytes(content.replace(told, told + b"CompressedDataSize = %d\n" % size, 1))
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    image = sitk.ReadImage(str(path))
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError("no volume")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return Expected(sitk.GetArrayFromImage(image), affine)


def _nifti(path: Path) -> Expected:
    """By the layout in the standard's own header files, nifti1.h and nifti2.h."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    order = "<" if struct.unpack("<i", raw[:4])[0] in (348, 540) else ">"
    first = struct.unpack(f"{order}i", raw[:4])[0] == 348

    def at(code: str, place_1: int, place_2: int) -> tuple:
        return struct.unpack_from(order + code, raw, place_1 if first else place_2)

    real = "f" if first else "d"
    dim = at("8h" if first else "8q", 40, 16)
    kind = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
            1280: "u8"}[at("h", 70, 12)[0]]
    offset = int(at("f" if first else "q", 108, 168)[0])
    slope, intercept = at(f"2{real}", 112, 176)
    shape = dim[3:0:-1]
    array = np.frombuffer(raw, order + kind, int(np.prod(shape)), offset).reshape(shape).astype(float)
    if slope and np.isfinite(slope) and np.isfinite(intercept):
        with np.errstate(over="ignore", invalid="ignore"):
            array = array.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    code = ("h", "h") if first else ("i", "i")
    return Expected(array, _nifti_grid(at(code[0], 252, 344)[0], at(code[1], 254, 348)[0], at(f"8{real}", 76, 104),
                                       np.array(at(f"18{real}", 256, 352), dtype=float),
                                       at("B" if first else "i", 123, 500)[0]))


def _nifti_grid(qform: int, sform: int, pixdim: tuple[float, ...], numbers: np.ndarray, units: int) -> np.ndarray:
    """(4, 4) in LPS; ``numbers``: quaternion, its offset, rows of the sform."""
    scale = {1: 1000.0, 3: 0.001}.get(units & 7, 1.0)
    rows = numbers[6:].reshape(3, 4) * scale
    sizes = np.array([abs(p) or 1.0 for p in pixdim[1:4]])
    sizes = np.where(np.array(pixdim[1:4]) != 0, sizes * scale, 1.0)
    affine = np.eye(4)
    if sform > 0 and abs(np.linalg.det(rows[:, :3])) >= 1e-9 and not (qform > 0 and sform != 1):
        affine[:3] = rows
    elif qform > 0:
        b, c, d = numbers[:3]
        a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
        a, b, c, d = np.array([a, b, c, d]) / np.linalg.norm([a, b, c, d])
        turn = np.array([[a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                         [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                         [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c]])
        affine[:3, :3] = turn * sizes * [1, 1, -1 if pixdim[0] < 0 else 1]
        affine[:3, 3] = numbers[3:6] * scale
    else:
        affine[:3, :3] = np.diag(sizes)
    return np.diag([-1.0, -1, 1, 1]) @ affine


def _first_number(dataset: object, *tags: str) -> float:
    """The first of the ``tags`` that holds a number above 0; 1 where none does."""
    for tag in tags:
        with contextlib.suppress(TypeError, ValueError):
            if float(dataset.get(tag)) > 0:
                return float(dataset.get(tag))
    return 1.0


def _dicom(path: Path) -> Expected:
    import pydicom

    dataset = pydicom.dcmread(path)
    for tag, usual in (("PhotometricInterpretation", "MONOCHROME2"), ("SamplesPerPixel", 1)):
        if tag not in dataset:
            setattr(dataset, tag, usual)
    plane = dataset.pixel_array.astype(float)
    plane = plane * float(dataset.get("RescaleSlope") or 1) + float(dataset.get("RescaleIntercept") or 0)
    row, column = np.reshape([float(x) for x in dataset.ImageOrientationPatient], (2, 3))
    row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
    down, across = (float(x) for x in dataset.PixelSpacing)
    thickness = _first_number(dataset, "SpacingBetweenSlices", "SliceThickness")
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row * across, column * down, np.cross(row, column) * thickness])
    affine[:3, 3] = [float(x) for x in dataset.ImagePositionPatient]
    return Expected(plane[None], affine)
