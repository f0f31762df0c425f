"""For the tests of the stand-in: its own fixtures, as the tests of the modules use them."""

from __future__ import annotations

from slicer_stand_in.fixtures import clean_slate, dialog_answers, load_panel, main_window, slicer_app

__all__ = ["clean_slate", "dialog_answers", "load_panel", "main_window", "slicer_app"]
