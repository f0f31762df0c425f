"""Scans that are too large for the memory: refused from the header, with the figures; and the forecast against runs."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from support import ROOT
from untrained import write_untrained

from alhvr import cli
from alhvr.inference import memory

SIZE = (1024, 1024, 1000)


def _header_alone(path: Path) -> Path:
    """An int16 NIfTI file of SIZE whose voxels are a hole in the disk."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *SIZE, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1, 0.75, 0.75, 1.5, 1, 1, 1, 1)
    struct.pack_into("<2f", header, 108, 352, 1)
    header[344:348] = b"n+1\0"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(352 + 2 * SIZE[0] * SIZE[1] * SIZE[2])
    return path


@pytest.mark.parametrize("regions", [False, True])
def test_the_command_refuses_a_scan_that_does_not_fit_with_the_figures_and_writes_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], regions: bool):
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 10**9)
    arguments = ["segment", _header_alone(tmp_path / "huge.nii"), "--model", write_untrained(tmp_path / "model"),
                 "--out", tmp_path / "out", *["--regions"] * regions]
    assert cli.main([str(argument) for argument in arguments]) == 2
    told = capsys.readouterr().err
    assert "Segmenting 1024 x 1024 x 1000 voxels takes about" in told and "3.0 GB are free" in told
    assert ("leave out the regions" in told) == regions
    assert not list((tmp_path / "out").glob("huge*"))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is known on Linux")
@pytest.mark.parametrize("plan", ["2-D", "3-D"])
def test_a_run_takes_no_more_than_was_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: str):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "speed"))
    import memory_of_segmenting

    case = memory_of_segmenting.Case("200x200x80", plan, True, "auto", 1, 100)
    found = memory_of_segmenting.in_child(case, tmp_path)
    assert 1 <= found.ratio < 1.5


def test_a_report_holds_every_peak_against_its_target_and_the_forecast_against_the_peaks(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "speed"))
    import memory_of_huge_scans
    import memory_of_segmenting
    import records

    peaks = iter((10.0, 11.0, 12.5, 5.0))
    monkeypatch.setattr(memory_of_segmenting, "in_child", lambda case, folder: memory_of_segmenting.Found(
        0.2, next(peaks), 12.0, 9.0, 1.0, 2.0))
    found = memory_of_huge_scans.measure(records.Setting(1, 5, tmp_path)).findings
    assert [finding.verdict for finding in found] == ["met", "met", "missed", "met", "missed", "missed"]
    assert [finding.measured for finding in found[4:]] == [0.96, 2.4]
    assert memory_of_huge_scans.BY_NAME_ONLY and not hasattr(memory_of_segmenting, "BY_NAME_ONLY")
