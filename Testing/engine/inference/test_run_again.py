"""A second call on the same folder: what is done is skipped, what changed is done again, and edits are never lost."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from tiny_cases import Listener
from tiny_runs import OBLIQUE, make_scan, write_scan
from untrained import write_untrained

from alhvr.core.errors import Cancelled, UserError
from alhvr.data.reading import read_label
from alhvr.inference import run as room
from alhvr.inference.results_index import FILE_NAME
from alhvr.inference.run import SegmentRequest, SegmentResult, segment
from alhvr.inference.summary import DONE_BEFORE, KEPT, SEGMENTED


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained(tmp_path_factory.mktemp("model") / "m", seed=0)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model."""
    return write_untrained(tmp_path_factory.mktemp("other") / "m", seed=1)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of two scans, one and two."""
    for seed, name in enumerate(("one", "two")):
        write_scan(tmp_path / "in" / f"{name}.nrrd", make_scan(seed)[0])
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run(model: Path, out: Path, *inputs: Path, reporter: Listener | None = None, **options) -> SegmentResult:
    return segment(SegmentRequest(model, tuple(inputs), out, **options), reporter or Listener())


def kinds(result: SegmentResult) -> list[str]:
    return [outcome.kind for outcome in result.outcomes]


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of change and content of every file."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def edit(path: Path) -> bytes:
    """Changes one voxel as a person would, and gives the new content."""
    volume = read_label(path)
    volume.array[0, 0, 0] ^= 1
    write_scan(path, volume.array)
    return path.read_bytes()


def test_what_is_done_is_skipped_without_loading_the_networks(model, scans: Path, out: Path, monkeypatch) -> None:
    first = run(model, out, scans)
    assert min(ml for outcome in first.outcomes for ml in outcome.volumes_ml.values()) > 0
    before, reporter = state(out), Listener()
    monkeypatch.setattr(room, "choose_backend", None)
    second = run(model, out, scans, reporter=reporter)
    assert kinds(second) == [DONE_BEFORE, DONE_BEFORE] and second.written == [] and state(out) == before
    assert [o.volumes_ml for o in second.outcomes] == [o.volumes_ml for o in first.outcomes]
    assert reporter.notes == ["2 of 2 scans were segmented before with this model and these options. "
                              "To do it again, delete the result or choose another --out folder."]


def test_a_single_scan_that_is_done_is_told_with_how_to_do_it_again(model, scans: Path, out: Path) -> None:
    reporter = Listener()
    run(model, out, scans / "one.nrrd")
    assert kinds(run(model, out, scans / "one.nrrd", reporter=reporter)) == [DONE_BEFORE]
    assert reporter.notes[0].startswith("one was segmented before") and "delete the result" in reporter.notes[0]


def test_scans_and_results_that_were_moved_are_still_done(model, scans: Path, out: Path, tmp_path: Path) -> None:
    run(model, out, scans)
    shutil.copytree(out, tmp_path / "else" / "out", copy_function=shutil.copyfile)
    shutil.copytree(scans, tmp_path / "else" / "in", copy_function=shutil.copyfile)
    shutil.rmtree(out)
    assert kinds(run(model, tmp_path / "else" / "out", tmp_path / "else" / "in")) == [DONE_BEFORE, DONE_BEFORE]


def test_a_deleted_result_is_made_again(model, scans: Path, out: Path) -> None:
    run(model, out, scans)
    before = state(out)
    (out / "one.seg.nrrd").unlink()
    assert kinds(run(model, out, scans)) == [SEGMENTED, DONE_BEFORE]
    assert state(out)["one.seg.nrrd"][1] == before["one.seg.nrrd"][1]


def test_another_scan_of_the_same_name_is_segmented_and_replaces_the_result(model, scans: Path, out: Path) -> None:
    run(model, out, scans)
    before = state(out)
    write_scan(scans / "one.nrrd", make_scan(7)[0])
    assert kinds(run(model, out, scans)) == [SEGMENTED, DONE_BEFORE]
    assert state(out)["one.seg.nrrd"][1] != before["one.seg.nrrd"][1]


def test_another_model_does_all_again(model, other: Path, scans: Path, out: Path) -> None:
    run(model, out, scans)
    before = state(out)
    assert kinds(run(other, out, scans)) == [SEGMENTED, SEGMENTED]
    assert state(out)["one.seg.nrrd"][1] != before["one.seg.nrrd"][1]
    assert kinds(run(other, out, scans)) == [DONE_BEFORE, DONE_BEFORE]


def test_regions_asked_for_later_are_made_and_not_missed_where_not_asked_for(model, scans: Path, out: Path) -> None:
    run(model, out, scans)
    assert kinds(run(model, out, scans, regions=True)) == [SEGMENTED, SEGMENTED]
    assert kinds(run(model, out, scans, regions=True)) == kinds(run(model, out, scans)) == [DONE_BEFORE, DONE_BEFORE]
    (out / "one.regions.nrrd").unlink()
    assert kinds(run(model, out, scans)) == [DONE_BEFORE, DONE_BEFORE]
    assert kinds(run(model, out, scans, regions=True)) == [SEGMENTED, DONE_BEFORE]


def test_another_fusion_does_all_again_and_the_models_own_is_no_other(model, scans: Path, out: Path) -> None:
    run(model, out, scans)
    assert kinds(run(model, out, scans, fusion="mean", temperature=0.1)) == [DONE_BEFORE, DONE_BEFORE]
    assert kinds(run(model, out, scans, fusion="competition")) == [SEGMENTED, SEGMENTED]
    assert kinds(run(model, out, scans, fusion="competition")) == [DONE_BEFORE, DONE_BEFORE]
    assert kinds(run(model, out, scans)) == [SEGMENTED, SEGMENTED]


def test_another_temperature_makes_the_regions_again_and_no_segmentation(model, scans: Path, out: Path) -> None:
    one = scans / "one.nrrd"
    run(model, out, one, regions=True)
    assert kinds(run(model, out, one, temperature=0.5)) == [DONE_BEFORE]
    assert kinds(run(model, out, one, temperature=0.5, regions=True)) == [SEGMENTED]
    assert kinds(run(model, out, one, temperature=0.5, regions=True)) == [DONE_BEFORE]
    assert kinds(run(model, out, one, regions=True)) == [SEGMENTED]


def test_results_from_before_there_was_a_teachers_map_get_one(model, scans: Path, out: Path) -> None:
    one, path = scans / "one.nrrd", out / FILE_NAME
    run(model, out, one, regions=True)
    values = json.loads(path.read_text())
    for entry in values["results"].values():
        del entry["fusion"], entry["temperature"], entry["files"]["one.teacher.nrrd"]
    path.write_text(json.dumps(values))
    (out / "one.teacher.nrrd").unlink()
    assert kinds(run(model, out, one)) == [DONE_BEFORE]
    assert kinds(run(model, out, one, regions=True)) == [SEGMENTED]
    assert (out / "one.teacher.nrrd").exists()


def test_formats_are_done_each_on_its_own(model, scans: Path, out: Path) -> None:
    run(model, out, scans)
    assert kinds(run(model, out, scans, file_format="nii.gz")) == [SEGMENTED, SEGMENTED]
    assert kinds(run(model, out, scans)) == [DONE_BEFORE, DONE_BEFORE]


@pytest.mark.parametrize("again", ["the same", "another model", "more asked for", "another scan"])
def test_an_edited_result_is_never_overwritten(model, other: Path, scans: Path, out: Path, again: str) -> None:
    run(model, out, scans)
    edited, reporter = edit(out / "one.seg.nrrd"), Listener()
    if again == "another scan":
        write_scan(scans / "one.nrrd", make_scan(7)[0])
    result = run(other if again == "another model" else model, out, scans, reporter=reporter,
                 regions=again == "more asked for")
    assert kinds(result)[0] == KEPT and (out / "one.seg.nrrd").read_bytes() == edited
    assert "one.seg.nrrd is not as alhvr segment wrote it" in reporter.warnings[0]


def test_a_result_edited_while_the_scan_is_segmented_again_is_not_overwritten(model, other, scans, out) -> None:
    edited: list[bytes] = []

    class Editor(Listener):
        """Edits the result when the networks begin."""

        def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
            if stage == "segmenting one" and not edited:
                edited.append(edit(out / "one.seg.nrrd"))

    run(model, out, scans)
    assert kinds(run(other, out, scans, reporter=Editor())) == [KEPT, SEGMENTED]
    assert (out / "one.seg.nrrd").read_bytes() == edited[0]


def test_an_edited_map_keeps_the_whole_set_as_it_is(model, other: Path, scans: Path, out: Path) -> None:
    run(model, out, scans, regions=True)
    edit(out / "one.regions.nrrd")
    before = state(out)
    assert kinds(run(other, out, scans / "one.nrrd", regions=True)) == [KEPT]
    assert state(out) == before


def test_a_file_that_was_never_written_here_is_not_overwritten(model, scans: Path, out: Path) -> None:
    drawn = write_scan(out / "one.nii.gz", make_scan(0)[1]).read_bytes()
    assert kinds(run(model, out, scans, file_format="nii.gz")) == [KEPT, SEGMENTED]
    assert (out / "one.nii.gz").read_bytes() == drawn
    assert sorted(path.name for path in out.iterdir()) == [FILE_NAME, "one.nii.gz", "two.nii.gz"]


@pytest.mark.parametrize("damage", ["lost", "broken"])
def test_without_the_record_all_is_done_again_and_edits_are_kept(model, scans: Path, out: Path, damage: str) -> None:
    run(model, out, scans)
    edited, reporter = edit(out / "one.seg.nrrd"), Listener()
    (out / FILE_NAME).unlink()
    if damage == "broken":
        (out / FILE_NAME).write_text('{"format": "alhvr-segment", "ver')
    assert kinds(run(model, out, scans, reporter=reporter)) == [KEPT, SEGMENTED]
    assert (out / "one.seg.nrrd").read_bytes() == edited
    assert (f"{FILE_NAME} in {out} cannot be read" in reporter.warnings[0]) == (damage == "broken")
    assert (out / "alhvr-segment.unreadable.json").exists() == (damage == "broken")
    assert kinds(run(model, out, scans)) == [KEPT, DONE_BEFORE]


@pytest.mark.parametrize("edit_of_record", [("files", {}), ("model", 1), ("regions", "x"), ("source", None)])
def test_an_entry_that_somebody_meddled_with_does_no_harm(model, scans: Path, out: Path, edit_of_record) -> None:
    run(model, out, scans / "one.nrrd")
    before, record = state(out)["one.seg.nrrd"][1], json.loads((out / FILE_NAME).read_text())
    key, value = edit_of_record
    record["results"]["one.seg.nrrd"][key] = value
    (out / FILE_NAME).write_text(json.dumps(record))
    assert kinds(run(model, out, scans / "one.nrrd"))[0] in (SEGMENTED, DONE_BEFORE)
    assert state(out)["one.seg.nrrd"][1] == before


def test_results_given_as_inputs_are_left_out(model, scans: Path, out: Path) -> None:
    write_scan(out / "one.nrrd", make_scan(0)[0])
    run(model, out, out / "one.nrrd", regions=True)
    reporter = Listener()
    result = run(model, out, *sorted(out.glob("*.nrrd")), regions=True, reporter=reporter)
    assert kinds(result) == [DONE_BEFORE] and reporter.notes[0] == ("Inputs that are results of earlier runs, "
                                                                    "left out: 5.")


def test_a_series_is_done_until_one_of_its_images_changes(model, out: Path, tmp_path: Path) -> None:
    series = tmp_path / "series"
    files = write_series(series, make_scan(3)[0].astype(np.int16), OBLIQUE)
    assert kinds(run(model, out, series, dicom_seg=True)) == [SEGMENTED]
    assert kinds(run(model, out, series, dicom_seg=True)) == kinds(run(model, out, files[0])) == [DONE_BEFORE]
    content = bytearray(files[1].read_bytes())
    content[-8] ^= 1
    files[1].write_bytes(content)
    assert kinds(run(model, out, series, dicom_seg=True)) == [SEGMENTED]


def test_voxels_beside_their_header_count_as_the_scan(model, out: Path, tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "one.mhd", make_scan(1)[0])
    run(model, out, scan)
    assert kinds(run(model, out, scan)) == [DONE_BEFORE]
    write_scan(scan, make_scan(2)[0])
    assert kinds(run(model, out, scan)) == [SEGMENTED]


def test_a_stopped_run_goes_on_with_the_rest(model, scans: Path, out: Path) -> None:
    class Stopper(Listener):
        """Presses Ctrl-C when the second scan begins."""

        def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
            if stage == "segmenting two":
                signal.raise_signal(signal.SIGINT)

    write_scan(scans / "two.nrrd", make_scan(2, (40, 32, 32))[0])
    with pytest.raises(Cancelled, match="Stopped after 1 of 2 scans"):
        run(model, out, scans, reporter=Stopper())
    assert sorted(path.name for path in out.iterdir()) == [FILE_NAME, "one.seg.nrrd"]
    assert kinds(run(model, out, scans)) == [DONE_BEFORE, SEGMENTED]


def test_what_a_killed_run_left_half_written_is_cleared_away(model, scans: Path, out: Path) -> None:
    leftover = out / ".one.seg.nrrd.part" / "one.seg.nrrd"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    assert kinds(run(model, out, scans)) == [SEGMENTED, SEGMENTED]
    assert sorted(path.name for path in out.iterdir()) == [FILE_NAME, "one.seg.nrrd", "two.seg.nrrd"]


def test_a_scan_that_is_gone_is_an_error_though_its_result_is_there(model, scans: Path, out: Path) -> None:
    run(model, out, scans)
    (scans / "one.nrrd").unlink()
    with pytest.raises(UserError, match="is not there"):
        run(model, out, scans / "one.nrrd")
    assert (out / "one.seg.nrrd").exists()
