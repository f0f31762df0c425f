"""Installing with the real pip: what works gets its place, what does not leaves everything as it was."""

from __future__ import annotations

import os
import pathlib
import socket
import time
from collections.abc import Callable

import pytest
from child_watch import Told, let_qt_work, write_engine
from setup_worlds import GOOD, HOST, package_server, write_wheel
from small_disk import mounted_disk

NOT = "onnxruntime was not installed, and nothing was changed: "
CHECK = "Check {}, or install from a folder of wheels."


def packages() -> dict[str, str]:
    """Every file in the folder of packages, but those that Python makes of them."""
    from ALHVRLib import paths

    folder = paths.packages_folder()
    files = [path for path in sorted(folder.rglob("*.*")) if path.is_file() and path.suffix != ".pyc"]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_good_wheel_is_installed(attempt: Callable, tmp_path: pathlib.Path) -> None:
    from ALHVRLib.requirements import ONNXRUNTIME

    write_wheel(tmp_path / "Räder 心")
    outcome = attempt(tmp_path / "Räder 心").run()
    assert (outcome.kind, outcome.sentence) == ("installed", "onnxruntime 1.99.0 is installed.")
    assert ONNXRUNTIME.is_met()
    assert packages()["onnxruntime/__init__.py"] == GOOD


