"""The house of docs/architecture.md: which room may know which, what is light to import, and how big things get."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
from support import ROOT

from alhvr.methods.registry import METHODS
from alhvr.networks.registry import NETWORKS

ENGINE = ROOT / "alhvr"
GROUND = {"core", "settings", "config", "presets"}
ROOMS = {
    "networks": set(),
    "ground": {"networks"},
    "pages": {"ground"},
    "formats": {"ground", "networks", "methods"},
    "losses": {"ground"},
    "methods": {"ground", "networks", "losses"},
    "data": {"ground", "formats", "networks"},
    "bundle": {"ground", "formats", "data", "networks"},
    "export": {"ground", "formats", "data"},
    "evaluation": {"ground", "formats", "data", "bundle", "inference"},
    "pacs": {"ground", "data"},
    "checking": {"ground", "pages", "formats", "data"},
    "phantom": {"ground", "formats", "data", "bundle", "export"},
    "inference": {"ground", "formats", "data", "bundle", "export", "networks"},
    "training": {"ground", "formats", "data", "bundle", "export", "networks", "inference", "methods", "evaluation",
                 "checking"},
    "ranking": {"ground", "formats", "data", "bundle", "export", "inference", "checking"},
    "bundle_monai": {"ground", "data", "bundle", "export", "networks", "inference"},
    "comparison": {"ground", "pages", "formats", "data", "bundle", "export", "evaluation", "inference", "checking",
                   "training"},
    "demo": {"ground", "pages", "formats", "data", "phantom", "bundle", "export", "inference", "evaluation",
             "training"},
    "arguments": {"ground", "formats", "networks", "methods"},
    "project_options": {"ground", "formats"},
    "api": {"ground", "formats", "data", "evaluation", "inference", "checking", "training"},
    "cli": {"ground", "networks", "methods", "bundle", "evaluation", "inference", "checking", "training", "demo",
            "pacs", "phantom", "ranking", "comparison", "arguments", "project_options", "formats", "data"},
}
"""Each room, and the rooms that it may import from."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IF_PRESENT = {"openvino"}
"""Used where it is installed, asked for by nobody."""
BEHIND_TORCH = {"onnx"}
"""torch.onnx needs it; no file imports it itself."""
PACKAGES = {"PIL": "pillow", "dicomweb_client": "dicomweb-client"}
"""Packages that are called otherwise than what is imported."""
LIGHT_ROOMS = {"ground", "pages", "formats", "data", "bundle", "export", "evaluation", "inference", "checking",
               "ranking", "cli"}
TRAINING_FILES = {"alhvr.data.augment", "alhvr.data.batches", "alhvr.data.h5_file",
                  "alhvr.inference.torch_backend"}
"""The files of light rooms that only training, the demo or a GPU needs."""
BACKENDS = {"alhvr.inference.onnx_backend", "alhvr.inference.openvino_backend"}
"""Each is imported when it was chosen."""
STARTUP = {"numpy", "SimpleITK"}
"""What every segmentation loads; other libraries of the light install wait until they are needed."""
WITH_WEIGHTS = {"alhvr.bundle.model", "alhvr.core.torch_file"}
"""They read and write PyTorch's weights, and import it in those functions."""
IN_SLICER = {"alhvr.core.errors", "alhvr.core.files", "alhvr.core.process", "alhvr.core.progress", "alhvr.core.streams",
             "alhvr.config", "alhvr.presets", "alhvr.methods.registry", "alhvr.networks.registry", "alhvr.settings",
             *(f"alhvr.formats.{path.stem}" for path in (ENGINE / "formats").glob("[!_]*.py"))}
"""What the modules may load into 3D Slicer's own process, and what that needs: the standard library and numpy."""
MATHS_ONLY = {"__future__", "abc", "alhvr", "collections", "contextlib", "copy", "dataclasses", "functools",
              "importlib", "io", "itertools", "math", "numpy", "re", "torch", "types", "typing", "warnings"}
BACKBONES = {"alhvr.networks.dynunet -> monai.networks.nets"}
"""Networks that are a library's own."""


