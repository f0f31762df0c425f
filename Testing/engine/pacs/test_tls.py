"""TLS: an archive with a certificate of its own is believed where its certificate was named, and not elsewhere."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from alhvr.core.errors import UserError
from alhvr.pacs.run import Query, find
from alhvr.pacs.server import server_of

pynetdicom = pytest.importorskip("pynetdicom", reason="alhvr[pacs] is not installed")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-out", str(paths[0]), "-keyout", str(paths[1])],
                   capture_output=True, check=True)
    return paths


@pytest.fixture
def port(certificate: tuple[Path, Path]) -> Iterator[int]:
    """An archive with one study that speaks TLS on loopback."""
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

    def answer(event: object) -> Iterator[tuple[int, Dataset | None]]:
        study = Dataset()
        study.QueryRetrieveLevel, study.StudyInstanceUID, study.StudyDescription = "STUDY", "1.2.3", "heart"
        yield 0xFF00, study

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    application = AE("ARCHIVE")
    application.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    running = application.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)],
                                       ssl_context=context)
    yield running.server_address[1]
    running.shutdown()


def test_a_study_is_found_over_tls_where_the_certificate_is_trusted(port, certificate):
    (study,) = find(server_of(f"dicoms://ARCHIVE@localhost:{port}", trusted=certificate[0]), Query())
    assert (study["StudyInstanceUID"], study["StudyDescription"]) == ("1.2.3", "heart")


def test_an_unknown_certificate_is_not_believed(port):
    with pytest.raises(UserError, match="cannot be reached with TLS"):
        find(server_of(f"dicoms://ARCHIVE@localhost:{port}"), Query())


def test_a_certificate_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(UserError, match="certificate for TLS cannot be read"):
        find(server_of("dicoms://ARCHIVE@localhost:9", trusted=tmp_path / "bad.pem"), Query())
