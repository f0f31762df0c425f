"""The study: what each channel is, and what the label values are called."""

from __future__ import annotations

from dataclasses import replace

from studies import cases, study, with_grid, with_label, with_range

from alhvr.data.cases import Channel


def test_the_user_then_the_files_then_the_headers_tell_what_was_measured() -> None:
    facts = [with_grid(f, modality="MR") for f in cases("labeled", 2)]
    subject = study(*facts)
    told = replace(subject, sets={"labeled": replace(subject.sets["labeled"], modality="CT")})
    assert subject.modality_of(0) == "MR"
    assert told.modality_of(0) == "CT" and told.normalized_by(0) == "ct"
    assert replace(told, modality="other").modality_of(0) == "other"


def test_scans_with_air_in_hounsfield_units_are_ct() -> None:
    facts = [with_range(with_grid(f, modality="other"), -1000, 900) for f in cases("labeled", 3)]
    assert study(*facts).modality_of(0) == "CT"


def test_each_channel_is_what_the_files_say_of_it() -> None:
    facts = [replace(f, images=(f.images[0], f.images[0])) for f in cases("labeled", 2)]
    subject = study(*facts)
    named = replace(subject.sets["labeled"], channels=(Channel("PET"), Channel("low dose", "CT")))
    subject = replace(subject, sets={"labeled": named}, modality="other")
    assert [subject.normalized_by(channel) for channel in range(subject.n_channels)] == ["zscore", "ct"]


def test_the_value_for_not_annotated_is_no_structure() -> None:
    assert study(*cases("labeled", 2), names={}, not_annotated=3).names == {1: "label 1"}


def test_names_that_no_model_can_have_give_no_labels() -> None:
    assert study(*cases("labeled", 1), names={1: "liver", 3: "liver"}).labels is None


def test_a_case_on_another_grid_than_its_label_is_not_sound() -> None:
    one, two = cases("labeled", 2)
    subject = study(with_label(one, other_grid="size"), two)
    assert subject.labeled == (two,)
