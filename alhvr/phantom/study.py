"""Generated abdominal CT scans with true labels, and small studies of them: a world to try everything on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from alhvr.core.files import write_json, written_by_name
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Scan
from alhvr.phantom.paint import paint
from alhvr.phantom.patient import LABEL_NAMES, Build, draw_patient
from alhvr.phantom.shapes import BodyGrid, Waves, rotation

_GOLDEN, _PLASTIC = 0.6180339887, 0.7548776662
"""Steps of two evenly filling sequences: any few neighbouring indices cover contrast phase and body size."""

_ORIENTATIONS = ("lps", "ras", "permuted", "oblique")


@dataclass(frozen=True)
class Phantom:
    """A generated scan with its truth."""

    scan: Scan
    """Whole HU values as a CT file holds them, float32 [K, J, I]."""
    label: np.ndarray
    """uint8 [K, J, I] on the scan's grid; 0 is everything that is not in ``label_names``."""
    label_names: dict[int, str]
    """Value to structure."""

    @property
    def geometry(self) -> Geometry:
        """The grid of scan and label."""
        return self.scan.geometry


@dataclass(frozen=True)
class PhantomStudy:
    """Folders of a written study; each holds images/, and labels/ where there are any."""

    labeled: Path
    """A few scans with labels, to train on."""
    unlabeled: Path
    """The archive: scans without labels."""
    validation: Path
    """Labelled scans that choose the model during training."""
    test: Path
    """Labelled scans that no training sees."""


def make_phantom(seed: int, index: int, *, difficulty: float = 1.0) -> Phantom:
    """Scan number ``index`` of the archive ``seed``; the same pair gives the same scan on every machine.

    ``difficulty`` multiplies what differs between scans (pose, size, shape, contrast, noise): 0 gives scans that are
    alike, 1 a mixed archive. The grid is about 50 x 100 x 100 voxels of 4 to 6 mm slices in any of four orientations.
    """
    rng = np.random.default_rng([seed, index])
    offsets = np.random.default_rng([seed, 2**31]).random(2)
    phase, bulk = (offsets + index * np.array([_GOLDEN, _PLASTIC])) % 1
    patient = draw_patient(rng, phase=0.08 + 0.84 * float(phase), bulk=float(bulk), difficulty=difficulty)
    geometry = _draw_geometry(rng)
    grid = BodyGrid(
        geometry.shape_kji, _to_body(patient.build) @ geometry.affine_lps, patient.build.bend_mm,
        (Waves.draw(rng, (90, 240)), Waves.draw(rng, (90, 240)), Waves.draw(rng, (90, 240))),
    )
    painting = paint(patient, grid, rng, edge_mm=1.1 * float(np.mean(geometry.spacing_mm)))
    array = _expose(painting.hu, grid, rng, noise_hu=rng.uniform(9, 9 + 13 * difficulty))
    scan = Scan(f"phantom_{index:03d}", array, geometry, "CT", Path(f"phantom_{index:03d}.nii.gz"))
    return Phantom(scan, painting.label, dict(LABEL_NAMES))


def write_phantom_study(folder: Path, seed: int, *, labeled: int = 3, archive: int = 12, difficulty: float = 1.0,
                        ) -> PhantomStudy:
    """Writes ``labeled`` (up to 3) labelled, ``archive`` unlabelled, 3 validation and 3 test scans into ``folder``.

    NIfTI, int16 HU. Whatever their number, each part has the same scans.
    """
    study = PhantomStudy(*(folder / name for name in ("labeled", "unlabeled", "validation", "test")))
    groups = ((study.labeled, 0, labeled), (study.validation, 3, 3), (study.test, 6, 3), (study.unlabeled, 9, archive))
    for target, first, count in groups:
        for index in range(first, first + count):
            phantom = make_phantom(seed, index, difficulty=difficulty)
            write_phantom_case(target, phantom, labeled=target != study.unlabeled)
        if target != study.unlabeled:
            write_json(target / "labels.json", LABEL_NAMES)
    return study


def write_phantom_case(folder: Path, phantom: Phantom, *, labeled: bool, ending: str = ".nii.gz") -> Path:
    """Writes images/NAME.nii.gz (int16 HU) and, with ``labeled``, labels/NAME.nii.gz (uint8); returns the image."""
    file_name = f"{phantom.scan.name}{ending}"
    _write_volume(folder / "images" / file_name, phantom.scan.array.astype(np.int16), phantom.geometry)
    if labeled:
        _write_volume(folder / "labels" / file_name, phantom.label, phantom.geometry)
    return folder / "images" / file_name


def _draw_geometry(rng: np.random.Generator) -> Geometry:
    """A grid around the origin: slices thicker than the pixels, stored in one of the orders that sites use."""
    size = rng.integers((94, 76, 46), (107, 91, 61))
    spacing = np.array([1.0, 1.0, 0.0]) * rng.uniform(3.5, 3.95)
    spacing[2] = rng.uniform(4.9, 6.0) if size[2] < 54 else rng.uniform(4.6, 5.2)
    kind = rng.choice(_ORIENTATIONS)
    axes = np.eye(3)
    if kind == "oblique":
        axes = rotation(tuple(rng.uniform(-9, 9, size=3)))
    if kind == "ras":
        axes = axes * (-1, -1, 1)
    if kind == "permuted":
        order = rng.permutation(3)
        axes, size, spacing = axes[:, order] * rng.choice([-1, 1], size=3), size[order], spacing[order]
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    center = np.array([0.0, 0.0, 8.0]) + rng.uniform(-12, 12, size=3)
    affine[:3, 3] = center - affine[:3, :3] @ ((size - 1) / 2)
    return Geometry.from_affine(tuple(size.tolist()), affine)


def _to_body(build: Build) -> np.ndarray:
    """(4, 4) matrix from LPS mm to the body coordinates of a patient who lies turned and shifted on the table."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(1 / np.array(build.scale)) @ rotation(build.turn_degrees).T
    matrix[:3, 3] = -matrix[:3, :3] @ np.array(build.shift_mm)
    return matrix


def _expose(hu: np.ndarray, grid: BodyGrid, rng: np.random.Generator, *, noise_hu: float) -> np.ndarray:
    """What a scanner makes of it: slight blur, slow shading, noise that neighbours share, whole HU (float32)."""
    blurred = gaussian_filter(hu, 0.4)
    noise = gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), 0.65)
    shading = Waves.draw(rng, (120, 400), 6).on(grid.affine, grid.shape_kji)
    seen = blurred + noise * (noise_hu / noise.std()) + 3.0 * shading * (hu > -500)
    return np.clip(np.rint(seen), -1024, 3071).astype(np.float32)


def _write_volume(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Writes the array [K, J, I] as an image file; a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    geometry.stamp(image)
    with written_by_name(path) as file:
        sitk.WriteImage(image, str(file), useCompression=True)
