"""The whole panel on a Slicer as it comes."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from child_watch import let_qt_work
from setup_worlds import package_server, write_wheel


def test_a_newcomer_is_told_what_is_missing_and_installs_it(bare_slicer: pathlib.Path, load_panel: Callable,
                                                            module_file: pathlib.Path, dialog_answers: object,
                                                            tmp_path: pathlib.Path) -> None:
    panel = load_panel(module_file).widget.panel
    from ALHVRLib.setup_section import SetupSection
    from ALHVRSegmentationLib.segment.section import SegmentSection

    setup, segment = panel.section(SetupSection), panel.section(SegmentSection)
    assert setup.frame.isVisible()
    assert not segment.ui.segmentButton.enabled
    assert segment.ui.statusLabel.text == setup.missingText()
    write_wheel(tmp_path / "wheels")
    dialog_answers.answer(str(tmp_path / "wheels"))
    setup.ui.folderButton.click()
    let_qt_work(setup.ready)
    assert panel.message == "onnxruntime 1.99.0 is installed."
    assert not setup.frame.isVisible()
    assert segment.ui.statusLabel.text == "Select the scan to segment."


def test_a_reload_in_the_middle_leaves_nothing(bare_slicer: pathlib.Path, load_panel: Callable,
                                               module_file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_panel(module_file)
    from ALHVRLib.setup_section import SetupSection

    with package_server(None) as (port, asked):
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        loaded.widget.panel.section(SetupSection).ui.installButton.click()
        let_qt_work(lambda: bool(asked))
        loaded.widget.onReload()
    assert list(bare_slicer.glob(".install-*")) == []
