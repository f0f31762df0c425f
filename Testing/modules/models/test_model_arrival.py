"""Hostile and damaged models end in a sentence and leave nothing behind."""

from __future__ import annotations

import os
import pathlib
import stat
import zipfile
from collections.abc import Callable

import pytest
from model_worlds import WEIGHTS, change_manifest, write_files, write_manifest, write_model_folder, zipped
from small_disk import mounted_disk


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A good model that waits to be added."""
    return write_model_folder(tmp_path / "from" / "liver")


@pytest.fixture
def arrive(own_settings: pathlib.Path) -> Callable:
    """Brings a path in."""

    def run(path: pathlib.Path) -> object:
        from ALHVRLib.models.copy_model import ModelCopy

        return ModelCopy(path).run()

    return run


@pytest.fixture
def refused(arrive: Callable, own_settings: pathlib.Path) -> Callable:
    """The sentence with which a path is refused; looks that nothing was left among the models."""

    def run(path: pathlib.Path) -> str:
        from alhvr.core.errors import ModelError

        with pytest.raises(ModelError) as caught:
            arrive(path)
        models = own_settings / "models"
        assert not models.is_dir() or list(models.iterdir()) == []
        text = caught.value.message
        assert text.endswith(".")
        assert "\n" not in text
        return text

    return run


def test_a_folder_arrives_with_the_files_of_its_manifest_and_no_others(arrive: Callable, source: pathlib.Path) -> None:
    write_files(source, {".DS_Store": b"x", "models/virus.exe": b"x"})
    arrived = arrive(source)
    found = sorted(path.relative_to(arrived.folder).as_posix() for path in arrived.folder.rglob("*") if path.is_file())
    assert found == sorted(["alhvr.json", "docs/README.md", "manifest.json", *WEIGHTS])
    assert arrived.name == "liver"


@pytest.mark.parametrize("below", ["", "liver/", "a/b/"])
def test_a_zip_arrives_from_whatever_folder_it_was_packed_in(arrive: Callable, source: pathlib.Path, below: str,
                                                             tmp_path: pathlib.Path) -> None:
    more = {"__MACOSX/._liver": b"x", f"{below}.DS_Store": b"x"}
    arrived = arrive(zipped(source, tmp_path / "Liver 2.zip", below=below, more=more))
    assert (arrived.folder / "models/model.pt").read_bytes() == (source / "models/model.pt").read_bytes()
    assert arrived.name == "Liver 2"


def test_the_folder_around_a_model_may_be_given(arrive: Callable, tmp_path: pathlib.Path) -> None:
    write_model_folder(tmp_path / "run7" / "model")
    assert arrive(tmp_path / "run7").name == "run7"
    assert arrive(tmp_path / "run7" / "model").name == "run7"


def test_the_same_model_is_known_again_under_another_name(arrive: Callable, source: pathlib.Path,
                                                          own_settings: pathlib.Path) -> None:
    arrive(source).folder.rename(own_settings / "models" / "mine")
    arrived = arrive(source)
    assert (arrived.name, arrived.folder) == ("mine", None)


def test_another_model_of_the_same_name_is_refused(arrive: Callable, source: pathlib.Path,
                                                   own_settings: pathlib.Path) -> None:
    from alhvr.core.errors import ModelError

    write_model_folder(own_settings / "models" / "liver", {"name": "Another"})
    with pytest.raises(ModelError, match='"liver" is installed already'):
        arrive(source)


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "liver/../../evil", "C:/evil", "a\\..\\evil", "a\x01b"])
def test_a_zip_that_reaches_out_is_refused_whole(refused: Callable, source: pathlib.Path, tmp_path: pathlib.Path,
                                                 name: str) -> None:
    text = refused(zipped(source, tmp_path / "x.zip", more={name: b"evil"}))
    assert "unsafe name" in text
    assert not list(tmp_path.rglob("*evil"))


@pytest.mark.parametrize("name", ["m/a\x00b", "\x00", "liver/\x00/../evil", "models/model.pt\x00.txt", "a\x00b/"])
def test_a_name_that_a_zip_file_hides_behind_a_nul_is_refused(refused: Callable, source: pathlib.Path,
                                                              tmp_path: pathlib.Path, name: str) -> None:
    path, entry = zipped(source, tmp_path / "x.zip", without=("models/model.pt",)), zipfile.ZipInfo("x")
    entry.filename = name  # which the constructor would cut
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(source / "models/model.pt", "models/model.pt")
        archive.writestr(entry, b"")
    assert "unsafe name" in refused(path)


def test_a_link_in_a_zip_is_refused(refused: Callable, source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = zipped(source, tmp_path / "x.zip", without=("models/model.pt",))
    entry = zipfile.ZipInfo("models/model.pt")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert refused(path) == "models/model.pt is a link, which no model has."


def test_a_bomb_is_refused_before_it_is_unpacked(refused: Callable, source: pathlib.Path,
                                                 tmp_path: pathlib.Path) -> None:
    write_files(source, {"models/model.pt": bytes(50 << 20)})
    names = ("alhvr.json", "docs/README.md", *WEIGHTS)
    write_manifest(source, {name: (source / name).read_bytes() for name in names})
    assert "far more than it should" in refused(zipped(source, tmp_path / "x.zip"))


def test_an_entry_larger_than_its_manifest_says_is_refused(refused: Callable, source: pathlib.Path,
                                                           tmp_path: pathlib.Path) -> None:
    path = zipped(source, tmp_path / "x.zip", without=("models/model.pt",), more={"models/model.pt": b"x" * 27})
    assert refused(path) == "models/model.pt is larger than the model says."


def test_a_manifest_that_unpacks_to_gigabytes_is_refused(refused: Callable, source: pathlib.Path,
                                                         tmp_path: pathlib.Path) -> None:
    path = zipped(source, tmp_path / "x.zip", without=("manifest.json",), more={"manifest.json": b" " * (6 << 20)})
    assert refused(path) == "manifest.json is larger than the model says."


def test_a_zip_cut_short_is_refused(refused: Callable, source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = zipped(source, tmp_path / "x.zip")
    path.write_bytes(path.read_bytes()[:-100])
    assert refused(path) == "x.zip cannot be unpacked: it is damaged or truncated."


def test_a_zip_with_a_damaged_entry_is_refused(refused: Callable, source: pathlib.Path,
                                               tmp_path: pathlib.Path) -> None:
    path = zipped(source, tmp_path / "x.zip")
    with zipfile.ZipFile(path) as archive:
        where = archive.getinfo("models/model.pt").header_offset + 30 + len("models/model.pt") + 5
    data = bytearray(path.read_bytes())
    data[where] ^= 0xFF
    path.write_bytes(data)
    assert "x.zip cannot be unpacked" in refused(path)


def test_a_zip_with_a_password_is_refused(refused: Callable, source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = zipped(source, tmp_path / "x.zip")
    data = path.read_bytes()
    for head, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = 0
        while (start := data.find(head, start)) >= 0:
            data = data[: start + flags] + bytes([data[start + flags] | 1]) + data[start + flags + 1 :]
            start += 4
    path.write_bytes(data)
    assert refused(path) == "x.zip is locked with a password."


def test_two_models_in_a_zip_are_refused(refused: Callable, source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    text = refused(zipped(source, tmp_path / "x.zip", more={"other/manifest.json": b"{}"}))
    assert text == "x.zip holds 2 models: pack and add them one by one."


@pytest.mark.parametrize("name", ["notes.txt", "model.tar.gz", "model.zip"])
def test_a_file_that_is_no_zip_is_refused(refused: Callable, tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / name).write_text("This is text.")
    assert name in refused(tmp_path / name)


def test_a_folder_without_a_model_and_a_path_without_anything_are_refused(refused: Callable,
                                                                         tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty") == "empty is not an ALHVR model."
    assert "There is nothing at" in refused(tmp_path / "gone")


@pytest.mark.parametrize("name", ["models/model.pt", "models", "alhvr.json"])
def test_a_link_out_of_a_folder_is_refused(refused: Callable, source: pathlib.Path, tmp_path: pathlib.Path,
                                           name: str) -> None:
    (source / name).rename(tmp_path / "outside")
    (source / name).symlink_to(tmp_path / "outside")
    assert "link to a place outside" in refused(source)


def test_a_link_inside_a_folder_becomes_the_file_itself(arrive: Callable, source: pathlib.Path) -> None:
    (source / "models/model.pt").rename(source / "models/blob")
    (source / "models/model.pt").symlink_to("blob")
    copied = arrive(source).folder / "models/model.pt"
    assert copied.is_file()
    assert not copied.is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_in_place_of_weights_does_not_hang(refused: Callable, source: pathlib.Path) -> None:
    (source / "models/model.pt").unlink()
    os.mkfifo(source / "models/model.pt")
    assert refused(source) == "model.pt is a pipe; a file is expected."


@pytest.mark.parametrize("damage", ["short", "long", "changed", "missing"])
def test_weights_that_are_not_those_of_the_manifest_are_refused(refused: Callable, source: pathlib.Path,
                                                               damage: str) -> None:
    path = source / "models/a_encoder.onnx"
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"short": content[:-1], "long": content + b"x", "changed": content[::-1]}[damage])
    assert refused(source).startswith("models/a_encoder.onnx is ") or damage == "changed"


@pytest.mark.parametrize("name", ["manifest.json", "models/model.pt"])
def test_a_file_that_may_not_be_read_is_named(refused: Callable, source: pathlib.Path, name: str,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    usual = os.open

    def guarded(path: object, *arguments: object, **options: object) -> int:
        if str(path).startswith(str(source)) and str(path).endswith(name):
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path, *arguments, **options)

    monkeypatch.setattr(os, "open", guarded)
    assert refused(source) == f"{name} cannot be read: Permission denied."


def test_a_manifest_that_lists_terabytes_is_refused(refused: Callable, source: pathlib.Path) -> None:
    change_manifest(source, lambda values: values["files"]["models/model.pt"].update(bytes=1 << 41))
    assert refused(source) == "manifest.json lists more than 16 GB."


def test_a_full_disk_is_said_before_anything_is_copied(refused: Callable, source: pathlib.Path,
                                                       own_settings: pathlib.Path) -> None:
    (own_settings / "models").mkdir(parents=True)
    with mounted_disk(own_settings / "models", 2):
        assert "too full: the model needs 17 MB and 2 MB are free." in refused(source)


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(refused: Callable, source: pathlib.Path,
                                                       own_settings: pathlib.Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRLib.models import copy_model

    monkeypatch.setattr(copy_model, "SPARE_BYTES", -(1 << 30))
    write_files(source, {"models/model.pt": os.urandom(3 << 20)})
    names = ("alhvr.json", "docs/README.md", *WEIGHTS)
    write_manifest(source, {name: (source / name).read_bytes() for name in names})
    (own_settings / "models").mkdir(parents=True)
    with mounted_disk(own_settings / "models", 2):
        assert refused(source).endswith("no space left on device.")


def test_a_models_folder_that_cannot_be_made_is_said(refused: Callable, source: pathlib.Path,
                                                     own_settings: pathlib.Path) -> None:
    own_settings.write_text("a file where the folder should be")
    assert "cannot be copied to" in refused(source)


def test_cancelling_leaves_nothing(source: pathlib.Path, own_settings: pathlib.Path) -> None:
    from ALHVRLib.models.copy_model import ModelCopy, Stopped

    arrival = ModelCopy(source)
    arrival.stopped = True
    with pytest.raises(Stopped):
        arrival.run()
    assert list((own_settings / "models").iterdir()) == []
