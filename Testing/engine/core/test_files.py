"""Files are written whole or not at all and never through a link, and only plain files are read."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from small_disk import mounted_disk

from alhvr.core import files
from alhvr.core.errors import UserError

NOT_PLAIN: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def small(tmp_path: Path):
    """A disk of a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    with mounted_disk(folder, 1):
        yield folder


def by_name(path: Path, text: str) -> None:
    with files.written_by_name(path) as place:
        place.write_text(text)


WRITERS = [files.write_text, by_name]


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_written_takes_the_place_of_the_older_file_with_nothing_beside_it(tmp_path: Path, write) -> None:
    (tmp_path / "x.json").write_text("old")
    write(tmp_path / "x.json", "new")
    assert (tmp_path / "x.json").read_text() == "new" and names(tmp_path) == ["x.json"]


@pytest.mark.parametrize("write", WRITERS)
def test_a_link_or_a_second_name_at_the_place_is_replaced_and_what_it_leads_to_stays(tmp_path: Path, write) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "link").symlink_to(precious)
    os.link(precious, tmp_path / "second name")
    for name in ("link", "second name"):
        write(tmp_path / name, "new")
        assert (tmp_path / name).read_text() == "new" and not (tmp_path / name).is_symlink()
    assert precious.read_text() == "precious"


def test_the_name_of_the_temporary_file_is_another_each_time(tmp_path: Path) -> None:
    seen = set()
    for _ in range(3):
        with files.written_atomically(tmp_path / "x"):
            seen.update(names(tmp_path))
    assert len(seen - {"x"}) == 3


def test_a_block_that_fails_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(KeyboardInterrupt), files.written_atomically(tmp_path / "x") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="half"), files.written_by_name(tmp_path / "x") as place:
        place.write_text("half")
        raise ValueError("half")
    assert (tmp_path / "x").read_text() == "old" and names(tmp_path) == ["x"]


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_keeps_the_older_file_leaves_nothing_half_and_names_the_file(small: Path, write) -> None:
    (small / "x").write_text("old")
    with pytest.raises(OSError, match="No space left") as refused:
        write(small / "x", "x" * 2_000_000)
    assert refused.value.filename == str(small / "x")
    assert (small / "x").read_text() == "old" and names(small) == ["x"]


def test_a_full_disk_is_told_with_the_file_the_folder_and_what_is_free(small: Path) -> None:
    with pytest.raises(OSError, match="No space left") as refused:
        files.write_bytes(small / "x.html", bytes(2_000_000))
    told = files.write_refused(refused.value, small / "x.html")
    assert told.message == f"x.html could not be written: the disk of {small} is full (1.05 MB free)."


def test_file_and_folder_are_flushed_around_the_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def watched_replace(source: Path, target: Path) -> None:
        seen.append("move")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    for write in WRITERS:
        write(tmp_path / "x", "text")
    assert seen == ["file", "move", "folder"] * 2


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    NOT_PLAIN[kind](Path("thing"))
    (tmp_path / "link").symlink_to("thing")
    for path in (tmp_path / "thing", tmp_path / "link"):
        with pytest.raises(UserError, match=f"{path.name} is {kind}; a file is expected"):
            files.read_bytes(path, at_most=10)
        assert not files.is_plain(path)


def test_a_missing_file_is_the_systems_to_tell_and_a_name_with_nul_is_ours(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.read_bytes(tmp_path / "none", at_most=10)
    with pytest.raises(UserError, match="no name of a file"):
        files.read_bytes(tmp_path / "a\0b", at_most=10)
    assert not files.is_plain(tmp_path / "none") and not files.is_plain(tmp_path / "a\0b")


def test_a_file_that_is_larger_than_expected_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(11))
    assert files.read_bytes(tmp_path / "x", at_most=11) == bytes(11)
    with pytest.raises(UserError, match="x has more than"):
        files.read_bytes(tmp_path / "x", at_most=10)


def test_lines_are_appended_to_files_and_not_through_links_or_into_pipes(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError), files.opened_to_append(tmp_path / name) as file:
            file.write(b"more")
    for _ in range(2):
        with files.opened_to_append(tmp_path / "log") as file:
            file.write(b"more")
    assert (tmp_path / "precious").read_text() == "precious" and (tmp_path / "log").read_text() == "moremore"


def test_a_folder_is_shown_to_be_writable_without_touching_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f".write-test-{os.getpid()}").symlink_to(tmp_path / "precious")
    before = names(tmp_path)
    files.make_writable(tmp_path)
    files.make_writable(tmp_path / "new" / "below")
    assert (tmp_path / "precious").read_text() == "precious" and names(tmp_path) == sorted([*before, "new"])
    with pytest.raises(UserError, match=r"The folder .* cannot be written \(Not a directory\)"):
        files.make_writable(tmp_path / "precious" / "below")


@pytest.mark.parametrize(("name", "seen"), [
    ("Müller 肝臓.nii", "Müller 肝臓.nii"),
    ("a\x1b[2Jb", "a\\x1b[2Jb"),
    ("a\nb\rc\x07\x9b", "a\\nb\\rc\\x07\\x9b"),
    ("a\u202egnp.exe", "a\\u202egnp.exe"),
    ("a\u2066\u200f\u2028b", "a\\u2066\\u200f\\u2028b"),
    ("a\udcffb", "a\\udcffb"),
])
def test_names_are_shown_without_what_moves_the_cursor_or_turns_the_writing(name: str, seen: str) -> None:
    assert files.shown(name) == seen
    assert files.shown(seen) == seen
