"""The tutorial: its pictures and links are there, and the names it tells people to look for stand in the panel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from list_cmake_files import ROOT

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
CHECKLIST = (ROOT / "docs" / "extension-checklist.md").read_text(encoding="utf-8")
MODULE = ROOT / "ALHVRSegmentation"
SLICERS_OWN = {"View", "Install", "PyTorch", "Edit", "Additional module paths", "Segmentation", "Sample Data",
               "Extensions Manager", "Application Settings", "Modules", "ALHVR", "Add DICOM Data", "Appearance",
               "onnxruntime", "Volume information", "Volumes", "Gamma"}
"""Names in italics that are not texts of our panel."""


def shown_texts() -> str:
    """All that the panel may show: the texts of the .ui files and of the code."""
    files = [*MODULE.rglob("*.ui"), *(path for path in MODULE.rglob("*.py") if "Testing" not in path.parts)]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def headings(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_names_that_people_are_told_to_look_for_stand_in_the_panel() -> None:
    named = {part for name in re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", TUTORIAL) for part in name.split(" > ")}
    texts = shown_texts()
    assert sorted(name for name in named - SLICERS_OWN if name.rstrip(":") not in texts) == []


@pytest.mark.parametrize("page", ["tutorial.md", "extension-checklist.md"])
def test_links_and_pictures_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / "docs" / name) if name else ROOT / "docs" / page
        assert path.exists(), f"{target}: python docs/take_screenshots.py makes the pictures"
        assert not anchor or anchor in headings(path.read_text(encoding="utf-8")), target


def test_every_box_that_is_not_ticked_says_why() -> None:
    boxes = re.findall(r"- \[( |x)\] (.*(?:\n  .*)*)", CHECKLIST)
    assert len(boxes) > 25 and {tick for tick, _ in boxes} == {" ", "x"}
    for tick, text in boxes:
        assert tick == "x" or re.search(r"publish|public|application|setting", text), text


def test_the_pictures_that_the_script_takes_are_those_of_the_tutorial() -> None:
    script = (ROOT / "docs" / "take_screenshots.py").read_text(encoding="utf-8")
    shown = re.findall(r"\]\(pictures/slicer-([\w-]+)\.png\)", TUTORIAL)
    assert shown and [name for name in shown if f'"{name}"' not in script] == []


def test_the_sample_has_a_thumbnail_for_sample_data() -> None:
    used = re.findall(r"ALHVR\w+\.png", shown_texts())
    for name in set(used):
        assert Path(MODULE / "Resources" / "Icons" / name).is_file(), f"{name}: python docs/take_screenshots.py"
