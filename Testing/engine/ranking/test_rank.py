"""``alhvr rank`` on generated scans with a real model: what is written, left out, remembered, and survived."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_cases import LABELS, Listener
from tiny_runs import NAMES, make_scan, write_scan
from untrained import write_untrained

from alhvr.bundle.model import Model
from alhvr.core.errors import Cancelled, UserError
from alhvr.data.reading import read_label
from alhvr.ranking import drafts as drafts_file
from alhvr.ranking import run as ranking
from alhvr.ranking.run import Ranking, RankRequest, rank


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder of four scans of three patients."""
    for seed, name in enumerate(("patient1_a", "patient1_b", "patient2", "patient3")):
        write_scan(tmp_path / "archive" / f"{name}.nrrd", make_scan(seed)[0])
    return tmp_path / "archive"


@pytest.fixture
def ranked(model: Path, archive: Path, tmp_path: Path) -> Callable[..., Ranking]:
    def run(*, reporter: Listener | None = None, **options: object) -> Ranking:
        folders = options.pop("archive", (archive,))
        request = RankRequest(model, folders, tmp_path / "review" / "ranking.json", **options)
        return rank(request, reporter or Listener())

    return run


def label_case(folder: Path, name: str, seed: int) -> Path:
    """A labelled case of a scan of the archive; returns the cases folder."""
    image, label = make_scan(seed)
    write_scan(folder / "images" / f"{name}.nrrd", image)
    write_scan(folder / "labels" / f"{name}.nrrd", label)
    (folder / "labels.json").write_text(json.dumps(NAMES))
    return folder


def test_the_file_lists_scans_with_drafts_scores_and_reasons(ranked, tmp_path: Path) -> None:
    found = ranked(count=5, seed=3)
    record = json.loads((tmp_path / "review" / "ranking.json").read_text())
    assert (record["format"], record["round"], record["seed"]) == ("alhvr ranking 1", 1, 3)
    assert "not shown" in record["caution"] and "not shown" in found.table()
    assert [scan["place"] for scan in record["scans"]] == [1, 2, 3]
    for scan in record["scans"]:
        assert scan["by_structure"].keys() == set(LABELS.names) and 0 <= scan["score"] <= 1 and scan["reason"]
        draft = read_label(tmp_path / "review" / scan["segmentation"])
        region = read_label(tmp_path / "review" / scan["regions"])
        assert draft.array.shape == (4, 32, 32) and set(np.unique(region.array)) <= {1, 2, 3}
    assert {scan["patient"] for scan in record["scans"]} == {"patient1", "patient2", "patient3"}


def test_a_second_call_segments_nothing_again_and_chooses_the_same(ranked, monkeypatch) -> None:
    first = ranked()
    monkeypatch.setattr(drafts_file, "choose_backend", None)
    reporter = Listener()
    assert ranked(reporter=reporter) == first
    assert reporter.notes == ["4 of 4 scans were segmented with this model before."]


def test_the_wished_device_and_precision_reach_the_networks(model: Path, archive: Path, tmp_path: Path,
                                                            monkeypatch) -> None:
    asked = []

    def refuse(_model: Model, **wishes: str) -> None:
        asked.append(wishes)
        raise UserError("no such device")

    monkeypatch.setattr(drafts_file, "choose_backend", refuse)
    with pytest.raises(UserError, match="no such device"):
        rank(RankRequest(model, (archive,), tmp_path / "review.json", device="cpu", precision="fp32"), Listener())
    assert asked == [{"device": "cpu", "precision": "fp32"}]


def test_a_scan_that_changed_is_segmented_again(ranked, archive: Path, monkeypatch) -> None:
    ranked()
    write_scan(archive / "patient2.nrrd", make_scan(9)[0])
    reporter = Listener()
    ranked(reporter=reporter)
    assert reporter.notes == ["3 of 4 scans were segmented with this model before."]


