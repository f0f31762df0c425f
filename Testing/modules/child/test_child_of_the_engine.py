"""The real engine in the real child process."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK
from child_watch import Told, is_running, let_qt_work, start_an_owner, write_engine, write_launcher

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch makes the small model")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A small model in a folder with foreign letters."""
    from untrained import write_untrained

    return write_untrained(tmp_path_factory.mktemp("models") / "Größe 心")


@pytest.fixture
def scan(tmp_path: pathlib.Path) -> pathlib.Path:
    """A small scan in a folder with foreign letters."""
    folder = tmp_path / "Ünter suchung"
    folder.mkdir()
    image = SimpleITK.GetImageFromArray(np.random.default_rng(0).normal(0, 100, (6, 40, 40)).astype(np.float32))
    image.SetSpacing((1.5, 1.5, 5.0))
    SimpleITK.WriteImage(image, folder / "心.nrrd")
    return folder / "心.nrrd"


@needs_torch
def test_a_scan_is_segmented(child: Callable[..., Told], model: pathlib.Path, scan: pathlib.Path,
                             tmp_path: pathlib.Path) -> None:
    told = child("segment", "--model", model, scan, "--out", tmp_path / "Ergebnis", "--progress", "json").start()
    ending = told.end()
    assert (ending.kind, ending.message) == ("finished", ""), told.said
    assert (told.kinds[0], told.kinds[-1]) == ("started", "finished")
    assert told.events[0].fields["pid"] == told.child.pid
    assert told.child.progress.done == told.child.progress.total
    written = [pathlib.Path(event.text("path")) for event in told.events if event.kind == "artifact"]
    assert tmp_path / "Ergebnis" / "心.seg.nrrd" in written
    assert all(path.exists() for path in written)


@needs_torch
def test_a_model_describes_itself(child: Callable[..., Told], model: pathlib.Path) -> None:
    told = child("describe", model).start()
    assert told.end().kind == "finished"
    assert told.log


@needs_torch
def test_a_cancelled_segmentation_leaves_no_result(child: Callable[..., Told], model: pathlib.Path,
                                                   scan: pathlib.Path, tmp_path: pathlib.Path) -> None:
    told = child("segment", "--model", model, scan, "--out", tmp_path / "out", "--progress", "json").start()
    told.wait_until(lambda: told.events)
    told.child.cancel()
    assert told.end().kind == "cancelled"
    assert not list((tmp_path / "out").glob("*.nrrd"))


def test_a_folder_that_is_no_model_is_one_sentence(child: Callable[..., Told], tmp_path: pathlib.Path) -> None:
    ending = child("describe", tmp_path).start().end()
    assert (ending.kind, ending.exit_code) == ("failed", 2)
    assert str(tmp_path) in ending.text
    assert not ending.text.startswith("alhvr:")


def test_a_mistyped_command_is_one_sentence(child: Callable[..., Told]) -> None:
    ending = child("segment", "--progress", "json").start().end()
    assert ending.kind == "failed"
    assert "required" in ending.message
    assert ending.hint == "See: alhvr segment --help"


def hide(names: list[str], folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python behind PythonSlicer lacks these packages."""
    (folder / "stub").mkdir()
    code = f"import sys\nsys.modules.update(dict.fromkeys({names!r}))\n"
    (folder / "stub" / "sitecustomize.py").write_text(code)
    launcher = write_launcher(folder / "bin", f'PYTHONPATH="{folder / "stub"}" "{sys.executable}" "$@"')
    monkeypatch.setenv("PATH", launcher)


def test_a_package_that_slicer_lacks_is_named(child: Callable[..., Told], tmp_path: pathlib.Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    hide(["numpy"], tmp_path, monkeypatch)
    ending = child("segment", "--model", "m", "s.nrrd", "--out", tmp_path / "o", "--progress", "json").start().end()
    assert ending.kind == "failed"
    assert ending.message.startswith("The Python package numpy ")


@needs_torch
def test_a_slicer_that_can_run_no_model_is_told_why(child: Callable[..., Told], model: pathlib.Path, scan: pathlib.Path,
                                                    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(["onnxruntime", "openvino", "torch"], tmp_path, monkeypatch)
    told = child("segment", "--model", model, scan, "--out", tmp_path / "o", "--progress", "json").start()
    assert "is not installed" in told.end().message


def test_a_child_ends_with_its_owner(slicer_app: object, tmp_path: pathlib.Path) -> None:
    owner, pid = start_an_owner(tmp_path, write_engine(tmp_path, "say('started')\ntime.sleep(600)"))
    assert is_running(pid)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    let_qt_work(lambda: not is_running(pid))


def test_a_child_whose_owner_was_killed_leaves_no_scan_on_the_disk(slicer_app: object, tmp_path: pathlib.Path) -> None:
    body = "open(os.environ['ALHVR_WORK'] + '/scan.nrrd', 'w').close()\nsay('started')\ntime.sleep(600)"
    owner, pid = start_an_owner(tmp_path, write_engine(tmp_path, body))
    (scan,) = tmp_path.rglob("scan.nrrd")
    owner.kill()
    owner.wait()
    owner.stdout.close()
    let_qt_work(lambda: not is_running(pid))
    assert not scan.parent.exists()
