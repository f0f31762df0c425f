"""Results of the engine are read voxel by voxel, and damaged ones refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from region_files import write_engine_nrrd


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_voxels_of_the_engines_own_writer_arrive(dtype: type, tmp_path: Path) -> None:
    from ALHVRLib.scene.label_images import read_nrrd

    formats, geometry = pytest.importorskip("alhvr.export.formats"), pytest.importorskip("alhvr.data.geometry")
    array = np.random.default_rng(1).integers(0, 250, (3, 4, 5)).astype(dtype)
    grid = geometry.Geometry((5, 4, 3), (1.0, 2.0, 3.0), (1.0, 2.0, 3.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    with (tmp_path / "a.seg.nrrd").open("wb") as file:
        formats.write_nrrd(file, array, grid, keys={"Segment0_Name": "Größe: ~|"})
    found = read_nrrd(tmp_path / "a.seg.nrrd")
    assert found.dtype == dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize("change", [
    lambda data: data[:-30], lambda data: b"hello", lambda data: b"", lambda data: data.replace(b"gzip", b"zip!"),
    lambda data: data.replace(b"sizes: 5 4 3", b"sizes: 5 4"),
    lambda data: data.replace(b"sizes: 5 4 3", b"sizes: 5 4 0"),
    lambda data: data.replace(b"sizes: 5 4 3", b"sizes: 99999999 99999999 99999999"),
    lambda data: data.replace(b"unsigned char", b"block"), lambda data: data[:200] + b"\0" * 300 + data[300:],
    lambda data: data.replace(b"sizes: 5 4 3", b"size: 5 4 3"),
])  # fmt: skip
def test_damage_is_one_sentence(change: object, tmp_path: Path) -> None:
    from ALHVRLib.scene.errors import SceneError
    from ALHVRLib.scene.label_images import read_nrrd

    path = tmp_path / "a.nrrd"
    write_engine_nrrd(path, np.random.default_rng(1).integers(0, 250, (3, 4, 5)).astype(np.uint8))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SceneError, match="a.nrrd"):
        read_nrrd(path)


def test_a_file_that_unpacks_to_more_than_it_says_is_read_no_further(tmp_path: Path) -> None:
    from ALHVRLib.scene.label_images import read_nrrd

    path = tmp_path / "bomb.nrrd"
    write_engine_nrrd(path, np.zeros((64, 512, 512), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"sizes: 512 512 64", b"sizes: 5 4 3"))
    assert read_nrrd(path).shape == (3, 4, 5)
