"""Writing the results of one scan: all of them or none, in place of what was written here and of nothing else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from small_disk import mounted_disk
from tiny_cases import LABELS
from tiny_runs import OBLIQUE, SHAPE, make_scan

from alhvr.bundle.model import InferenceSettings
from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Segmentation
from alhvr.formats.region_tables import make_region_maps
from alhvr.inference.pipeline import BatchAborted
from alhvr.inference.predictor import Prediction
from alhvr.inference.results_index import FILE_NAME, FileFingerprint, ResultsIndex
from alhvr.inference.writer import Origin, ResultWriter, volumes_ml

INPUT = FileFingerprint(1, "0", "0")


def prediction(seed: int = 0, *, shape: tuple[int, int, int] = SHAPE, regions: bool = True) -> Prediction:
    rng = np.random.default_rng(seed)
    geometry = Geometry(shape[::-1], OBLIQUE.spacing_mm, OBLIQUE.origin_lps_mm, OBLIQUE.direction)
    found = Segmentation("scan", make_scan(seed, shape)[1], geometry, LABELS)
    teacher = np.full(shape, 255, np.uint8)
    maps = make_region_maps(*rng.random((2, *shape), dtype=np.float32), teacher, InferenceSettings(), geometry)
    maps = maps if regions else None
    return Prediction(found, maps)


def origin(name: str = "scan", model: str = "m") -> Origin:
    return Origin(name, Path(f"{name}.nii.gz"), f"{name}.seg.nrrd", INPUT, model, regions=True, dicom=None)


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {FILE_NAME}


ALL = {"scan.seg.nrrd", "scan.regions.nrrd", "scan.regions.json", "scan.confidence-a.nrrd", "scan.confidence-b.nrrd",
       "scan.teacher.nrrd"}


def test_the_record_tells_every_file_as_it_lies_there(tmp_path: Path) -> None:
    written = ResultWriter(tmp_path, ResultsIndex(tmp_path)).write(origin(), prediction())
    assert visible(tmp_path) == ALL == {path.name for path in written.files}
    assert ResultsIndex(tmp_path).entry("scan.seg.nrrd") == written.entry
    assert all(mark == FileFingerprint.of(tmp_path / name) for name, mark in written.entry.files.items())


def test_volumes_are_those_of_the_voxels_in_millilitres() -> None:
    found = prediction().segmentation
    assert volumes_ml(found) == {"liver": pytest.approx(4 * 16 * 8 * 0.015), "spleen": pytest.approx(7.68)}
    assert volumes_ml(Segmentation("x", 0 * found.array, found.geometry, LABELS)) == {"liver": 0.0, "spleen": 0.0}


def test_results_appear_together_when_all_are_whole(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    done = threading.Event()

    def context() -> None:
        while not done.is_set():
            seen.append({path.name for path in tmp_path.iterdir() if not path.name.startswith(".")})

    watcher = threading.Thread(target=context)
    watcher.start()
    ResultWriter(tmp_path, ResultsIndex(tmp_path)).write(origin(), prediction(shape=(40, 64, 64)))
    done.set()
    watcher.join()
    assert seen[0] == set() and all(FILE_NAME in names for names in seen if names)


def test_after_a_kill_between_two_moves_every_file_is_known_as_ours(tmp_path: Path, monkeypatch) -> None:
    writer = ResultWriter(tmp_path, ResultsIndex(tmp_path))
    writer.write(origin(), prediction(0))
    replace, moved = os.replace, []

    def move(source: Path, target: Path) -> None:
        if source.parent != target.parent and len(moved) == 2:
            raise KeyboardInterrupt
        moved.extend([target] if source.parent != target.parent else [])
        replace(source, target)

    monkeypatch.setattr("alhvr.inference.writer.os.replace", move)
    with pytest.raises(KeyboardInterrupt):
        writer.write(origin(model="n"), prediction(1))
    monkeypatch.undo()
    record = ResultsIndex(tmp_path)
    assert all(record.wrote(tmp_path / name) for name in ALL)
    assert ResultWriter(tmp_path, record).write(origin(model="n"), prediction(1)).kept == ""
    assert all(mark.fits(tmp_path / name) for name, mark in record.entry("scan.seg.nrrd").files.items())


def test_maps_of_an_earlier_run_stay_known_when_the_next_run_makes_none(tmp_path: Path) -> None:
    writer = ResultWriter(tmp_path, ResultsIndex(tmp_path))
    writer.write(origin(), prediction(0))
    writer.write(origin(), prediction(1, regions=False))
    assert all(ResultsIndex(tmp_path).wrote(tmp_path / name) for name in ALL)
    assert writer.write(origin(), prediction(2)).kept == ""


def test_an_unknown_file_of_the_same_content_is_taken_over_and_another_is_not(tmp_path: Path) -> None:
    for seed, kept in ((0, ""), (0, ""), (1, "scan.seg.nrrd")):
        assert ResultWriter(tmp_path, ResultsIndex(tmp_path)).write(origin(), prediction(seed)).kept == kept
        (tmp_path / FILE_NAME).unlink(missing_ok=True)


def test_a_folder_that_has_the_name_of_a_result_is_left_alone(tmp_path: Path) -> None:
    writer = ResultWriter(tmp_path, ResultsIndex(tmp_path))
    (tmp_path / "scan.regions.nrrd" / "x").mkdir(parents=True)
    assert writer.write(origin(), prediction()).kept == "scan.regions.nrrd"
    assert visible(tmp_path) == {"scan.regions.nrrd"} and writer.write(origin("other"), prediction()).kept == ""


@pytest.fixture
def disk(tmp_path: Path):
    """A disk of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted_disk(folder, 1):
        yield folder