def test_another_model_looks_at_every_scan_again(ranked, archive: Path, tmp_path: Path) -> None:
    first = ranked()
    other = write_untrained(tmp_path / "other", seed=1)
    second = rank(RankRequest(other, (archive,), tmp_path / "review" / "ranking.json"), Listener())
    scores = [{scan.choice.case: scan.by_structure for scan in found.scans} for found in (first, second)]
    assert scores[0] != scores[1]


def test_labelled_scans_are_left_out_by_name_and_by_content(ranked, tmp_path: Path) -> None:
    label_case(tmp_path / "cases", "patient2", 50)
    known = label_case(tmp_path / "cases", "renamed", 3)
    found = ranked(known=known)
    assert found.left_out == {"patient2": "labelled already", "patient3": "labelled already"}
    assert {scan.choice.case[:8] for scan in found.scans} == {"patient1"}


def test_a_list_of_names_and_paths_tells_what_is_labelled_too(ranked, tmp_path: Path) -> None:
    copy = write_scan(tmp_path / "elsewhere" / "x.nrrd", make_scan(3)[0])
    (tmp_path / "known.txt").write_text(f"# labelled\npatient2\n{copy}\n")
    assert ranked(known=tmp_path / "known.txt").left_out.keys() == {"patient2", "patient3"}


def test_a_scan_that_was_decided_on_is_not_offered_again(ranked, tmp_path: Path) -> None:
    lines = [b"no json", b"[1]", b'{"case": ["x"]}', b'{"case": "patient2", "decision": "declined"}', b"\xff"]
    (tmp_path / "decisions.jsonl").write_bytes(b"\n".join(lines))
    assert ranked(decisions=tmp_path / "decisions.jsonl").left_out == {"patient2": "decided before"}


def test_a_damaged_scan_costs_itself(ranked, archive: Path) -> None:
    scan = archive / "patient2.nrrd"
    scan.write_bytes(scan.read_bytes()[:400])
    found = ranked()
    assert found.left_out.keys() == {"patient2"} and len(found.scans) == 2


def test_only_as_many_scans_are_looked_at_as_asked_for(ranked, tmp_path: Path) -> None:
    ranked(at_most=2)
    assert len(list((tmp_path / "review" / "drafts").glob("*.score.json"))) == 2


def test_it_stops_when_asked_and_goes_on_from_there(ranked, tmp_path: Path, monkeypatch) -> None:
    class Stop:
        """Asks to stop as soon as a draft is there."""

        def __enter__(self) -> Stop:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def __call__(self) -> bool:
            return any((tmp_path / "review" / "drafts").glob("*.score.json"))

    with monkeypatch.context() as patch:
        patch.setattr(ranking, "StopRequest", Stop)
        with pytest.raises(Cancelled, match=r"Stopped after \d of 4 scans"):
            ranked()
    assert not (tmp_path / "review" / "ranking.json").exists()
    reporter = Listener()
    assert len(ranked(reporter=reporter).scans) == 3
    assert "scans were segmented with this model before" in reporter.notes[0]


def test_a_missing_archive_folder_is_told_and_the_others_are_ranked(ranked, archive: Path, tmp_path: Path) -> None:
    reporter = Listener()
    assert len(ranked(archive=(tmp_path / "gone", archive), reporter=reporter).scans) == 3
    assert any(f"The archive folder {tmp_path / 'gone'} is not there" in text for text in reporter.warnings)


def test_an_archive_in_which_everything_is_labelled_is_one_sentence(ranked, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "known.txt").write_text("\n".join(str(path) for path in archive.iterdir()))
    with pytest.raises(UserError, match="no scan of the archive to rank: labelled already"):
        ranked(known=tmp_path / "known.txt")


@pytest.mark.parametrize("option", [{"count": 0}, {"round_number": 0}, {"seed": -1}, {"at_most": 0}])
def test_numbers_out_of_range_are_refused_by_name(ranked, option: dict[str, int]) -> None:
    with pytest.raises(UserError, match="is"):
        ranked(**option)
