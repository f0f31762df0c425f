"""Addresses and credentials of archives: nothing secret in a command, in the open, or in a file that others read."""

from __future__ import annotations

import json
import socket

import pytest

from alhvr.cli import main
from alhvr.core.errors import UserError
from alhvr.pacs.server import Credentials, credentials_of, server_of

pytest.importorskip("pynetdicom", reason="alhvr[pacs] is not installed")
SECRET = "s3cret-word"


def _file(path, mode: int, content: object = None):
    path.write_text(json.dumps({"user": "doc", "password": SECRET} if content is None else content))
    path.chmod(mode)
    return path


def test_credentials_come_from_a_file_that_is_ones_own(tmp_path):
    assert credentials_of(_file(tmp_path / "c.json", 0o600)) == Credentials("doc", SECRET)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path, mode):
    with pytest.raises(UserError, match="other users of this computer.*chmod 600") as error:
        credentials_of(_file(tmp_path / "c.json", mode))
    assert SECRET not in str(error.value)


def test_a_file_that_holds_something_else_is_refused_without_its_content(tmp_path):
    with pytest.raises(UserError, match="holds no credentials") as error:
        credentials_of(_file(tmp_path / "c.json", 0o600, {"pass": SECRET}))
    assert SECRET not in str(error.value)


def test_credentials_are_not_shown(monkeypatch):
    monkeypatch.setenv("ALHVR_PACS_USER", "doc")
    monkeypatch.setenv("ALHVR_PACS_PASSWORD", SECRET)
    assert SECRET not in repr(server_of("https://archive.example/dicom-web"))


@pytest.mark.parametrize("address", ["https://doc:s3cret-word@archive.example/x", "dicom://A:s3cret-word@host:104",
                                     "https://doc@archive.example/x"])
def test_a_password_in_the_address_is_refused_and_not_repeated(address, capsys):
    assert main(["pacs", "find", address]) == 2
    told = capsys.readouterr().err
    assert "ALHVR_PACS_PASSWORD" in told and SECRET not in told


@pytest.mark.parametrize("address", ["dicom://ARCHIVE@archive.example:104", "http://archive.example/dicom-web"])
def test_a_password_is_not_sent_in_the_open_to_another_host(monkeypatch, address):
    monkeypatch.setenv("ALHVR_PACS_USER", "doc")
    with pytest.raises(UserError, match="without encryption"):
        server_of(address)


@pytest.mark.parametrize("address", ["archive", "ftp://host/x", "dicom://host:104", "dicom://A@:104",
                                     "dicom://A@host:99999", "dicom://SEVENTEENLETTERSX@host:104"])
def test_other_addresses_are_refused_with_what_is_accepted(address):
    with pytest.raises(UserError, match="Accepted: "):
        server_of(address)


@pytest.mark.parametrize("scheme", ["dicom://ARCHIVE@", "http://"])
def test_an_archive_that_is_not_there_is_told_in_a_sentence(scheme, capsys):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert main(["pacs", "find", f"{scheme}127.0.0.1:{port}"]) == 2
    assert f"127.0.0.1:{port} cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("uid", ["../../etc", "1.2.x", "1" * 65, ""])
def test_what_is_no_uid_is_refused_before_anything_is_asked(tmp_path, uid, capsys):
    assert main(["pacs", "pull", "http://127.0.0.1:9/x", "--study", uid, "--out", str(tmp_path / "out")]) == 2
    assert "--study is" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("scheme", ["dicom://ARCHIVE@", "http://"])
def test_a_damaged_file_is_named_before_anything_is_sent(tmp_path, scheme, capsys):
    (tmp_path / "bad.dcm").write_bytes(bytes(128) + b"DICM" + b"\x08\x00\x16\x00UI\xff\xff1.2")
    assert main(["pacs", "push", f"{scheme}127.0.0.1:9", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "bad.dcm is a damaged DICOM file" in told and "Traceback" not in told
