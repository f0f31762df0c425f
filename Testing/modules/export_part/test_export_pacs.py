"""The part Archive (PACS) of the Export section, with the real child process and archives on loopback."""

from __future__ import annotations

import pathlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from module_worlds import wait_until

pytest.importorskip("pynetdicom", reason="alhvr[pacs] is not installed")


@pytest.fixture
def export(
    load_panel: Callable[[pathlib.Path], Any], module_file: pathlib.Path, own_settings: pathlib.Path,
    tmp_path: pathlib.Path,
) -> Any:  # fmt: skip
    """The Export section of a panel, with the folder of the test."""
    from ALHVRSegmentationLib.export.section import ExportSection

    section = load_panel(module_file).widget.panel.section(ExportSection)
    section.ui.folderButton.directory = str(tmp_path)
    return section


@pytest.fixture
def archive() -> Iterator[int]:
    """Port of an archive with one study, which is found and nothing else."""
    from pydicom import Dataset
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

    def answer(_event: object) -> Iterator[tuple[int, Dataset]]:
        study = Dataset()
        study.StudyInstanceUID, study.StudyDate, study.StudyDescription = "1.2.3", "20200102", "heart"
        yield 0xFF00, study

    application = AE("ARCHIVE")
    application.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    running = application.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)])
    yield running.server_address[1]
    running.shutdown()


def test_without_an_address_nothing_is_asked(export: Any) -> None:
    ui = export.ui
    assert [button.enabled for button in (ui.findButton, ui.pullButton, ui.pushButton, ui.stopButton)] == [False] * 4


def test_studies_are_listed_and_one_can_be_pulled(export: Any, archive: int) -> None:
    ui = export.ui
    ui.serverEdit.text = f"dicom://ARCHIVE@127.0.0.1:{archive}"
    ui.findButton.click()
    assert ui.stopButton.enabled and not ui.findButton.enabled
    wait_until(lambda: not ui.stopButton.enabled)
    assert ui.studyBox.count == 1 and ui.studyBox.itemText(0) == "20200102  heart"
    assert ui.pullButton.enabled and not ui.pushButton.enabled


def test_an_archive_that_is_not_there_is_a_sentence(export: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = []
    export._pacs._panel.say = lambda text, kind: said.append((text, kind))
    export.ui.serverEdit.text = f"dicom://ARCHIVE@127.0.0.1:{port}"
    export.ui.findButton.click()
    wait_until(lambda: bool(said))
    assert f"127.0.0.1:{port} cannot be reached" in said[0][0] and said[0][1] == "error"


def test_a_password_in_the_address_starts_nothing_and_is_not_kept(export: Any) -> None:
    import slicer

    export.ui.serverEdit.text = "https://doc:s3cret@archive.example/dicom-web"
    export.ui.findButton.click()
    assert not export.ui.stopButton.enabled
    assert "s3cret" not in str(slicer.util.settingsValue("ALHVR/PacsServer", ""))
