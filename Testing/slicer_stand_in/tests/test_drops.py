"""Drag and drop: what enters, moves and falls reaches an event filter, and nothing falls where entering was refused."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest


@pytest.fixture
def target(clean_slate: None) -> Any:
    """A widget that accepts drops, with a child in it; `.seen` holds the events, `.takes` what is answered."""
    import qt

    class Filter(qt.QObject):
        seen: list[int]
        takes = True

        def eventFilter(self, watched: Any, event: Any) -> bool:
            if event.type() in (qt.QEvent.DragEnter, qt.QEvent.DragMove, qt.QEvent.Drop):
                self.seen.append(int(event.type()))
                if self.takes:
                    event.acceptProposedAction()
                return True
            return False

    class Target:
        def __init__(self) -> None:
            self.widget, self.filter = qt.QWidget(), Filter()
            self.child = qt.QLabel("child", self.widget)
            self.filter.seen = []
            self.widget.acceptDrops = True
            self.widget.installEventFilter(self.filter)

    return Target()


def test_a_drop_on_a_child_reaches_the_parent_that_accepts_drops(target: Any, tmp_path: pathlib.Path) -> None:
    import qt
    from slicer_stand_in.drops import drop

    assert drop(target.child, [tmp_path])
    assert target.filter.seen == [int(qt.QEvent.DragEnter), int(qt.QEvent.DragMove), int(qt.QEvent.Drop)]


def test_nothing_is_dropped_where_entering_was_refused(target: Any, tmp_path: pathlib.Path) -> None:
    import qt
    from slicer_stand_in.drops import drop

    target.filter.takes = False
    assert not drop(target.child, [tmp_path])
    assert target.filter.seen == [int(qt.QEvent.DragEnter)]


def test_nothing_is_dropped_on_a_widget_that_accepts_no_drops(target: Any, tmp_path: pathlib.Path) -> None:
    from slicer_stand_in.drops import drop

    target.widget.acceptDrops = False
    assert not drop(target.child, [tmp_path])
    assert target.filter.seen == []
