"""How well the regions find errors: counted by hand, ranked fairly, read from results and made by a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_cases import LABELS, tiny_plan
from untrained import write_untrained

from alhvr import cli
from alhvr.bundle.model import InferenceSettings, ModelDescription, NetworkSpec, write_model
from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.evaluation.region_cases import RegionRequest, regions_of_model, regions_of_results
from alhvr.evaluation.regions import ErrorMaps, RegionReport, find_errors
from alhvr.inference.dual_forward import uncertainties
from alhvr.inference.run import SegmentRequest, segment
from alhvr.networks.group import NetworkGroup

SURE, DOUBT = 60000, 30000


def levels(*values: int) -> np.ndarray:
    return np.array(values, np.uint16).reshape(1, 1, -1)


def flags(text: str) -> np.ndarray:
    return np.array([sign == "x" for sign in text]).reshape(1, 1, -1)


def maps(wrong: str, known: str = "xxxxxxxx", **rules: np.ndarray) -> ErrorMaps:
    """Eight voxels: four that both networks are sure of, two that one is, two that none is."""
    con_a = levels(SURE, SURE, SURE, SURE, DOUBT, SURE, DOUBT, DOUBT)
    con_b = levels(SURE, SURE, SURE, SURE, SURE, DOUBT, DOUBT, DOUBT)
    return ErrorMaps(con_a, con_b, flags(wrong), flags(known), rules)


def test_wrong_voxels_are_counted_by_region() -> None:
    (found,) = find_errors(maps("x.....xx"), (0.8,))
    assert (found.voxels, found.wrong) == ((4, 2, 2), (1, 0, 2))
    assert (found.volume, found.found, found.error_rate_1) == (0.5, 2 / 3, 0.25)


def test_gamma_is_that_of_the_whole_scan_and_what_is_not_annotated_is_not_counted() -> None:
    (whole,), (part,) = find_errors(maps("x.....xx"), (0.8,)), find_errors(maps("x.....xx", "x.....x."), (0.8,))
    assert part.gamma == whole.gamma
    assert (part.voxels, part.wrong) == ((1, 0, 1), (1, 0, 1))


def test_a_rule_takes_as_many_voxels_as_the_regions_and_shares_what_is_equally_doubtful() -> None:
    best, even = levels(9, 0, 0, 0, 0, 0, 9, 9), levels(*[7] * 8)
    (found,) = find_errors(maps("x.....xx", entropy=best, probability=even), (0.8,))
    assert found.found_by("entropy") == 1.0
    assert found.found_by("probability") == pytest.approx(4 / 8)


def test_a_perfect_case_has_no_share_and_counts_in_no_mean_of_it() -> None:
    report = RegionReport({"bad": find_errors(maps("x.....xx"), (0.8,)), "good": find_errors(maps("........"), (0.8,))},
                          {})
    assert report.summary()["0.8"]["found"] == pytest.approx(2 / 3)
    assert report.summary()["0.8"]["error_rate_region_1"] == pytest.approx(0.125)
    assert report.worst(0.8) == "bad" and json.loads(report.to_json())["cases"]["good"]["0.8"]["found"] is None


def test_the_worst_case_is_named() -> None:
    report = RegionReport({"one": find_errors(maps("x.....xx"), (0.5, 0.8)), "two": find_errors(maps("xx....x."),
                          (0.5, 0.8))}, {"three": "it is broken."})
    assert report.worst(0.8) == "two" and "33.3 two" in report.table()
    assert "not counted: three: it is broken." in report.table()


def test_entropy_is_a_share_of_the_largest_and_doubt_the_rest_of_the_largest_probability() -> None:
    probabilities = np.array([[0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0], [0.7, 0.1, 0.1, 0.1]], np.float32)[..., None]
    entropy, uncertainty = uncertainties(probabilities)
    assert entropy[:, 0] == pytest.approx([1, 0, 0.940448 / np.log(4)], abs=1e-5)
    assert uncertainty[:, 0] == pytest.approx([0.75, 0, 0.3])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases, a model, and results with regions of it."""
    folder = tmp_path_factory.mktemp("regions")
    rng = np.random.default_rng(3)
    for name in ("one", "two"):
        image = rng.normal(100, 30, (3, 32, 32)).astype(np.float32)
        label = np.where(image > 140, 1, 0).astype(np.uint8)
        for part, array in (("images", image), ("labels", label)):
            (folder / "cases" / part).mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / "cases" / part / f"{name}.nii.gz"))
    names = {str(label.value): label.name for label in LABELS.labels}
    (folder / "cases" / "labels.json").write_text(json.dumps(names))
    write_untrained(folder / "model")
    segment(SegmentRequest(folder / "model", (folder / "cases" / "images",), folder / "results", regions=True),
            SilentReporter())
    return folder