def test_the_engine_finds_what_was_installed(attempt: Callable, tmp_path: pathlib.Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:

    from ALHVRLib import paths

    write_wheel(tmp_path / "wheels", files={"onnxruntime/ours.py": b""})
    attempt(tmp_path / "wheels").run()
    root = write_engine(tmp_path, "import sys\nsys.modules.pop('onnxruntime', None)\n"
                                  "sys.path.insert(0, sys.path[-1])\nimport onnxruntime.ours")
    monkeypatch.setattr(paths, "engine_root", lambda: root)
    assert Told([], tmp_path / "work").start().end().kind == "finished"


def test_a_newer_wheel_takes_the_place_of_an_older(attempt: Callable, tmp_path: pathlib.Path) -> None:
    write_wheel(tmp_path / "old", "OLD = 1\n", version="1.50.0", files={"onnxruntime/gone.py": b""})
    write_wheel(tmp_path / "new", version="1.60.0")
    attempt(tmp_path / "old").run()
    assert attempt(tmp_path / "new").run().kind == "installed"
    assert packages()["onnxruntime/__init__.py"] == GOOD
    assert not [name for name in packages() if "gone" in name or "1.50.0" in name]


BROKEN = {
    "no package": ({"code": "import nowhere_at_all\n"}, "it does not work on this computer. "
                   "The Python package nowhere_at_all is missing."),
    "a library that cannot be loaded": ({"code": "raise ImportError('DLL load failed: x.dll')\n"},
                                        "it does not work on this computer. The Python package onnxruntime cannot be "
                                        "loaded: DLL load failed: x.dll"),
    "a crash": ({"code": "import os\nos.abort()\n"}, "it does not work on this computer. The background "
                "process exited unexpectedly."),
    "another Python": ({"tag": "cp39-cp39-win_amd64"}, "onnxruntime-1.99.0-cp39-cp39-win_amd64.whl does not fit"),
    "no metadata": ({"files": {"onnxruntime-1.99.0.dist-info/METADATA": b""}}, "the wheel is damaged."),
    "another package's metadata": ({"files": {"onnxruntime-1.99.0.dist-info/METADATA":
                                              b"Metadata-Version: 2.1\nName: other\nVersion: 1\n"}},
                                   "the wheel is damaged."),
    "no wheel file": ({"files": {"onnxruntime-1.99.0.dist-info/WHEEL": b""}}, "the wheel is damaged."),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_wheel_is_one_sentence_and_changes_nothing(attempt: Callable, tmp_path: pathlib.Path,
                                                            case: str) -> None:
    write_wheel(tmp_path / "before", "BEFORE = 1\n", version="1.20.0")
    attempt(tmp_path / "before").run()
    before = packages()
    how, reason = BROKEN[case]
    write_wheel(tmp_path / "wheels", **how)
    outcome = attempt(tmp_path / "wheels").run()
    assert outcome.kind == "failed"
    assert outcome.sentence.startswith(NOT + reason)
    assert packages() == before


def test_where_pip_itself_fails_the_end_of_its_story_is_told(slicer_app: object, tmp_path: pathlib.Path) -> None:
    from ALHVRLib.install import why_pip_failed
    from ALHVRLib.requirements import ONNXRUNTIME

    log = ["ERROR: Exception:", "Traceback (most recent call last):", "KeyError: 'x'"]
    assert why_pip_failed(ONNXRUNTIME, log, tmp_path, None) == "KeyError: 'x' The log has the details."
    nobody = why_pip_failed(ONNXRUNTIME, ["ERROR: Nobody knows."], tmp_path, None)
    assert nobody == "Nobody knows. The log has the details."
    assert why_pip_failed(ONNXRUNTIME, [], tmp_path, None) == "pip ended with an error. The log has the details."


def test_a_cut_off_wheel_is_one_sentence(attempt: Callable, tmp_path: pathlib.Path) -> None:
    wheel = write_wheel(tmp_path / "wheels", files={"onnxruntime/big.bin": os.urandom(100_000)})
    wheel.write_bytes(wheel.read_bytes()[:50_000])
    assert attempt(tmp_path / "wheels").run().sentence == NOT + "the wheel is damaged. Fetch it again."


def test_a_folder_without_a_wheel_is_told_at_once(attempt: Callable, tmp_path: pathlib.Path) -> None:
    (tmp_path / "numpy-2.0.0-py3-none-any.whl").write_text("")
    one = attempt(tmp_path)
    one.installation.start()
    assert one.outcomes[0].sentence == f'{NOT}{tmp_path} has no wheel of the package. "What to fetch?" shows which one.'


def test_a_full_disk_is_one_sentence(attempt: Callable, tmp_path: pathlib.Path, bare_slicer: pathlib.Path) -> None:
    write_wheel(tmp_path / "wheels", files={"onnxruntime/big.bin": bytes(30_000_000)})
    bare_slicer.mkdir()
    with mounted_disk(bare_slicer, 8):
        outcome = attempt(tmp_path / "wheels").run()
        assert outcome.sentence.startswith(f"{NOT}the disk with {bare_slicer} is full;")
        assert list(bare_slicer.iterdir()) == []


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(attempt: Callable,
                                                                     bare_slicer: pathlib.Path) -> None:
    bare_slicer.mkdir()
    with mounted_disk(bare_slicer, 8):
        one = attempt()
        one.installation.start()
        assert "is full; 104 MB are needed." in one.outcomes[0].sentence


def test_a_folder_that_cannot_be_made_is_one_sentence(attempt: Callable, tmp_path: pathlib.Path,
                                                      bare_slicer: pathlib.Path) -> None:
    bare_slicer.write_text("a file")
    write_wheel(tmp_path / "wheels")
    assert attempt(tmp_path / "wheels").run().sentence == f"{NOT}{bare_slicer} cannot be written (File exists)."
    bare_slicer.unlink()


def test_a_package_server_behind_a_proxy_is_asked(attempt: Callable, tmp_path: pathlib.Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = write_wheel(tmp_path / "wheels", files={"onnxruntime/big.bin": os.urandom(3_000_000)})
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{HOST}/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", HOST)
    with package_server(wheel) as (port, asked):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        one = attempt()
        outcome = one.run()
    assert outcome.kind == "installed", one.log
    assert asked == [f"http://{HOST}/simple/onnxruntime/", f"http://{HOST}/files/{wheel.name}"]
    texts = [text for text, _ in one.progress]
    assert texts[0] == "Looking for onnxruntime..."
    assert texts[-1] == "Trying onnxruntime..."


def test_a_proxy_that_is_not_there_is_one_sentence(attempt: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    sentence = attempt().run().sentence
    assert sentence == f"{NOT}the package server was not reached through the proxy. {CHECK.format('HTTPS_PROXY')}"


def test_no_network_is_one_sentence(attempt: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port()}/simple")
    sentence = attempt().run().sentence
    assert sentence == f"{NOT}the package server was not reached. {CHECK.format('the network')}"


def test_a_server_without_the_package_is_one_sentence(attempt: Callable, tmp_path: pathlib.Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    assert attempt().run().sentence.startswith(f"{NOT}the package server has none for this Python and system.")


def test_the_users_settings_of_pip_do_no_harm(attempt: Callable, tmp_path: pathlib.Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nuser = true\nrequire-virtualenv = true\nquiet = 3\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    write_wheel(tmp_path / "wheels")
    assert attempt(tmp_path / "wheels").run().kind == "installed"


def test_a_cancelled_installation_is_gone_within_two_seconds(attempt: Callable, bare_slicer: pathlib.Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    with package_server(None) as (port, asked):
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        one = attempt()
        one.installation.start()
        let_qt_work(lambda: bool(asked))
        began = time.monotonic()
        one.installation.cancel()
        let_qt_work(lambda: bool(one.outcomes))
        assert time.monotonic() - began < 2.1
    assert (one.outcomes[0].kind, packages()) == ("cancelled", {})


def test_a_discarded_installation_leaves_nothing_and_says_nothing(attempt: Callable,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    with package_server(None) as (port, asked):
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        one = attempt()
        one.installation.start()
        let_qt_work(lambda: bool(asked))
        one.installation.discard()
    assert one.outcomes == []


def test_what_a_killed_slicer_left_is_removed(attempt: Callable, tmp_path: pathlib.Path,
                                              bare_slicer: pathlib.Path) -> None:
    left, ours = bare_slicer / ".install-99999999-abc", bare_slicer / f".install-{os.getpid()}-abc"
    left.mkdir(parents=True)
    ours.mkdir()
    write_wheel(tmp_path / "wheels")
    attempt(tmp_path / "wheels").run()
    assert not left.exists()
    ours.rmdir()


def test_a_move_that_fails_half_way_is_taken_back(slicer_app: object, tmp_path: pathlib.Path) -> None:
    from ALHVRLib.install import move_in
    from ALHVRLib.requirements import ONNXRUNTIME

    target, elsewhere = tmp_path / "packages", tmp_path / "elsewhere"
    (target / "onnxruntime").mkdir(parents=True)
    (target / "onnxruntime" / "__init__.py").write_text("BEFORE = 1")
    elsewhere.mkdir()
    with mounted_disk(elsewhere, 1):
        (elsewhere / "onnxruntime").mkdir()
        with pytest.raises(OSError, match="cross-device"):
            move_in(ONNXRUNTIME, elsewhere, target, tmp_path / "aside")
    assert (target / "onnxruntime" / "__init__.py").read_text() == "BEFORE = 1"
