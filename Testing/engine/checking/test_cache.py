"""The cache keeps texts for their owner alone, gives back nothing that is damaged, and never stands in the way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from alhvr.checking.cache import FOLDER_VARIABLE, MARK, OWN_FOLDER, Cache, open_cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "kept"))
    return open_cache()


def only_entry(cache: Cache) -> Path:
    (found,) = cache.folder.glob("??/*")
    return found


def test_what_was_kept_is_found_by_who_opens_the_cache_again(cache: Cache) -> None:
    name = cache.name("scan", 3)
    cache.put(name, "text\nof two lines: ü")
    assert open_cache().get(open_cache().name("scan", 3)) == "text\nof two lines: ü"
    assert cache.get(cache.name("scan", 4)) is None


def test_nobody_else_can_read_it_and_names_are_digests(cache: Cache) -> None:
    cache.put(cache.name("/home/Müller/scan.nii"), "text")
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((cache.folder / "key").stat().st_mode) == 0o600
    entry = only_entry(cache)
    assert set(entry.parent.name + entry.stem) <= set("0123456789abcdef")


def test_an_open_cache_is_closed_first_and_the_folder_that_it_lies_in_stays_as_it_is(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").mkdir(mode=0o755)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "kept"))
    open_cache().folder.chmod(0o755)
    assert stat.S_IMODE(open_cache().folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o755


def test_files_of_the_user_are_never_removed_wherever_they_lie(cache: Cache) -> None:
    cache.put(cache.name(1), "x" * 5000)
    hexadecimal = cache.folder / "ab"
    hexadecimal.mkdir(exist_ok=True)
    theirs = [cache.folder.parent / "CT" / "thesis.docx", cache.folder.parent / "ab" / f"{'0' * 62}.txt",
              cache.folder / "CT" / "thesis.docx", hexadecimal / "thesis.docx", hexadecimal / "scan.txt"]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(10_000))
        os.utime(path, (1e9, 1e9))
    (cache.folder / "cd").symlink_to(cache.folder.parent / "ab")
    (hexadecimal / f"{'1' * 62}.txt").symlink_to(theirs[0])
    cache.shrink(most_bytes=0)
    assert [path for path in theirs if not path.exists()] == [] and cache.get(cache.name(1)) is None
    assert (hexadecimal / f"{'1' * 62}.txt").is_symlink()


def test_a_folder_of_the_users_that_has_the_caches_name_is_left_alone(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / OWN_FOLDER).mkdir(mode=0o755)
    (tmp_path / OWN_FOLDER / "thesis.docx").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert open_cache().folder is None
    assert os.listdir(tmp_path / OWN_FOLDER) == ["thesis.docx"]
    assert stat.S_IMODE((tmp_path / OWN_FOLDER).stat().st_mode) == 0o755


def test_a_link_in_the_place_of_the_cache_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir(mode=0o755)
    (tmp_path / OWN_FOLDER).symlink_to(tmp_path / "theirs")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert open_cache().folder is None and not os.listdir(tmp_path / "theirs")


def test_a_cache_from_before_there_was_a_mark_is_taken_over(cache: Cache) -> None:
    cache.put(cache.name(1), "text")
    (cache.folder / MARK).unlink()
    assert open_cache().get(cache.name(1)) == "text" and (cache.folder / MARK).exists()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_entries_and_keys_that_are_no_files_are_not_waited_for(cache: Cache, make) -> None:
    cache.put(cache.name(1), "text")
    entry = only_entry(cache)
    entry.unlink()
    make(entry)
    assert cache.get(cache.name(1)) is None
    cache.put(cache.name(1), "new")
    cache.shrink(most_bytes=0)
    (cache.folder / "key").unlink()
    make(cache.folder / "key")
    assert open_cache().folder is None


def test_what_a_killed_check_left_of_an_entry_goes_after_a_day(cache: Cache) -> None:
    cache.put(cache.name(1), "text")
    left = [only_entry(cache).with_name(f".{digit * 16}.partial") for digit in "01"]
    for path in left:
        path.touch()
    os.utime(left[0], (1e9, 1e9))
    cache.shrink()
    assert [path.exists() for path in left] == [False, True] and cache.get(cache.name(1)) == "text"


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"0" * 64 + b"\ntext", b"text"])
def test_a_damaged_entry_is_as_none(cache: Cache, damage: bytes) -> None:
    cache.put(cache.name(1), "text")
    only_entry(cache).write_bytes(damage)
    assert cache.get(cache.name(1)) is None
    cache.put(cache.name(1), "new")
    assert cache.get(cache.name(1)) == "new"


def test_an_entry_under_another_name_is_not_believed(cache: Cache) -> None:
    cache.put(cache.name(1), "text")
    other = cache.name(2)
    (cache.folder / other[:2]).mkdir(exist_ok=True)
    os.replace(only_entry(cache), cache.folder / other[:2] / f"{other[2:]}.txt")
    assert cache.get(other) is None


def test_where_nothing_can_be_written_nothing_is_kept_and_nothing_raised(
        cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = cache.name(1)
    (cache.folder / name[:2]).write_text("a file where a folder should be")
    cache.put(name, "text")
    assert cache.get(name) is None
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "below"))
    assert open_cache().folder is None


def test_without_a_folder_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    cache = open_cache()
    cache.put(cache.name(1), "text")
    cache.shrink()
    assert cache.folder is None and cache.get(cache.name(1)) is None


def test_by_default_it_lies_in_the_cache_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert open_cache().folder == tmp_path / "alhvr" / "check"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.platform", "darwin")
    assert open_cache().folder == tmp_path / "home" / "Library" / "Caches" / "alhvr" / "check"


def test_the_entries_used_longest_ago_go_first_when_it_grows_too_large(cache: Cache) -> None:
    names = [cache.name(n) for n in range(10)]
    for age, name in enumerate(names):
        cache.put(name, "x" * 5000)
        path = cache.folder / name[:2] / f"{name[2:]}.txt"
        os.utime(path, (1e9 - age, 1e9 - age))
    assert cache.get(names[9]) is not None  # the oldest, but it was asked for
    cache.shrink(most_bytes=6 * 5065)
    kept = [n for n, name in enumerate(names) if cache.get(name) is not None]
    assert kept == [0, 1, 2, 9]
    cache.shrink(most_bytes=10**6)
    assert len(list(cache.folder.glob("??/*"))) == 4


def test_a_broken_key_is_replaced_the_next_time(cache: Cache) -> None:
    (cache.folder / "key").write_bytes(b"short")
    assert open_cache().folder is None
    assert open_cache().folder == cache.folder
