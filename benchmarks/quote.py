"""Copies benchmark results into docs/results.md, so that no figure there is typed by hand.

    python benchmarks/quote.py            fills every marked block of docs/results.md
    python benchmarks/quote.py --check    changes nothing; exit code 1 when a block differs from its file

A block begins with <!-- quote FILE --> and ends with <!-- end of quote -->. Its text is the file's, with the title one
level below the page's own and links that lead to the same places. A block whose file does not exist stays
as it is.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results.md"
BLOCK = re.compile(r"(?P<begin><!-- quote (?P<file>\S+) -->\n)(?P<text>.*?)(?P<end><!-- end of quote -->)", re.DOTALL)


def filled(text: str, root: Path = ROOT) -> str:
    """``text`` with every marked block replaced by the file that it names, relative to ``root``."""
    return BLOCK.sub(lambda block: _block(block, root), text)


def _block(block: re.Match[str], root: Path) -> str:
    source = root / block["file"]
    if not source.is_file():
        return block[0]
    quoted = re.sub(r"^(#+ )", r"#\1", source.read_text(encoding="utf-8").strip(), flags=re.MULTILINE)
    quoted = re.sub(r"\]\((?!\w+:|#)", f"](../{PurePosixPath(block['file']).parent}/", quoted)
    return f"{block['begin']}{quoted}\n{block['end']}"


def main() -> int:
    """Fills or checks the page; returns the exit code."""
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before)
    if "--check" in sys.argv[1:]:
        print("docs/results.md quotes the results as they are." if before == after else
              "docs/results.md differs from benchmarks/results. Run: python benchmarks/quote.py")
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
