"""Untrusted texts: what a model or the system says, as the panel shows it and as a folder may be called."""

from __future__ import annotations

import unicodedata

from alhvr.formats.model_folder import is_safe_name

MAX_NAME = 60


def reason(error: Exception) -> str:
    """Why the system refused, without the path, in lower case as a part of a sentence."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:].rstrip(".")


def folder_name(text: object) -> str:
    """A name for a folder, made of a text that may hold anything: letters, digits, and - _ . ( ) between them."""
    text = unicodedata.normalize("NFC", str(text))
    kept = "".join(letter if letter.isalnum() or letter in "-_.() " else " " for letter in text)
    name = " ".join(kept.split())[:MAX_NAME].strip(" .")
    return name if is_safe_name(name) else f"model {name}".strip()


def one_line(text: object, limit: int = MAX_NAME) -> str:
    """A text from a file as it may be shown: one line without invisible letters, cut where it is too long."""
    text = "".join(" " if letter.isspace() else letter for letter in str(text)[: 20 * limit])
    visible = "".join(letter for letter in text if unicodedata.category(letter)[0] != "C")
    words = " ".join(visible.split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"
