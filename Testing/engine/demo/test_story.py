"""The demo's own pieces; the whole story is played in the acceptance tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.demo.story import LABELS_ONLY, WITH_ARCHIVE, _curve, run_demo


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="already holds something"):
        run_demo(tmp_path, SilentReporter())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_curves_are_read_from_what_the_run_recorded(tmp_path: Path) -> None:
    supervised = {"supervised_ce": 0.5, "supervised_dice": 0.25}
    unsupervised = {"prototype_ce": 1, "prototype_cosine": 2, "competition_mse": 3, "competition_entropy": 4}
    lines = [{"iteration": 10, "losses": supervised}, {"iteration": 20, "losses": {**supervised, **unsupervised}},
             {"iteration": 20, "dice": {"liver": 0.5}, "mean_dice": 0.5}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    curve = _curve(tmp_path, WITH_ARCHIVE)
    assert curve.losses["labelled scans"] == ([10, 20], [0.75, 0.75])
    assert curve.losses["prototypes (both networks)"] == ([20], [3])
    assert curve.dice == ([20], [0.5])


def test_a_run_without_archive_has_no_curves_of_the_archive(tmp_path: Path) -> None:
    line = {"iteration": 10, "losses": {"supervised_ce": 0.5, "supervised_dice": 0.25}}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line), encoding="utf-8")
    assert list(_curve(tmp_path, LABELS_ONLY).losses) == ["labelled scans"]
