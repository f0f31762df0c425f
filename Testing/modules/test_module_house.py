"""The house of the Slicer modules: light at file scope, of the engine the formats only, small files, arrows one way."""

from __future__ import annotations

import ast
import importlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support import ROOT

MODULE = ROOT / "ALHVRSegmentation"
LIBRARY, SHARED = MODULE / "ALHVRSegmentationLib", MODULE / "ALHVRLib"
TRAINER = ROOT / "ALHVRTrainer"
MODULE_FILES = [MODULE / "ALHVRSegmentation.py", TRAINER / "ALHVRTrainer.py"]
TRAINER_FILES = sorted((TRAINER / "ALHVRTrainerLib").rglob("*.py"))
FILES = [*MODULE_FILES, *sorted(LIBRARY.rglob("*.py")), *sorted(SHARED.rglob("*.py")), *TRAINER_FILES]
AT_FILE_SCOPE = {"slicer", "qt", "ctk", "vtk", "numpy", "ALHVRLib", "ALHVRSegmentationLib", "ALHVRTrainerLib"}
OF_THE_ENGINE = {"alhvr.core.errors", "alhvr.core.files", "alhvr.core.process", "alhvr.core.progress",
                 *(f"alhvr.formats.{path.stem}" for path in (ROOT / "alhvr" / "formats").glob("[!_]*.py"))}
"""What of the engine runs in Slicer's own process; all else of it runs in a child."""
INSIDE_FUNCTIONS = {"SimpleITK", "scipy", "vtkITK", "pydicom", "DICOMLib", "DICOMSegmentationPlugin", "SampleData",
                    "PyTorchUtils"}
"""What Slicer brings and takes long to load, or may be missing."""
HEAVY = {"SimpleITK", "pydicom", "highdicom", "torch", "onnxruntime", "openvino", "scipy", "monai", "matplotlib", "PIL"}
IMPORT_ALL = """
import importlib, json, os, pathlib, sys
from slicer_stand_in.boot import boot
boot(pathlib.Path(sys.argv[1]))
folders = [pathlib.Path(text) for text in sys.argv[2].split(os.pathsep)]
sys.path[:] = [*map(str, folders), *(path for path in sys.path if not pathlib.Path(path, "alhvr").is_dir())]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
before, variables = set(sys.modules), dict(os.environ)
for path in map(pathlib.Path, sys.argv[3:]):
    folder = next(folder for folder in folders if path.is_relative_to(folder))
    importlib.import_module(".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"))
print(json.dumps([sorted(set(sys.modules) - before), [n for n in os.environ if os.environ[n] != variables.get(n)]]))
"""
"""As in Slicer, where the engine's folder is found by the module alone."""
WINDOWS = {"segment", "regions", "models", "export", "sample"}
"""Parts with widgets; the others know none of them."""
MODULE_LINES, FILE_LINES, FUNCTION_LINES = 130, 400, 40


@pytest.fixture(autouse=True)
def clean_slate() -> None:
    """Nothing of Slicer is needed here."""


