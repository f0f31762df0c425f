"""What a line of a child process means."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.usefixtures("slicer_app")


def test_a_line_with_an_event_is_an_event() -> None:
    from ALHVRLib.child_events import parse_line

    parsed = parse_line('{"event": "artifact", "kind": "segmentation", "path": "/a/b.seg.nrrd"}')
    event, = parsed.events
    assert (event.kind, event.text("path"), parsed.text) == ("artifact", "/a/b.seg.nrrd", "")


@pytest.mark.parametrize("line", ["", "hello", "{", '{"event": ', '{"event": 5}', '{"a": 1}', "[1]", '"event"', "null",
                                  '{"event": "x"', '{"message": "event"}', '["event"]', '{"event": null}',
                                  '{"event": ' + "[" * 5000, '{"event":' * 5000, '{"event": "x", "a": ' + "[" * 100000])
def test_anything_else_is_log_text(line: str) -> None:
    from ALHVRLib.child_events import parse_line

    parsed = parse_line(line)
    assert (parsed.events, parsed.text) == ((), line)


def test_an_event_is_found_behind_half_a_line_of_a_library() -> None:
    from ALHVRLib.child_events import parse_line

    parsed = parse_line('Loading...  40 %{"event": "note", "message": "h\\u00e9"}')
    assert (parsed.events[0].kind, parsed.events[0].text("message"), parsed.text) == ("note", "hé", "Loading...  40 %")


def test_every_good_event_of_a_line_is_heard() -> None:
    from ALHVRLib.child_events import parse_line

    parsed = parse_line('a {"event": "one"}{"event": "two"} b {"event": 3}{"event": "four", "x": {"event": "no"}} c')
    assert [event.kind for event in parsed.events] == ["one", "two", "four"]
    assert parsed.text == 'a b {"event": 3} c'


def test_a_line_of_a_megabyte_of_broken_events_takes_no_time() -> None:
    from ALHVRLib.child_events import parse_line

    started = time.monotonic()
    for piece in ('{"event": {"a": ', '{"event": "x", "n": [1, ', '{"event":'):
        parse_line(piece * (1_000_000 // len(piece)))
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("value", ["1e400", "-1e400", "NaN", "Infinity", "9" * 300, "9" * 6000, "true", '"3"', "null",
                                   "[1]"])
def test_a_number_that_counts_nothing_is_no_number_and_the_event_is_heard(value: str) -> None:
    from ALHVRLib.child_events import parse_line, progress_of

    for done, total in ((value, "5"), ("1", value)):
        event, = parse_line(f'{{"event": "progress", "stage": "a", "done": {done}, "total": {total}}}').events
        assert progress_of(event) is None
    event, = parse_line(f'{{"event": "progress", "done": 1, "total": 2, "seconds_left": {value}}}').events
    assert progress_of(event).seconds_left is None


@pytest.mark.parametrize("fields", ['"done": "x", "total": 5', '"done": 1', '"done": true, "total": 2',
                                    '"done": 1, "total": null', '"done": 1, "total": -1', '"done": 6, "total": 5',
                                    '"done": -1, "total": 5'])
def test_nonsense_is_no_progress(fields: str) -> None:
    from ALHVRLib.child_events import parse_line, progress_of

    assert progress_of(parse_line('{"event": "progress", "stage": "a", ' + fields + "}").events[0]) is None


def test_progress_has_its_numbers() -> None:
    from ALHVRLib.child_events import Progress, parse_line, progress_of

    line = '{"event": "progress", "stage": "segment", "done": 3, "total": 10, "seconds_left": null}'
    assert progress_of(parse_line(line).events[0]) == Progress("segment", 3, 10, None)


def test_half_characters_can_be_shown() -> None:
    from ALHVRLib.child_events import parse_line

    event = parse_line(r'{"event": "note", "message": "a\ud800b"}').events[0]
    assert event.shown("message") == "a\\ud800b"


def test_a_list_of_objects_has_nothing_else_in_it() -> None:
    from ALHVRLib.child_events import parse_line

    event = parse_line('{"event": "finished", "scans": [1, null, {"a": 1}], "other": 5}').events[0]
    assert (event.objects("scans"), event.objects("other"), event.objects("none")) == (({"a": 1},), (), ())
