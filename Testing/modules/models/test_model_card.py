"""Tests of models/card.py: what the card says, and that nothing of a model's files is markup in it."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from model_worlds import CODES, DESCRIPTION, write_model_folder

HOSTILE = '<img src="file:///etc/passwd"><h1>&amp;</h1>'


def card_of(folder: pathlib.Path, changes: dict[str, Any] | None = None, **options: Any) -> str:
    from ALHVRLib.models.card import card
    from ALHVRLib.models.model_info import describe

    return card(describe(write_model_folder(folder, changes, **options)))


def words_of(rich: str) -> str:
    """What a person reads of rich text."""
    import qt

    document = qt.QTextDocument()
    document.setHtml(rich)
    return " ".join(document.toPlainText().replace("\u200b", "").split())


def test_the_card_says_what_a_person_has_to_know(tmp_path: pathlib.Path) -> None:
    words = words_of(card_of(tmp_path / "m"))
    for part in ("Liver and spleen", "2-D U-Net for MR scans", "liver 0.912", "mean of all 0.880", "CC BY 4.0",
                 "Trained on 2 labelled and 40 unlabelled scans.", "Dice: on 5 validation scans.", "2026-11-23",
                 "not a medical device"):
        assert part in words


def test_the_card_shows_the_colour_of_each_structure(tmp_path: pathlib.Path) -> None:
    rich = card_of(tmp_path / "m")
    assert "background-color: #cc661a" in rich
    assert "background-color: #0066b2" in rich


def test_what_is_not_recorded_is_said(tmp_path: pathlib.Path) -> None:
    words = words_of(card_of(tmp_path / "m", {"training": {}}))
    for part in ("Training scans: not recorded.", "Not scored", "Date: not recorded", "Licence: not recorded"):
        assert part in words


def test_faults_that_were_let_pass_are_said(tmp_path: pathlib.Path) -> None:
    words = words_of(card_of(tmp_path / "m", {"training": {"forced": ["other_grid"]}}))
    assert "Trained despite faults that the check of the data found: other grid." in words


@pytest.mark.parametrize("place", ["name", "label", "channel", "licence", "date", "forced"])
def test_markup_in_any_text_of_a_model_is_shown_as_text(tmp_path: pathlib.Path, place: str) -> None:
    plan = {**DESCRIPTION["plan"], "channels": [{"name": HOSTILE}, {"name": "T1"}]}
    label = {"value": 1, "name": HOSTILE, "colour_rgb": [0, 0, 0], **CODES}
    changes = {"name": {"name": HOSTILE}, "label": {"labels": {"labels": [label]}}, "channel": {"plan": plan},
               "licence": {"training": {"licence": HOSTILE}}, "date": {"training": {"date": HOSTILE}},
               "forced": {"training": {"forced": [HOSTILE]}}}
    rich = card_of(tmp_path / "m", changes[place])
    assert "<img" not in rich
    assert "<h1" not in rich
    assert "<img src" in words_of(rich)


def test_markup_in_the_name_of_a_bad_models_folder_is_shown_as_text(tmp_path: pathlib.Path) -> None:
    from ALHVRLib.models.card import card
    from ALHVRLib.models.model_info import describe

    folder = tmp_path / "<img src=x>"
    folder.mkdir()
    assert "<img" not in card(describe(folder))
    assert "<img src=x>" in words_of(card(describe(folder)))
    assert "manifest.json is missing." in words_of(card(describe(folder)))


def test_long_words_can_be_broken(tmp_path: pathlib.Path) -> None:
    import qt

    label = qt.QLabel(card_of(tmp_path / "m", {"name": "x" * 500, "training": {"licence": "y" * 500}}))
    label.wordWrap = True
    assert label.minimumSizeHint.width() < 400


def test_a_model_of_many_structures_has_a_card_that_ends(tmp_path: pathlib.Path) -> None:
    labels = [{"value": n, "name": f"part {n}", "colour_rgb": [0, 0, 0], **CODES} for n in range(1, 101)]
    words = words_of(card_of(tmp_path / "m", {"labels": {"labels": labels}}))
    assert "part 30" in words
    assert "part 31" not in words
    assert "and 70 more" in words
