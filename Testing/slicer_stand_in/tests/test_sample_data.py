"""The stand-in of SampleData: refuses what the real module refuses, and keeps a source once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def logic(clean_slate: None) -> Iterator[Any]:
    """SampleDataLogic with no source."""
    import slicer
    from slicer_stand_in.sample_data import SampleDataLogic

    yield SampleDataLogic
    vars(slicer.modules).pop("sampleDataSources", None)


def test_a_source_is_kept_once_in_its_category(logic: Any) -> None:
    for _ in range(2):
        logic.registerCustomSampleDataSource(category="Mine", sampleName="a", uris="u", fileNames="f", nodeNames="n")
    assert [source.sampleName for source in logic.sampleDataSourcesByCategory("Mine")] == ["a"]
    assert logic.sampleDataSourcesByCategory("Other") == []


def test_a_source_without_an_address_is_refused(logic: Any) -> None:
    with pytest.raises(TypeError):
        logic.registerCustomSampleDataSource(category="Mine", sampleName="a")


def test_lists_of_different_lengths_are_refused(logic: Any) -> None:
    with pytest.raises(ValueError, match="same length"):
        logic.registerCustomSampleDataSource(category="Mine", uris=["a", "b"], fileNames=["f"], nodeNames=["n"])


def test_the_button_hands_the_source_to_its_downloader(logic: Any) -> None:
    from slicer_stand_in.sample_data import press

    got: list[Any] = []
    logic.registerCustomSampleDataSource(category="Mine", uris="", fileNames="f", customDownloader=got.append)
    source = logic.sampleDataSourcesByCategory("Mine")[0]
    press(source)
    assert got == [source]