def imports(tree: ast.AST, *, inside: bool) -> Iterator[str]:
    """Names of the modules imported at file scope or, with `inside`, anywhere else."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and inside == (node not in tree.body):
            yield from [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]


def parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def lines_of(function: ast.FunctionDef) -> int:
    """Lines without the docstring."""
    docstring = function.body[0] if ast.get_docstring(function) else None
    return function.end_lineno - function.lineno + 1 - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


def packages(names: set[str]) -> set[str]:
    """The packages that modules lie in, without what the modules may have of the engine."""
    return {name.partition(".")[0] for name in names - OF_THE_ENGINE}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_loads_nothing_heavy_when_it_is_imported(path: pathlib.Path) -> None:
    assert packages({*imports(parsed(path), inside=False)}) <= AT_FILE_SCOPE | sys.stdlib_module_names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_imports_the_formats_and_no_more_of_the_engine(path: pathlib.Path) -> None:
    tree = parsed(path)
    loaded = packages({name for inside in (False, True) for name in imports(tree, inside=inside)})
    assert loaded <= AT_FILE_SCOPE | INSIDE_FUNCTIONS | sys.stdlib_module_names


def test_the_module_defines_nothing_that_the_formats_define() -> None:
    kinds = (ast.FunctionDef, ast.ClassDef)
    theirs, ours = ({node.name for path in paths for node in parsed(path).body if isinstance(node, kinds)}
                    for paths in (sorted((ROOT / "alhvr" / "formats").glob("*.py")), FILES))
    assert {name for name in ours & theirs if not name.startswith("_")} == set()


@pytest.mark.parametrize(("name", "ours", "theirs"), [
    ("terminology_entry", "ALHVRSegmentationLib.results.result_segments", "alhvr.formats.terminology"),
    ("Label", "ALHVRSegmentationLib.results.import_segmentation", "alhvr.formats.labels"),
    ("parse_manifest", "ALHVRLib.models.copy_model", "alhvr.formats.model_folder"),
    ("open_inside", "ALHVRLib.models.copy_model", "alhvr.formats.model_folder"),
    ("is_safe_name", "ALHVRLib.models.copy_model", "alhvr.formats.model_folder"),
    ("read_summary", "ALHVRLib.models.model_info", "alhvr.formats.model_description"),
    ("LabelSet", "alhvr.formats.model_description", "alhvr.bundle.description"),
    ("NetworkSpec", "alhvr.formats.model_description", "alhvr.bundle.description"),
    ("parse_table", "ALHVRSegmentationLib.regions.result", "alhvr.formats.region_tables"),
    ("GammaCurve", "ALHVRSegmentationLib.regions.result", "alhvr.formats.region_tables"),
    ("write_regions", "ALHVRSegmentationLib.regions.live_update", "alhvr.formats.region_tables"),
    ("REGION_NAMES", "ALHVRLib.scene.region_colours", "alhvr.formats.region_tables"),
    ("nifti_parts", "ALHVRSegmentationLib.export.nifti", "alhvr.export.formats"),
    ("write_gzip", "ALHVRSegmentationLib.export.nifti", "alhvr.export.formats"),
    ("in_words", "ALHVRSegmentationLib.segment.job", "alhvr.inference.summary"),
])  # fmt: skip
def test_engine_and_module_call_one_and_the_same_function(slicer_app: object, name: str, ours: str,
                                                          theirs: str) -> None:
    assert getattr(importlib.import_module(ours), name) is getattr(importlib.import_module(theirs), name)


def test_all_files_of_the_module_load_nothing_heavier_than_numpy_through_the_engine(tmp_path: pathlib.Path) -> None:
    libraries = [path for path in FILES if path not in MODULE_FILES]
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL, tmp_path, f"{MODULE}{os.pathsep}{TRAINER}", *libraries],
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "Testing")},
                          check=False)
    assert done.returncode == 0, done.stderr
    loaded, changed = json.loads(done.stdout.splitlines()[-1])
    own = {name for name in loaded if name.partition(".")[0] == "alhvr"}
    assert "alhvr.formats.labels" in own and not {name.partition(".")[0] for name in loaded} & HEAVY
    assert own <= OF_THE_ENGINE | {"alhvr", "alhvr.config", "alhvr.core", "alhvr.core.streams", "alhvr.formats",
                                   "alhvr.methods", "alhvr.methods.registry", "alhvr.networks",
                                   "alhvr.networks.registry", "alhvr.presets", "alhvr.settings"}
    assert changed == []


@pytest.mark.parametrize("path", sorted(SHARED.rglob("*.py")), ids=lambda path: path.name)
def test_what_modules_share_knows_no_module(path: pathlib.Path) -> None:
    tree = parsed(path)
    loaded = {name.partition(".")[0] for inside in (False, True) for name in imports(tree, inside=inside)}
    assert not loaded & {"ALHVRSegmentationLib", "ALHVRSegmentation", "ALHVRTrainerLib", "ALHVRTrainer", "torch"}
    text = path.read_text(encoding="utf-8")
    assert "ALHVRSegmentation" not in text and "ALHVRTrainer" not in text


@pytest.mark.parametrize("path", TRAINER_FILES, ids=lambda path: path.name)
def test_the_trainer_stands_on_what_modules_share_alone(path: pathlib.Path) -> None:
    tree = parsed(path)
    loaded = {name.partition(".")[0] for inside in (False, True) for name in imports(tree, inside=inside)}
    assert not loaded & {"ALHVRSegmentationLib", "ALHVRSegmentation", "torch"}


@pytest.mark.parametrize("part", ["results", "parameters"])
def test_what_has_no_widgets_knows_nobody_who_has(part: str) -> None:
    files = [LIBRARY / f"{part}.py"] if (LIBRARY / f"{part}.py").exists() else sorted((LIBRARY / part).glob("*.py"))
    known = {name for path in files for name in imports(parsed(path), inside=False)}
    parts = {name.split(".")[1] for name in known if name.startswith("ALHVRSegmentationLib.")}
    assert not parts & WINDOWS


@pytest.mark.parametrize("path", MODULE_FILES, ids=lambda path: path.name)
def test_the_module_file_holds_no_more_than_wiring(path: pathlib.Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_small_and_says_what_it_owns(path: pathlib.Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES
    assert not [node.name for node in functions(tree) if lines_of(node) > FUNCTION_LINES]


def test_nine_functions_in_ten_are_typed() -> None:
    everything = [node for path in FILES for node in functions(parsed(path))]
    typed = [node for node in everything if node.returns is not None and all(
        argument.annotation for argument in (*node.args.args, *node.args.kwonlyargs)
        if argument.arg not in ("self", "cls"))]
    assert len(typed) >= 0.9 * len(everything)


def test_every_method_of_a_class_has_a_sentence_or_is_private() -> None:
    bare = [f"{path.name}: {node.name}.{method.name}" for path in FILES for node in ast.walk(parsed(path))
            if isinstance(node, ast.ClassDef) for method in node.body if isinstance(method, ast.FunctionDef)
            and not method.name.startswith("_") and not ast.get_docstring(method)]
    assert not bare
