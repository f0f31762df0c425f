"""The lists in the CMakeLists.txt: what is not listed there is missing for all who install the extension."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from list_cmake_files import ROOT, built_folders, faults, installed, write

FOLDERS = built_folders()
CMAKE = """
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/nothing.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/nothing.cmake")
"""
USE_SLICER = """
function(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT" "" ${ARGN})
  message(STATUS "in-application test ${MY_SCRIPT}")
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT})
    message(FATAL_ERROR "no ${MY_SCRIPT}")
  endif()
endfunction()
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS;WITH_SUBDIR" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  set(prefix "")
  if(MY_WITH_SUBDIR)
    get_filename_component(prefix ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  endif()
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    get_filename_component(folder "${prefix}/${file}" DIRECTORY)
    install(FILES ${file} DESTINATION "./${folder}")
  endforeach()
endfunction()
"""
"""Our own small version of the macros, which does what those of Slicer do to the files: all into one folder."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_is_listed_and_every_listed_file_is_in_git(folder: Path) -> None:
    lines = faults(folder)
    assert not lines, "\n".join([*lines, "To fix: python Testing/list_cmake_files.py --write"])


def test_files_that_are_missing_and_files_that_are_gone_are_told_by_name(tmp_path: Path) -> None:
    text = "set(MODULE_NAME M)\nset(MODULE_PYTHON_SCRIPTS\n  ${MODULE_NAME}.py\n  old.py\n  )\n"
    (tmp_path / "CMakeLists.txt").write_text(text + "set(MODULE_PYTHON_RESOURCES\n  )\n")
    (tmp_path / "M.py").touch()
    (tmp_path / "new.py").touch()
    assert [line.partition(", ")[2] for line in faults(tmp_path)] == [
        "MODULE_PYTHON_SCRIPTS lacks new.py", "MODULE_PYTHON_SCRIPTS has old.py, which git does not know"]
    write(tmp_path)
    assert not faults(tmp_path)


def test_the_engine_and_every_module_are_built() -> None:
    modules = {path.parent for path in ROOT.glob("*/CMakeLists.txt")
               if "slicerMacroBuildScriptedModule(" in path.read_text(encoding="utf-8")}
    assert modules == set(FOLDERS) and ROOT / "alhvr" in modules


def test_no_file_of_one_module_lands_on_that_of_another() -> None:
    places = [place.casefold() for folder in FOLDERS for place in installed(folder)]
    assert sorted(place for place in set(places) if places.count(place) > 1) == []


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f.name != "alhvr"], ids=lambda folder: folder.name)
def test_resources_are_called_after_their_module_or_product(folder: Path) -> None:
    names = [Path(place).name for place in installed(folder) if place.startswith("Resources/")]
    assert [name for name in names if not name.startswith("ALHVR")] == []


def test_the_folder_that_slicer_puts_on_sys_path_holds_names_of_ours_only() -> None:
    tops = {place.partition("/")[0] for folder in FOLDERS for place in installed(folder)}
    assert {top for top in tops if not top.casefold().startswith("alhvr")} <= {"Resources"}


def test_the_tests_for_inside_slicer_are_registered() -> None:
    for folder in (f for f in FOLDERS if (f / "Testing").is_dir()):
        text = (folder / "Testing" / "Python" / "CMakeLists.txt").read_text(encoding="utf-8")
        named = {name.replace("${MODULE_NAME}", folder.name) for name in re.findall(r"SCRIPT (\S+)\)", text)}
        assert named == {path.name for path in (folder / "Testing" / "Python").glob("*.py")}
        assert "WITH_GENERIC_TESTS" in (folder / "CMakeLists.txt").read_text(encoding="utf-8")


def test_cmake_takes_the_lists_and_installs_exactly_them(tmp_path: Path) -> None:
    tools = {name: shutil.which(name) for name in ("cmake", "cc", "c++", "make")}
    if not all(tools.values()):
        pytest.skip(f"not installed: {', '.join(name for name, path in tools.items() if path is None)}")
    stand_in = tmp_path / "slicer"
    stand_in.mkdir()
    (stand_in / "SlicerConfig.cmake").write_text(CMAKE)
    (stand_in / "UseSlicer.cmake").write_text(USE_SLICER)
    (stand_in / "nothing.cmake").touch()
    options = [f"-DSlicer_DIR={stand_in}", "-DBUILD_TESTING=ON", f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'installed'}",
               "-G", "Unix Makefiles", "-DCMAKE_C_COMPILER_WORKS=1", "-DCMAKE_CXX_COMPILER_WORKS=1"]
    for step in ([*options, "-S", str(ROOT), "-B", str(tmp_path / "build")], ["--install", str(tmp_path / "build")]):
        done = subprocess.run([tools["cmake"], *step], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    found = {path.relative_to(tmp_path / "installed").as_posix()
             for path in (tmp_path / "installed").rglob("*") if path.is_file()}
    assert found == {place for folder in FOLDERS for place in installed(folder)}


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the lists install, and nothing else; its engine has a version of its own."""
    target = tmp_path_factory.mktemp("qt-scripted-modules")
    for folder in FOLDERS:
        for place, source in installed(folder).items():
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / place)
    with (target / "alhvr" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write('\n__version__ = "as installed"\n')
    return target


def run_child(extension: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the child process of the installed extension as the panel does."""
    script = extension / "Resources" / "Scripts" / "ALHVRChild.py"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False,
                          cwd=extension.parent, env={**environment, "ALHVR_ENGINE": str(extension)})


def test_the_child_finds_the_engine_that_is_installed_beside_it(extension: Path) -> None:
    done = run_child(extension, "--version")
    assert done.returncode == 0 and "alhvr as installed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("below", ["", "ALHVRSegmentation"], ids=["installed", "source tree"])
def test_the_child_runs_pip_where_no_engine_can_be_imported(extension: Path, tmp_path: Path, below: str) -> None:
    for name in (Path("Resources", "Scripts", "ALHVRChild.py"), Path("alhvr", "core", "process.py")):
        place = tmp_path / ("" if name.parts[0] == "alhvr" else below) / name
        place.parent.mkdir(parents=True)
        shutil.copyfile(extension / name, place)
    (tmp_path / "alhvr" / "__init__.py").write_text("raise ImportError")
    done = run_child(tmp_path / below, "--pip", "--version")
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0 and "pip " in done.stdout, done.stderr
    assert lines[0]["event"] == "child" and lines[0]["start"].isdigit() == sys.platform.startswith("linux")


def test_the_installed_engine_says_what_is_wrong_with_a_model_folder(extension: Path, tmp_path: Path) -> None:
    done = run_child(extension, "describe", str(tmp_path))
    assert done.returncode == 2 and "alhvr: " in done.stderr and "Traceback" not in done.stderr, done


def test_the_installed_engine_has_its_data_files_too(extension: Path, tmp_path: Path) -> None:
    done = run_child(extension, "sample", "--out", str(tmp_path / "sample"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sample" / "model" / "alhvr.json").is_file()
    described = run_child(extension, "describe", str(tmp_path / "sample" / "model"))
    assert described.returncode == 0 and "liver" in described.stdout, described.stderr
