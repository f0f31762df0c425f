"""What the Extensions Index and the Extensions Manager read: the checks that run there on a submission, run here."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
from list_cmake_files import ROOT

CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
(ENTRY_FILE,) = (ROOT / "extension-index").iterdir()
ENTRY = json.loads(ENTRY_FILE.read_text(encoding="utf-8"))
SCHEMA = "slicer-extension-catalog-entry-schema-v1.0.2.json"
TEXT = {"type": "string"}
RULES = {
    "type": "object",
    "additionalProperties": False,
    "required": ["$schema", "category", "scm_url"],
    "properties": {
        **dict.fromkeys(("$schema", "category", "scm_url", "scm_revision", "build_subdirectory"), TEXT),
        "dicom_support_rule": TEXT,
        "scm_type": {"enum": ["git", "local"]},
        "build_dependencies": {"type": "array", "items": TEXT},
        "enabled": {"type": "boolean"},
        "tier": {"type": "integer", "minimum": 1, "maximum": 5},
    },
}
"""The rules of SCHEMA, version 1.0.2."""
CATEGORIES = {"Segmentation", "Active Learning", "Cardiac", "Training"}
"""Those of the Index's list that would fit."""
DRAWN = [ROOT / "docs" / "icons" / "ALHVR.svg", *ROOT.glob("*/Resources/Icons/*.svg")]
MEGABYTE = 1 << 20
COMPARE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import render_icon
import numpy as np
from PySide6.QtGui import QImage
render_icon.render(render_icon.SOURCE, Path(sys.argv[2]))
images = [QImage(str(path)) for path in (render_icon.TARGET, sys.argv[2])]
there, drawn = (np.frombuffer(image.constBits(), np.uint8).astype(float) for image in images)
print(images[0].width(), images[0].height(), abs(there - drawn).mean())
"""


def setting(name: str) -> str:
    """What CMakeLists.txt sets, by the expression that the Index looks with: one line, double quotes."""
    (value,) = re.findall(rf'^set\s*\({name}\s*"([^"\n]+)"\)', CMAKE, re.MULTILINE)
    return value


def addresses() -> list[str]:
    return [setting("EXTENSION_ICONURL"), *setting("EXTENSION_SCREENSHOTURLS").split()]


def tracked() -> list[Path]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_the_entry_follows_the_rules_of_its_schema() -> None:
    jsonschema.validate(ENTRY, RULES)
    assert ENTRY["$schema"] == f"https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/{SCHEMA}#"
    assert ENTRY["category"] in CATEGORIES


@pytest.mark.parametrize(
    "change", [{"scmurl": "x"}, {"tier": 6}, {"category": None}, {"build_dependencies": "PyTorch"}], ids=str
)
def test_the_rules_refuse_an_entry_that_breaks_them(change: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**ENTRY, **change}, RULES)


def test_the_entry_file_has_unix_lines_and_the_name_of_the_project() -> None:
    assert b"\r" not in ENTRY_FILE.read_bytes() and ENTRY_FILE.read_bytes().endswith(b"}\n")
    (project,) = re.findall(r"^project\((\w+)\)", CMAKE, re.MULTILINE)
    assert ENTRY_FILE.name == f"{project}.json" and not project.startswith("Slicer")


def test_the_repository_is_called_slicer_and_reached_without_a_login() -> None:
    parts = urlsplit(ENTRY["scm_url"])
    assert parts.scheme == "https" and not parts.username
    assert parts.path.rpartition("/")[2] == f"Slicer{ENTRY_FILE.stem}"


def test_entry_and_cmake_ask_for_the_same_extensions() -> None:
    assert re.findall(r'^set\(EXTENSION_DEPENDS "([^"]*)"\)', CMAKE, re.MULTILINE) == [
        " ".join(ENTRY["build_dependencies"]) or "NA"]


def test_all_addresses_are_of_the_one_repository() -> None:
    owner_and_name = urlsplit(ENTRY["scm_url"]).path
    assert setting("EXTENSION_HOMEPAGE") == ENTRY["scm_url"]
    for address in addresses():
        assert address.startswith(f"https://raw.githubusercontent.com{owner_and_name}/{ENTRY['scm_revision']}/")


@pytest.mark.parametrize("address", addresses(), ids=lambda address: address.rpartition("/")[2])
def test_icon_and_screenshots_are_pictures_that_are_in_git(address: str) -> None:
    path = ROOT / address.split(f"/{ENTRY['scm_revision']}/", 1)[1]
    assert "?" not in address and path.suffix in {".png", ".jpg", ".gif"}
    assert path in tracked(), f"{path} is missing: python docs/take_screenshots.py makes the pictures of the panel"


def test_the_description_is_one_that_a_clinician_understands() -> None:
    text = setting("EXTENSION_DESCRIPTION")
    assert 60 < len(text) < 400 and text.endswith(".")
    assert not re.search(r"semi-supervised|dual|prototype|teacher|ICCV|;", text), "no words of the method, no semicolon"
    assert "not a medical device" in text


def test_the_licence_lies_at_the_top() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_icon_has_the_size_that_slicer_recommends_and_is_its_drawing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", COMPARE, str(ROOT / "docs" / "icons"), str(tmp_path / "icon.png")],
                          capture_output=True, text=True, check=False)
    if "No module named 'PySide6'" in done.stderr:
        pytest.skip("PySide6 is not installed: pip install .[slicer]")
    assert done.returncode == 0, done.stderr
    width, height, difference = map(float, done.stdout.split())
    assert (width, height) == (128, 128)
    assert difference < 1, "ALHVR.png is not its drawing any more: python docs/icons/render_icon.py"


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_a_drawing_uses_only_what_qt_draws(path: Path) -> None:
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}
    assert tags <= {"svg", "g", "path", "rect", "circle", "ellipse", "title"}
    assert "href" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_a_drawing_has_the_colours_of_the_regions(path: Path) -> None:
    code = (ROOT / "ALHVRSegmentation/ALHVRLib/scene/region_colours.py").read_text(encoding="utf-8")
    (table,) = (node.value for node in ast.parse(code).body
                if isinstance(node, ast.Assign) and node.targets[0].id == "REGION_COLOURS")
    for colour in map(ast.literal_eval, table.values):
        assert "#" + bytes(round(255 * part) for part in colour).hex() in path.read_text(encoding="utf-8")


def test_every_module_has_an_icon() -> None:
    folders = [path.parent for path in ROOT.glob("*/CMakeLists.txt")]
    modules = [folder for folder in folders if (folder / f"{folder.name}.py").exists()]
    assert modules
    for module in modules:
        assert (module / "Resources" / "Icons" / f"{module.name}.svg").is_file()


def test_the_repository_is_small_enough() -> None:
    sizes = {path: path.stat().st_size for path in tracked()}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 2 * MEGABYTE} == {}
    history = sum(path.stat().st_size for path in (ROOT / ".git").rglob("*") if path.is_file())
    print(f"files {sum(sizes.values()) / MEGABYTE:.1f} MB, history {history / MEGABYTE:.1f} MB")
    assert sum(sizes.values()) + history < 100 * MEGABYTE
