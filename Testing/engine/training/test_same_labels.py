"""Same labels: a resumed run notices every change of a label and of what its values mean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from seg_files import bars, write_folder, write_label
from tiny_cases import Listener, tiny_plan

from alhvr.checking.context import RunContext
from alhvr.checking.run import Folders, check
from alhvr.config import RunConfig, TrainingConfig
from alhvr.core.errors import UserError
from alhvr.training.device import Compute
from alhvr.training.same_labels import require_same_labels
from alhvr.training.setup import RunSetup, select_cases

NAMES = {1: "liver", 2: "spleen"}


def begin(folder: Path, *, validation: Path | None = None) -> RunSetup:
    """The setup of a run on a folder, as a resumed run reads it from its run.json."""
    found = check(Folders(folder, None, validation), RunContext(Listener(), lambda: False))
    seen = select_cases(found, RunConfig().plan, seed=0, reporter=Listener())
    setup = RunSetup(config=RunConfig(training=TrainingConfig(device="cpu")), plan=tiny_plan(2, (16, 16)),
                     labels=seen.labels, compute=Compute("cpu", "fp32", 1), labeled=seen.labeled, unlabeled=(),
                     validation=seen.validation, hashes=seen.hashes, held_out=seen.held_out, start_from=None,
                     label_hashes=seen.label_hashes, label_folders=seen.label_folders)
    return RunSetup.from_dict(json.loads(json.dumps(setup.to_dict())))


def study(folder: Path, ending: str = ".nii.gz", names: dict | None = NAMES, segments: dict | None = None) -> Path:
    return write_folder(folder, {case: (ending, (1, 2), segments or {}) for case in "abc"}, names)


def test_a_segmentation_that_slicer_cropped_is_the_same_until_it_changes(tmp_path: Path) -> None:
    folder = study(tmp_path, ".seg.nrrd", segments=NAMES)
    cropped = bars(1, 2)[:, 2:]
    path = write_label(folder / "labels" / "a.seg.nrrd", cropped, NAMES)
    image = sitk.ReadImage(str(path))
    image.SetOrigin((0.0, 2 * 0.8, 0.0))
    sitk.WriteImage(image, str(path), True)
    setup = begin(folder)
    require_same_labels(setup, Listener())
    image[4, 3, 1] = 2
    sitk.WriteImage(image, str(path), True)
    with pytest.raises(UserError, match="was changed"):
        require_same_labels(setup, Listener())


def warnings(setup: RunSetup) -> list[str]:
    reporter = Listener()
    require_same_labels(setup, reporter)
    return reporter.warnings


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_labels_that_are_as_they_were_say_nothing(tmp_path: Path, ending: str) -> None:
    setup = begin(study(tmp_path, ending))
    assert len(setup.label_hashes) == 3 and warnings(setup) == []


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_a_label_that_was_changed_is_named_with_the_way_out(tmp_path: Path, case: str) -> None:
    setup = begin(study(tmp_path))
    write_label(tmp_path / "labels" / f"{case}.nii.gz", bars(2, 1))
    with pytest.raises(UserError, match=rf"The label {case}.nii.gz of the case {case} was changed since the run began"
                                        r"\..*new run in another --out folder"):
        warnings(setup)


def test_a_label_that_was_written_again_alike_is_the_same(tmp_path: Path) -> None:
    setup = begin(study(tmp_path))
    write_label(tmp_path / "labels" / "a.nii.gz", bars(1, 2).astype(np.int16))
    assert warnings(setup) == []


def test_names_that_change_places_are_refused_with_value_and_both_names(tmp_path: Path) -> None:
    setup = begin(study(tmp_path))
    (tmp_path / "labels.json").write_text('{"1": "spleen", "2": "liver"}')
    with pytest.raises(UserError, match='The value 1 of a.nii.gz was "liver" when the run began; now it is "spleen"'):
        warnings(setup)


def test_a_structure_of_another_name_is_refused(tmp_path: Path) -> None:
    setup = begin(study(tmp_path))
    (tmp_path / "labels.json").write_text('{"1": "liver", "2": "stomach"}')
    with pytest.raises(UserError, match='"spleen" when the run began; now it is "stomach"'):
        warnings(setup)


def test_segments_that_change_places_are_noticed(tmp_path: Path) -> None:
    setup = begin(study(tmp_path, ".seg.nrrd", None, NAMES))
    write_label(tmp_path / "labels" / "b.seg.nrrd", bars(1, 2), {1: "spleen", 2: "liver"})
    with pytest.raises(UserError, match=r"b\.seg\.nrrd of the case b was changed"):
        warnings(setup)


def test_segments_that_are_numbered_anew_are_the_same(tmp_path: Path) -> None:
    setup = begin(study(tmp_path, ".seg.nrrd", None, NAMES))
    write_label(tmp_path / "labels" / "b.seg.nrrd", bars(2, 1), {1: "spleen", 2: "liver"})
    assert warnings(setup) == []


def test_a_join_that_comes_later_is_refused(tmp_path: Path) -> None:
    setup = begin(study(tmp_path))
    (tmp_path / "cases.json").write_text('{"join": {"both": [1, 2]}}')
    with pytest.raises(UserError, match="when the run began"):
        warnings(setup)


def test_structures_that_are_said_to_be_missing_later_are_refused(tmp_path: Path) -> None:
    setup = begin(study(tmp_path))
    (tmp_path / "cases.json").write_text('{"cases": {"b": {"not_annotated": ["spleen"]}}}')
    with pytest.raises(UserError, match=r"In b the structures \[2\] are said to be not annotated.*they were \[\]"):
        warnings(setup)


@pytest.mark.parametrize(("before", "after"), [(NAMES, None), (None, NAMES)])
def test_names_that_come_or_go_are_told(tmp_path: Path, before: dict | None, after: dict | None) -> None:
    setup = begin(study(tmp_path, names=before))
    (tmp_path / "labels.json").unlink(missing_ok=True)
    study(tmp_path, names=after)
    (said,) = warnings(setup)
    assert "keeps its own names" in said and setup.labels.names[0] in said


def test_a_folder_that_cannot_be_listed_any_more_is_told(tmp_path: Path) -> None:
    setup = begin(study(tmp_path))
    (tmp_path / "labels.json").write_text("{")
    (said,) = warnings(setup)
    assert "cannot be compared" in said and "labels.json" in said


def test_the_validation_folder_is_compared_too(tmp_path: Path) -> None:
    write_folder(tmp_path / "v", {"v": (".nii.gz", (2, 1), ())}, {1: "spleen", 2: "liver"})
    setup = begin(study(tmp_path / "l"), validation=tmp_path / "v")
    assert warnings(setup) == []
    (tmp_path / "v" / "labels.json").write_text(json.dumps(NAMES))
    with pytest.raises(UserError, match=r"v\.nii\.gz"):
        warnings(setup)


def test_a_run_of_before_is_resumed_without_comparing(tmp_path: Path) -> None:
    setup = replace(begin(study(tmp_path)), label_hashes={}, label_folders={})
    write_label(tmp_path / "labels" / "a.nii.gz", bars(2, 1))
    assert warnings(setup) == []
