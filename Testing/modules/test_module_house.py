"""The house of the Slicer modules: light at file scope, the engine only as a child, small files, arrows one way."""

from __future__ import annotations

import ast
import pathlib
import sys
from collections.abc import Iterator

import pytest
from support import ROOT

MODULE = ROOT / "ALHVRSegmentation"
LIBRARY, SHARED = MODULE / "ALHVRSegmentationLib", MODULE / "ALHVRLib"
FILES = [MODULE / "ALHVRSegmentation.py", *sorted(LIBRARY.rglob("*.py")), *sorted(SHARED.rglob("*.py"))]
AT_FILE_SCOPE = {"slicer", "qt", "ctk", "vtk", "numpy", "ALHVRLib", "ALHVRSegmentationLib"}
INSIDE_FUNCTIONS = {"SimpleITK", "scipy", "vtkITK", "pydicom", "DICOMLib", "DICOMSegmentationPlugin", "SampleData",
                    "PyTorchUtils"}
"""What Slicer brings and takes long to load, or may be missing."""
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_loads_nothing_heavy_when_it_is_imported(path: pathlib.Path) -> None:
    loaded = {name.partition(".")[0] for name in imports(parsed(path), inside=False)}
    assert loaded <= AT_FILE_SCOPE | sys.stdlib_module_names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_of_the_module_imports_the_engine(path: pathlib.Path) -> None:
    tree = parsed(path)
    loaded = {name.partition(".")[0] for inside in (False, True) for name in imports(tree, inside=inside)}
    assert loaded <= AT_FILE_SCOPE | INSIDE_FUNCTIONS | sys.stdlib_module_names


@pytest.mark.parametrize("path", sorted(SHARED.rglob("*.py")), ids=lambda path: path.name)
def test_what_modules_share_knows_no_module_and_no_engine(path: pathlib.Path) -> None:
    tree = parsed(path)
    loaded = {name.partition(".")[0] for inside in (False, True) for name in imports(tree, inside=inside)}
    assert not loaded & {"ALHVRSegmentationLib", "ALHVRSegmentation", "alhvr", "torch"}
    assert "ALHVRSegmentation" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("part", ["results", "parameters"])
def test_what_has_no_widgets_knows_nobody_who_has(part: str) -> None:
    files = [LIBRARY / f"{part}.py"] if (LIBRARY / f"{part}.py").exists() else sorted((LIBRARY / part).glob("*.py"))
    known = {name for path in files for name in imports(parsed(path), inside=False)}
    parts = {name.split(".")[1] for name in known if name.startswith("ALHVRSegmentationLib.")}
    assert not parts & WINDOWS


def test_the_module_file_holds_no_more_than_wiring() -> None:
    assert len(FILES[0].read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


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
