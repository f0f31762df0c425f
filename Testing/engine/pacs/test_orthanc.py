"""A real archive, Debian's Orthanc on loopback: series and segmentations go there and come back unchanged."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import OBLIQUE, series_voxels, write_series
from untrained import write_untrained

from alhvr.cli import main
from alhvr.data.geometry import Geometry
from alhvr.data.reading import read_scan
from alhvr.data.scan import Segmentation
from alhvr.export.dicom_seg import write_dicom_seg
from alhvr.formats.labels import LabelSet

pytest.importorskip("pynetdicom", reason="alhvr[pacs] is not installed")
WEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
STUDY = {"PatientBirthDate": "", "PatientSex": "", "StudyID": "1", "AccessionNumber": "77", "StudyDate": "20200102",
         "StudyTime": "101112", "ReferringPhysicianName": "", "StudyDescription": "heart"}
AXES = (1.0, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8)
PASSWORD = "orthanc-test-password"


@dataclass(frozen=True)
class Orthanc:
    """An archive that runs."""

    dicom: str
    web: str


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Orthanc with empty storage; skips aloud where it is not installed."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None or not WEB_PLUGIN.exists():
        pytest.skip("Orthanc is not installed (Debian packages orthanc and orthanc-dicomweb)")
    folder, dicom, web = tmp_path_factory.mktemp("orthanc"), _free_port(), _free_port()
    settings = {
        "Name": "test", "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(WEB_PLUGIN)], "DicomAet": "ARCHIVE", "DicomPort": dicom, "HttpPort": web,
        "RemoteAccessAllowed": False, "HttpBindAddresses": ["127.0.0.1"], "DicomCheckCalledAet": True,
        "AuthenticationEnabled": True, "RegisteredUsers": {"doc": PASSWORD}, "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowFind": True, "DicomAlwaysAllowStore": True, "DicomModalities": {},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{web}/system", running, folder / "log")
        yield Orthanc(f"dicom://ARCHIVE@127.0.0.1:{dicom}", f"http://127.0.0.1:{web}/dicom-web")
    finally:
        running.terminate()
        running.wait(20)


def _wait(url: str, running: subprocess.Popen, log: Path) -> None:
    head = {"Authorization": "Basic " + base64.b64encode(f"doc:{PASSWORD}".encode()).decode()}
    for _ in range(150):
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                urllib.request.Request(url, headers=head), timeout=2)
            return
        except OSError:
            assert running.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
    raise AssertionError("Orthanc does not answer")


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALHVR_PACS_USER", "doc")
    monkeypatch.setenv("ALHVR_PACS_PASSWORD", PASSWORD)


def _study(folder: Path, number: int) -> tuple[Path, str]:
    """A folder with a series and its segmentation, and the UID of the study."""
    uid = f"1.2.826.0.1.3680043.8.498.{number}"
    write_series(folder / "series", series_voxels(), OBLIQUE, StudyInstanceUID=uid, **STUDY)
    scan = read_scan(folder / "series")
    array = np.zeros(scan.array.shape, np.uint8)
    array[1:3, 1:3, 2:4] = 1
    labels = LabelSet.from_names({1: "heart"})
    write_dicom_seg(folder / "seg.dcm", Segmentation("s", array, scan.geometry, labels), folder / "series")
    return folder, uid


def _by_uid(folder: Path) -> dict[str, pydicom.Dataset]:
    found = [pydicom.dcmread(path) for path in folder.rglob("*.dcm")]
    return {dataset.SOPInstanceUID: dataset for dataset in found}


@pytest.mark.parametrize("way", ["dicom", "web"])
@pytest.mark.usefixtures("credentials")
def test_a_study_is_pushed_found_and_pulled_unchanged(orthanc, tmp_path, way, capsys):
    folder, uid = _study(tmp_path / "study", 100 + len(way))
    server = getattr(orthanc, way)
    assert main(["pacs", "push", server, str(folder)]) == 0
    capsys.readouterr()
    assert main(["pacs", "find", server, "--date", "20200102", "--progress", "json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    (study,) = [item for item in last["found"] if item["StudyInstanceUID"] == uid]
    assert study["StudyDescription"] == "heart" and set(study["ModalitiesInStudy"].split("\\")) == {"MR", "SEG"}
    assert main(["pacs", "pull", server, "--study", uid, "--out", str(tmp_path / "back")]) == 0
    sent, back = _by_uid(folder), _by_uid(tmp_path / "back")
    assert set(sent) == set(back) and len(list((tmp_path / "back").iterdir())) == 2
    assert all(sent[name] == back[name] for name in sent)
    told = capsys.readouterr()
    assert PASSWORD not in told.out + told.err


@pytest.mark.usefixtures("credentials")
def test_a_series_is_found_and_pulled_alone_and_a_second_pull_changes_nothing(orthanc, tmp_path, capsys):
    folder, uid = _study(tmp_path / "study", 200)
    main(["pacs", "push", orthanc.dicom, str(folder)])
    capsys.readouterr()
    main(["pacs", "find", orthanc.web, "--study", uid, "--modality", "SEG", "--progress", "json"])
    (series,) = json.loads(capsys.readouterr().out.splitlines()[-1])["found"]
    words = ["--study", uid, "--series", series["SeriesInstanceUID"], "--out", str(tmp_path / "back")]
    for server in (orthanc.dicom, orthanc.web):
        assert main(["pacs", "pull", server, *words]) == 0
    (file,) = (tmp_path / "back").rglob("*.dcm")
    assert pydicom.dcmread(file) == pydicom.dcmread(folder / "seg.dcm")


@pytest.mark.usefixtures("credentials")
def test_a_study_is_pulled_segmented_and_pushed_and_the_result_is_seen_beside_it(orthanc, tmp_path, capsys):
    uid, grid = "1.2.826.0.1.3680043.8.498.300", Geometry((20, 18, 3), (0.8, 0.8, 5.0), (1.0, 2.0, 3.0), AXES)
    voxels = np.random.default_rng(0).integers(0, 900, grid.shape_kji).astype(np.int16)
    write_series(tmp_path / "series", voxels, grid, StudyInstanceUID=uid, **STUDY)
    model = write_untrained(tmp_path / "model")
    assert main(["pacs", "push", orthanc.dicom, str(tmp_path / "series")]) == 0
    assert main(["pacs", "pull", orthanc.dicom, "--study", uid, "--out", str(tmp_path / "study")]) == 0
    (series,) = (tmp_path / "study").iterdir()
    assert main(["segment", str(series), "--model", str(model), "--out", str(tmp_path / "out"), "--rtstruct"]) == 0
    assert main(["pacs", "push", orthanc.web, str(tmp_path / "out")]) == 0
    capsys.readouterr()
    main(["pacs", "find", orthanc.dicom, "--study", uid, "--progress", "json"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["found"]
    assert sorted(item["Modality"] for item in found) == ["MR", "RTSTRUCT", "SEG"]


@pytest.mark.parametrize(("address", "words", "seen"), [
    ("web", [], "asks for other credentials"),
    ("wrong title", [], "does not take ALHVR as a partner of OTHER"),
    ("dicom", ["--study", "1.2.3.4.5"], "Look by alhvr pacs find whether it has the study"),
])
def test_what_an_archive_refuses_is_told_in_a_sentence(orthanc, tmp_path, capsys, address, words, seen):
    server = orthanc.dicom.replace("ARCHIVE", "OTHER") if address == "wrong title" else getattr(orthanc, address)
    code = main(["pacs", "pull", server, "--study", "1.2.3", "--out", str(tmp_path / "back"), *words])
    told = capsys.readouterr().err
    assert code == 2 and seen in told and "Traceback" not in told
