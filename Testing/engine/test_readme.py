"""README and docs keep their word: commands parse, linked files exist, quoted figures are those of the result files."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from support import ROOT

from alhvr.arguments import build_parser

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPT = ROOT / "alhvr.sh"


def snippets(text: str) -> list[str]:
    """Lines of code blocks and pieces of inline code."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [line for block in blocks for line in block.splitlines()] + inline


def commands() -> list[str]:
    """Every complete `alhvr ...` example of the README."""
    return [line for line in snippets(README) if line.startswith("alhvr ")]


def quote() -> object:
    spec = importlib.util.spec_from_file_location("quote_results", ROOT / "benchmarks" / "quote.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_shows_every_command_on_own_data() -> None:
    assert {shlex.split(command)[1] for command in commands()} >= {"train", "segment", "evaluate", "describe"}


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_is_understood(command: str) -> None:
    assert build_parser().parse_args(shlex.split(command)[1:]).command


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", README))))
def test_an_option_named_in_the_readme_exists(option: str) -> None:
    commands = build_parser()._subparsers._group_actions[0].choices.values()
    assert any(option in command._option_string_actions for command in commands)


@pytest.mark.parametrize("word", sorted(set(re.findall(r"\./alhvr\.sh (\w+)", README))))
def test_the_script_knows_its_words(word: str) -> None:
    assert re.search(rf"^    {word}\)", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_script_can_be_run_and_explains_itself() -> None:
    done = subprocess.run([SCRIPT, "help"], capture_output=True, text=True, check=True)
    assert "./alhvr.sh demo" in done.stdout


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "./alhvr.sh test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "./alhvr.sh test" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_links_only_to_what_is_there(page: Path) -> None:
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))]
    assert not [link for link in links if link and "://" not in link and not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_files_that_are_there(page: Path) -> None:
    names = re.findall(r"`((?:alhvr|Testing|benchmarks|docs)/[\w./-]+\.\w+)`", page.read_text(encoding="utf-8"))
    assert not [name for name in names if not (ROOT / name).exists()]


def test_quoted_figures_are_those_of_the_result_files() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert quote().filled(page) == page, "Run: python benchmarks/quote.py"


def test_a_quoted_picture_is_found_from_the_page(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results/new.md").write_text("![seen](new.png) and [far](https://example.org)", encoding="utf-8")
    page = quote().filled("<!-- quote results/new.md -->\n<!-- end of quote -->", tmp_path)
    assert "![seen](../results/new.png) and [far](https://example.org)" in page


def test_quoting_replaces_a_block_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "new.md").write_text("# Title\n\n0.9\n", encoding="utf-8")
    page = "a\n<!-- quote new.md -->\n0.8\n<!-- end of quote -->\nb <!-- quote none.md -->\nx\n<!-- end of quote -->"
    assert quote().filled(page, tmp_path) == page.replace("0.8", "## Title\n\n0.9")
