"""HDF5 files: one scan and its label each, nothing of it from another file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from alhvr.core.errors import UserError
from alhvr.data.h5_file import datasets_of
from alhvr.data.reading import probe, read_label, read_scan

IMAGE = np.random.default_rng(1).random((3, 4, 5)).astype(np.float32)
LABEL = (IMAGE > 0.5).astype(np.uint8)


@pytest.mark.parametrize("part", [slice(None), 1])
def test_a_volume_or_a_slice_is_read_with_its_label(tmp_path: Path, part: object) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["image"], file["label"] = IMAGE[part], LABEL[part]
    shape = (3, 4, 5) if part != 1 else (1, 4, 5)
    scan = read_scan(path)
    assert scan.name == "a" and np.array_equal(scan.array, IMAGE[part].reshape(shape)) and scan.geometry.nominal
    assert np.array_equal(read_label(path).array, LABEL[part].reshape(shape))
    assert probe(path).geometry == scan.geometry


def _hostile(folder: Path, kind: str) -> Path:
    path, other = folder / "a.h5", folder / "other.h5"
    with h5py.File(other, "w") as file:
        file["image"] = IMAGE
    (folder / "secret.bin").write_bytes(IMAGE.tobytes())
    if kind in ("text", "cut"):
        whole = other.read_bytes()
        path.write_bytes(b"hello" if kind == "text" else whole[: len(whole) // 2])
        return path
    with h5py.File(path, "w") as file:
        if kind == "external link":
            file["image"] = h5py.ExternalLink(str(other), "image")
        elif kind == "soft link":
            file["image"] = h5py.SoftLink("/nowhere")
        elif kind == "external storage":
            file.create_dataset("image", (3, 4, 5), "f4", external=[(str(folder / "secret.bin"), 0, 240)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3, 4, 5), "f4")
            layout[:] = h5py.VirtualSource(str(other), "image", (3, 4, 5))
            file.create_virtual_dataset("image", layout)
        elif kind == "huge":
            file.create_dataset("image", (100_000, 100_000, 1000), "f4", chunks=(1, 100, 100))
        elif kind == "group":
            file.create_group("image")
        elif kind == "text data":
            file["image"] = np.array([b"a", b"b"])
        elif kind == "four axes":
            file["image"] = IMAGE[np.newaxis]
    return path


@pytest.mark.parametrize("kind", ["text", "cut", "external link", "soft link", "external storage", "virtual", "huge",
                                  "group", "text data", "four axes", "nothing"])
def test_what_holds_no_scan_of_its_own_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    path = _hostile(tmp_path, kind)
    for read in (read_scan, probe):
        with pytest.raises(UserError, match="a.h5") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_file_with_wrong_bytes_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=IMAGE, compression="gzip", chunks=(1, 4, 5))
        file["label"] = LABEL
    whole, rng = path.read_bytes(), np.random.default_rng(6)
    for number in range(60):
        damaged = bytearray(whole if number % 3 else whole[: rng.integers(1, len(whole))])
        for place in rng.integers(0, len(damaged), 6):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        assert set(datasets_of(path)) <= {"image", "label"}
        for read in (probe, read_scan, read_label):
            try:
                read(path)
            except UserError as error:
                assert "\n" not in str(error)


def test_what_a_file_holds_is_told_without_reading_it(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = IMAGE
    assert datasets_of(tmp_path / "a.h5") == ("image",)
    assert datasets_of(_hostile(tmp_path, "text")) == ()