def test_a_scan_too_large_for_the_disk_fails_and_a_smaller_one_is_written(disk: Path) -> None:
    writer = ResultWriter(disk, ResultsIndex(disk))
    full = r"^large\..* could not be written: the disk of .*disk is full \(\d\.\d\d MB free\)"
    with pytest.raises(UserError, match=full) as refused:
        writer.write(origin("large"), prediction(shape=(20, 256, 256)))
    assert not isinstance(refused.value, BatchAborted) and list(disk.iterdir()) == []
    writer.write(origin(), prediction())
    assert visible(disk) == ALL


def test_two_scans_running_that_do_not_fit_are_hopeless(disk: Path) -> None:
    writer, large = ResultWriter(disk, ResultsIndex(disk)), prediction(shape=(20, 256, 256))
    with pytest.raises(UserError):
        writer.write(origin("a"), large)
    with pytest.raises(BatchAborted, match="Nothing more can be written there"):
        writer.write(origin("b"), large)


def test_a_disk_without_room_for_a_small_file_is_hopeless_and_what_was_there_stays(disk: Path) -> None:
    writer = ResultWriter(disk, ResultsIndex(disk))
    writer.write(origin(), prediction())
    before = {path.name: path.read_bytes() for path in disk.iterdir()}
    filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError, match="No space left"):
        while True:
            os.write(filler, bytes(4096))
    os.close(filler)
    with pytest.raises(BatchAborted):
        writer.write(origin(model="n"), prediction(1))
    (disk / "filler").unlink()
    assert {path.name: path.read_bytes() for path in disk.iterdir()} == before


@pytest.mark.parametrize("name", ["../victim", "/../victim", "a/b", "", ".", "..", "a\0b", "..\\victim"])
def test_a_result_whose_name_leads_out_of_the_folder_is_refused_untouched(tmp_path: Path, name: str) -> None:
    victim, out = tmp_path / "victim.seg.nrrd", tmp_path / "out"
    victim.write_text("precious")
    out.mkdir()
    with pytest.raises(UserError, match="outside the folder of results"):
        ResultWriter(out, ResultsIndex(out)).write(origin(name), prediction())
    assert victim.read_text() == "precious" and not visible(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "victim.seg.nrrd"]
