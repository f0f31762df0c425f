"""The module SampleData, as far as others register their samples with it: what it refuses, and what its buttons do.

Not there unless a test puts it into sys.modules: a Slicer can be without. From Slicer's
Modules/Scripted/SampleData/SampleData.py: samples are kept in slicer.modules.sampleDataSources by category; a source
with a customDownloader gets itself when its button is pressed; the same source is registered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer

titles: dict[str, str] = {}
"""Titles of the categories that were registered."""


class SampleDataSource:
    """One sample; texts become lists of one, and all lists have to be of one length."""

    FIELDS = ("sampleName", "sampleDescription", "uris", "fileNames", "nodeNames", "checksums", "loadFiles",
              "customDownloader", "thumbnailFileName", "loadFileType", "loadFileProperties")

    def __init__(self, *values: Any, **named: Any) -> None:
        unknown = named.keys() - set(self.FIELDS[len(values) :])
        if unknown or len(values) > len(self.FIELDS):
            raise TypeError(f"SampleDataSource got unexpected arguments: {sorted(unknown) or values}")
        vars(self).update({**dict.fromkeys(self.FIELDS), **dict(zip(self.FIELDS, values, strict=False)), **named})
        if self.sampleDescription is None:
            self.sampleDescription = self.sampleName
        single = isinstance(self.uris, str)
        self.uris = [self.uris] if single else self.uris
        count = len(self.uris)
        self.fileNames = [self.fileNames] if single else self.fileNames
        for name in ("nodeNames", "loadFiles", "checksums"):
            setattr(self, name, _listed(getattr(self, name), count, single))
        if isinstance(self.loadFileType, str) or self.loadFileType is None:
            self.loadFileType = [self.loadFileType] * count
        fields = (self.fileNames, self.nodeNames, self.loadFiles, self.loadFileType, self.checksums)
        if any(len(values) != count for values in fields):
            raise ValueError("All fields of sample data source must have the same length")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SampleDataSource) and str(self) == str(other)

    __hash__ = None

    def __str__(self) -> str:
        return str(sorted(vars(self).items(), key=lambda item: item[0]))


def _listed(value: Any, count: int, single: bool) -> Sequence:
    if single:
        return [value]
    return [None] * count if value is None else value


class SampleDataLogic:
    """Keeps the sources of all modules."""

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str | None = None) -> None:
        titles[category] = category if title is None else title

    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", loadFileType: Any = "VolumeFile",
                                       **fields: Any) -> None:
        source = SampleDataSource(loadFileType=loadFileType, **fields)
        if not SampleDataLogic.isSampleDataSourceRegistered(category, source):
            _sources().setdefault(category, []).append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        return _sources() if category is None else _sources().get(category, [])

    @staticmethod
    def isSampleDataSourceRegistered(category: str, sampleDataSource: Any) -> bool:
        if not isinstance(sampleDataSource, SampleDataSource):
            raise TypeError(f"unsupported sampleDataSource type '{type(sampleDataSource)}'")
        return sampleDataSource in _sources().get(category, [])


def press(source: SampleDataSource) -> None:
    """What the button of a source with a customDownloader does."""
    source.customDownloader(source)


def _sources() -> dict[str, list[SampleDataSource]]:
    if not hasattr(slicer.modules, "sampleDataSources"):
        slicer.modules.sampleDataSources = {}
    return slicer.modules.sampleDataSources