def test_results_and_the_model_give_the_same_regions(world: Path) -> None:
    request = RegionRequest(world / "cases", (0.5, 0.8))
    read, made = regions_of_results(world / "results", request), regions_of_model(world / "model", request)
    assert read.cases.keys() == made.cases.keys() == {"one", "two"}
    for name, entries in read.cases.items():
        assert [(e.voxels, e.wrong) for e in entries] == [(e.voxels, e.wrong) for e in made.cases[name]]
    assert sum(read.cases["one"][1].wrong) > 0
    assert "entropy" in made.cases["one"][0].wrong_by_rule and not read.cases["one"][0].wrong_by_rule
    assert "--model" in read.warnings[-1]


def test_a_case_whose_maps_are_missing_or_foreign_costs_itself(world: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    for path in (world / "results").iterdir():
        if path.is_file():
            (results / path.name).write_bytes(path.read_bytes())
    (results / "one.confidence-b.nrrd").unlink()
    report = regions_of_results(results, RegionRequest(world / "cases"))
    assert report.cases.keys() == {"two"} and "one.confidence-b.nrrd is not there" in report.skipped["one"]
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 32, 31), np.uint16)), str(results / "two.confidence-a.nrrd"))
    with pytest.raises(UserError, match="No case can be counted"):
        regions_of_results(results, RegionRequest(world / "cases"))


def test_a_model_of_one_network_is_refused_in_a_sentence(tmp_path: Path) -> None:
    spec = NetworkSpec("unet", 2, LABELS.n_classes, names=("a",))
    networks = NetworkGroup.build(spec, ("a",))
    about = ModelDescription("M", tiny_plan(2, (32, 32)), LABELS, spec, InferenceSettings())
    write_model(tmp_path / "model", about, {"a": networks["a"].state_dict()})
    with pytest.raises(UserError, match="this model has one network"):
        regions_of_model(tmp_path / "model", RegionRequest(tmp_path))


def test_the_command_tells_all_betas_and_writes_them(world: Path, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "--regions", "--model", world / "model", "--reference", world / "cases", "--beta", "0.9,0.5",
               "--out", tmp_path / "regions.json"]
    assert cli.main([str(word) for word in command]) == 0
    assert "by entropy" in capsys.readouterr().out
    assert list(json.loads((tmp_path / "regions.json").read_text())["summary"]) == ["0.5", "0.9"]


@pytest.mark.parametrize(("options", "message"), [
    (["--regions"], "--regions needs --predictions or --model"),
    (["--regions", "--model", "m", "--predictions", "p"], "--regions needs --predictions or --model"),
    (["--regions", "--predictions", "p", "--beta", "1.5"], "--beta is 1.5. Accepted: numbers above 0"),
    (["--regions", "--predictions", "p", "--beta", "nan"], "--beta is nan. Accepted: numbers above 0"),
    (["--regions", "--predictions", "p", "--beta", "half"], "'half' is not a list of numbers"),
    (["--model", "m", "--predictions", "p"], "--model and --beta need --regions"),
    ([], "--predictions is missing"),
])
def test_a_wrong_wish_is_one_line(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "--reference", "no", *options]) == 2
    assert message in capsys.readouterr().err
