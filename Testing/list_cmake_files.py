"""The lists of files in the CMakeLists.txt: compares them with git, and writes them anew.

    python Testing/list_cmake_files.py            tells what is missing or no longer there; exit status 1 then
    python Testing/list_cmake_files.py --write    writes the lists from the files that git knows
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS, RESOURCES = "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"
NOT_INSTALLED = ("CMakeLists.txt", "Testing/")


def built_folders(root: Path = ROOT) -> list[Path]:
    """The folders that the top CMakeLists.txt adds: the engine and the modules."""
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    return [root / name for name in re.findall(r"^add_subdirectory\((\S+)\)", text, re.MULTILINE)]


def listed(folder: Path) -> dict[str, list[str]]:
    """What the CMakeLists.txt of a folder lists, paths relative to the folder, in its order."""
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    name = re.search(r"^set\((?:MODULE|PACKAGE)_NAME (\w+)\)", text, re.MULTILINE)
    found = {}
    for variable in (SCRIPTS, RESOURCES):
        entries = _block(variable).search(text)
        if name is None or entries is None:
            raise ValueError(f"{folder / 'CMakeLists.txt'} has no MODULE_NAME or no {variable}")
        found[variable] = entries[2].replace("${MODULE_NAME}", name[1]).split()
    return found


def present(folder: Path) -> dict[str, list[str]]:
    """What ought to be listed: the files that git knows, or all files where there is no git, sorted."""
    files = sorted(name for name in _files(folder) if not name.startswith(NOT_INSTALLED))
    scripts = [name for name in files if name.endswith(".py") and not name.startswith("Resources/")]
    return {SCRIPTS: scripts, RESOURCES: [name for name in files if name not in scripts]}


def faults(folder: Path) -> list[str]:
    """A line for each file that is listed and not there, there and not listed, or listed twice."""
    lines = []
    for variable, files in present(folder).items():
        entries = listed(folder)[variable]
        place = f"{folder.name}/CMakeLists.txt, {variable}"
        lines += [f"{place} lacks {name}" for name in files if name not in entries]
        lines += [f"{place} has {name}, which git does not know" for name in entries if name not in files]
        lines += [f"{place} has {name} twice" for name in sorted(set(entries)) if entries.count(name) > 1]
    return lines


def installed(folder: Path) -> dict[str, Path]:
    """Where the listed files go, relative to the folder that Slicer installs all modules of the extension into."""
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    prefix = f"{folder.name}/" if "WITH_SUBDIR" in text else ""
    return {prefix + name: folder / name for names in listed(folder).values() for name in names}


def write(folder: Path) -> None:
    """Write the lists of a folder from what is present."""
    path = folder / "CMakeLists.txt"
    text = path.read_text(encoding="utf-8")
    for variable, files in present(folder).items():
        lines = "".join(f"  {name}\n" for name in files)
        text = _block(variable).sub(lambda match, lines=lines: f"{match[1]}\n{lines}  )", text)
    path.write_text(text, encoding="utf-8", newline="\n")


def _block(variable: str) -> re.Pattern[str]:
    return re.compile(rf"^(set\({variable})\b([^)]*)\)", re.MULTILINE)


def _files(folder: Path) -> Iterable[str]:
    """Paths of files relative to a folder, with forward slashes."""
    try:
        done = subprocess.run(["git", "-C", str(folder), "ls-files", "-z"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return [path.relative_to(folder).as_posix() for path in files]
    return [name for name in done.stdout.decode().split("\0") if name and (folder / name).is_file()]


def main(arguments: list[str]) -> int:
    """Compare, or write; returns the exit status."""
    if "--write" in arguments:
        for folder in built_folders():
            write(folder)
    lines = [line for folder in built_folders() for line in faults(folder)]
    print("\n".join(lines) or "The lists are complete.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
