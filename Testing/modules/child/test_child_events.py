"""What a line of a child process means."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("slicer_app")


def test_a_line_with_an_event_is_an_event() -> None:
    from ALHVRSegmentationLib.child.events import parse_line

    event = parse_line('{"event": "artifact", "kind": "segmentation", "path": "/a/b.seg.nrrd"}')
    assert event.kind == "artifact"
    assert event.text("path") == "/a/b.seg.nrrd"


@pytest.mark.parametrize("line", ["", "hello", "{", '{"event": ', '{"event": 5}', '{"a": 1}', "[1]", '"event"', "null",
                                  '{"event": "x"', '{"message": "event"}'])
def test_anything_else_is_log_text(line: str) -> None:
    from ALHVRSegmentationLib.child.events import parse_line, split_line

    assert parse_line(line) is None
    assert split_line(line) == (None, line)


def test_an_event_is_found_behind_half_a_line_of_a_library() -> None:
    from ALHVRSegmentationLib.child.events import split_line

    event, text = split_line('Loading...  40 %{"event": "note", "message": "h\\u00e9"}')
    assert (event.kind, event.text("message"), text) == ("note", "hé", "Loading...  40 %")


@pytest.mark.parametrize("fields", ['"done": "x", "total": 5', '"done": 1', '"done": true, "total": 2',
                                    '"done": 1, "total": null', '"done": 1, "total": -1'])
def test_nonsense_is_no_progress(fields: str) -> None:
    from ALHVRSegmentationLib.child.events import parse_line, progress_of

    assert progress_of(parse_line('{"event": "progress", "stage": "a", ' + fields + "}")) is None


def test_progress_has_its_numbers() -> None:
    from ALHVRSegmentationLib.child.events import Progress, parse_line, progress_of

    event = parse_line('{"event": "progress", "stage": "segment", "done": 3, "total": 10, "seconds_left": null}')
    assert progress_of(event) == Progress("segment", 3, 10, None)
