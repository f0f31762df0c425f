"""The stand-ins offer nothing that Slicer does not: their public names against the manifest of Slicer's API."""

from __future__ import annotations

import json
import os
import pathlib
import re
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
MEMBERS = ("signals", "slots", "invokables")


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """What PythonQt shows of each class; skips aloud where the manifest is not there."""
    path = pathlib.Path(os.environ.get("SLICER_API", ROOT.parent / "shared" / "tools" / "slicer-api.json"))
    if not path.exists():
        pytest.skip(f"no manifest of Slicer's API: {path} (set SLICER_API)")
    return json.loads(path.read_text(encoding="utf-8"))["classes"]


def names_in_slicer(manifest: dict[str, Any], class_name: str) -> set[str]:
    """Properties, signals, slots, invokables and enums of a class and its bases that are not Qt's."""
    names: set[str] = set()
    while class_name in manifest:
        record = manifest[class_name]
        names |= set(record.get("properties", {}))
        names |= {re.search(r"(\w+)\(", text).group(1) for kind in MEMBERS for text in record.get(kind, [])}
        names |= {name for enum, values in record.get("enums", {}).items() for name in (enum, *values)}
        decorated = [text for texts in dict(record.get("decorators") or {}).values() for text in texts]
        names |= {re.search(r"(\w+)\(", text).group(1) for text in decorated}
        class_name = record.get("base")
    return names


def names_here(cls: type) -> set[str]:
    """The public names that our files give a stand-in."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("slicer_stand_in.")]
    names = {name for base in own for name in vars(base) if not name.startswith("_")}
    return names - {"staticMetaObject"}


def overrides_of_qt(cls: type) -> set[str]:
    """Methods that Qt itself declares, which a stand-in may redefine."""
    qt = [base for base in cls.__mro__ if base.__module__.startswith("PySide6.")]
    return {name for base in qt for name in vars(base)}


def test_every_public_name_of_a_stand_in_is_one_of_slicers(clean_slate: None, manifest: dict[str, Any]) -> None:
    from slicer_stand_in import main_window  # it registers the widgets of the modules beside ours
    from slicer_stand_in.stand_in import registry

    assert main_window.NEIGHBOURS
    invented = {}
    for name, cls in registry.items():
        known = next((base.__name__ for base in cls.__mro__ if base.__name__ in manifest), name)
        extra = names_here(cls) - names_in_slicer(manifest, known) - overrides_of_qt(cls)
        if extra:
            invented[name] = sorted(extra)
    assert invented == {}


@pytest.mark.parametrize("attribute", ["app", "layoutManager", "ioManager", "moduleManager"])
def test_every_public_name_of_the_application_is_one_of_slicers(
    clean_slate: None, manifest: dict[str, Any], attribute: str
) -> None:
    import slicer

    thing = slicer.app if attribute == "app" else getattr(slicer.app, attribute)()
    known = names_in_slicer(manifest, type(thing).__name__) | {"processEvents", "testingEnabled"}
    if attribute == "moduleManager":
        known |= names_in_slicer(manifest, "qSlicerModuleFactoryManager")
    assert names_here(type(thing)) - known - overrides_of_qt(type(thing)) == set()
