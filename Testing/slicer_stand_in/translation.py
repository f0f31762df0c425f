"""slicer.i18n: translation that leaves texts as they are."""

from __future__ import annotations

import pathlib


def translate(context: str, text: str) -> str:
    """The text in the user's language; here the English one."""
    return text


def tr(text: str) -> str:
    """The text in the user's language, in the context of the calling file."""
    return text


def getContext(sourceFile: str) -> str:
    """The context of a file: its name without ending."""
    return pathlib.Path(sourceFile).stem