@cache
def files() -> dict[str, Path]:
    """Every file of the engine by its module name."""
    paths = sorted(ENGINE.rglob("*.py"))
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(files()[module].read_text(encoding="utf-8"))


def room(module: str) -> str:
    """The room that a module lies in; "" for the package itself and its entry."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return ""
    name = parts[1]
    if name in GROUND:
        return "ground"
    return name


@cache
def imports(module: str, *, at_file_scope: bool = False) -> frozenset[str]:
    """Names of the modules that ``module`` imports; what only a type checker reads is no import."""
    return frozenset(_imports(module, at_file_scope))


def _imports(module: str, at_file_scope: bool) -> Iterator[str]:
    for node in _walk(tree(module), into_functions=not at_file_scope):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in files() else node.module


def _walk(node: ast.AST, *, into_functions: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and not into_functions:
            continue
        yield child
        yield from _walk(child, into_functions=into_functions)


def own_imports(module: str, *, at_file_scope: bool = False) -> set[str]:
    return {name for name in imports(module, at_file_scope=at_file_scope) if name.split(".")[0] == "alhvr"}


def listed(*extras: str) -> set[str]:
    """Libraries that pyproject.toml asks for, for segmenting and for the extras."""
    wanted = [*PROJECT["dependencies"], *chain.from_iterable(PROJECT["optional-dependencies"][e] for e in extras)]
    return {re.split("[<>=]", entry)[0] for entry in wanted}


def libraries(module: str, *, at_file_scope: bool = False) -> set[str]:
    roots = {name.split(".")[0] for name in imports(module, at_file_scope=at_file_scope)}
    return {PACKAGES.get(root, root) for root in roots - sys.stdlib_module_names - {"alhvr"}}


def light_files() -> list[str]:
    """The files that segmenting, scoring and describing may load."""
    return [m for m in files() if room(m) in LIGHT_ROOMS and m not in TRAINING_FILES | BACKENDS]


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)


def functions(module: str) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef))


def lines_of(function: ast.FunctionDef) -> int:
    """Lines without the docstring."""
    docstring = function.body[0] if ast.get_docstring(function) else None
    return function.end_lineno - function.lineno + 1 - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


def test_every_file_lies_in_a_known_room() -> None:
    assert {room(module) for module in files()} - {""} == set(ROOMS)


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_from_rooms_it_may_know(name: str) -> None:
    allowed = ROOMS[name] | {name, ""}
    broken = {f"{module} -> {seen}" for module in files() if room(module) == name
              for seen in own_imports(module) if room(seen) not in allowed}
    assert not broken


def test_the_rooms_themselves_form_no_ring() -> None:
    above: set[str] = set()
    while len(above) < len(ROOMS):
        ready = {name for name, below in ROOMS.items() if name not in above and below <= above}
        assert ready, f"in a ring: {set(ROOMS) - above}"
        above |= ready


def test_no_file_imports_itself_by_a_detour() -> None:
    waiting = {module: own_imports(module) & files().keys() - {module} for module in files()}
    while waiting:
        free = {module for module, needs in waiting.items() if not needs & waiting.keys()}
        assert free, f"in a ring: {sorted(waiting)}"
        waiting = {module: needs for module, needs in waiting.items() if module not in free}


def test_only_the_entry_knows_the_command_line() -> None:
    assert [module for module in files() if "alhvr.cli" in own_imports(module)] == ["alhvr.__main__"]


@pytest.mark.parametrize("forbidden", ["slicer", "qt", "ctk", "vtk"])
def test_the_engine_knows_nothing_of_slicer(forbidden: str) -> None:
    assert not [module for module in files() for seen in imports(module) if seen.split(".")[0] == forbidden]


def test_what_trains_compares_and_segments_reads_scans_in_a_process_that_may_crash() -> None:
    unguarded = [f"{module}:{node.lineno}" for module in files()
                 if room(module) in {"training", "comparison", "inference", "ranking"}
                 for node in ast.walk(tree(module)) if isinstance(node, ast.Call)
                 and getattr(node.func, "id", "") in {"read_case", "load_case", "read_scan"}
                 and "read" not in {keyword.arg for keyword in node.keywords}]
    assert unguarded == []


def test_every_library_is_listed_in_pyproject_and_every_listed_one_is_used() -> None:
    used = set().union(*(libraries(module) for module in files()))
    assert used | BEHIND_TORCH == listed("train", "pacs") | IF_PRESENT


def test_what_segments_imports_no_library_of_training() -> None:
    training = listed("train") - listed()
    broken = {f"{module} -> {name}" for module in [*light_files(), *BACKENDS] if module not in WITH_WEIGHTS
              for name in libraries(module) & training}
    assert not broken
    assert set().union(*(libraries(module) & training for module in WITH_WEIGHTS)) == {"torch"}


def test_networks_losses_and_methods_know_tensors_and_nothing_else() -> None:
    seen = {f"{module} -> {name}" for module in files() if room(module) in {"networks", "losses", "methods"}
            for name in imports(module) if name.split(".")[0] not in MATHS_ONLY}
    assert seen == BACKBONES


def test_nobody_but_its_registry_knows_a_method_or_a_network() -> None:
    kinds = {spec.source.partition(":")[0] for spec in (*METHODS.values(), *NETWORKS.values())}
    knowing = {f"{module} -> {name}" for module in files() for name in own_imports(module) if name in kinds}
    built_on = "alhvr.methods.mean_teacher"
    assert len(kinds) == len({*METHODS, *NETWORKS}) - 1  # one file for both kinds of labels only
    assert knowing == {f"alhvr.methods.{name} -> {built_on}" for name in ("aau", "ac_mt", "ug_mcl")}
    named = {f"{module}: {node.value}" for module in files() if room(module) != "networks"
             for node in ast.walk(tree(module)) if isinstance(node, ast.Constant) and node.value in {*NETWORKS}}
    assert named == {"alhvr.presets: unet", "alhvr.presets: vnet"}


def test_the_loss_is_summed_in_one_file() -> None:
    assert set(own_imports("alhvr.methods.alhvr")) > {"alhvr.losses.prototypes", "alhvr.losses.competition"}
    assert {room(m) for m in files() for name in own_imports(m) if room(name) == "losses"} == {"losses", "methods"}


def test_own_modules_are_imported_at_file_scope_except_by_the_command_line() -> None:
    hidden = {f"{module} -> {name}" for module in files() if room(module) not in {"api", "cli"}
              for name in own_imports(module) - own_imports(module, at_file_scope=True)}
    assert hidden <= {"alhvr.inference.backends -> alhvr.inference.torch_backend"}


def test_what_is_loaded_into_slicer_needs_the_standard_library_and_numpy_and_nothing_else() -> None:
    for module in IN_SLICER:
        assert own_imports(module) <= IN_SLICER | {"alhvr.core"}, module
        assert libraries(module, at_file_scope=True) <= {"numpy"}, module
    assert {name for module in files() if room(module) == "formats" for name in libraries(module)} == {"numpy"}
    assert {name for module in IN_SLICER for name in libraries(module)} <= {"numpy", "tqdm"}


def test_what_segments_loads_few_libraries_before_it_needs_more() -> None:
    late = (listed("train") | IF_PRESENT) - STARTUP
    done = run(f"import importlib, sys\nfor name in {light_files()}:\n    importlib.import_module(name)\n"
               f"    found = {late} & set(sys.modules)\n    assert not found, (name, found)\n")
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]


def test_every_file_says_first_what_it_owns() -> None:
    assert not [module for module in files() if not (ast.get_docstring(tree(module)) or "").strip()]


def test_files_functions_and_classes_stay_small() -> None:
    sizes = [len(path.read_text(encoding="utf-8").splitlines()) for path in files().values()]
    assert max(sizes) <= 400
    assert not [(m, f.name) for m in files() for f in functions(m) if lines_of(f) > 40]
    methods = {f"{m}.{c.name}": sum(isinstance(x, ast.FunctionDef) and not x.name.startswith("__") for x in c.body)
               for m in files() for c in ast.walk(tree(m)) if isinstance(c, ast.ClassDef)}
    assert not [name for name, count in methods.items() if count > 15]
