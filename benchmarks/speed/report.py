"""The results as speed.md: a table per point of what was to be shown, with target, figure and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from records import RESULTS, Finding, from_json

POINTS = {
    1: "A training step against its two networks",
    2: "The losses against the direct way",
    3: "The threshold gamma against a sorted top-k",
    4: "Segmenting against the networks alone",
    5: "Memory",
    7: "How it grows",
}
"""Point 6, that the speed costs no accuracy, is for ``python -m benchmarks accuracy``, arms standard and plain."""

HEAD = """# Speed and memory

What is compared ran alternately in one process ({rounds} rounds or more after a warm-up); a ratio is the median over
the rounds of each round's own ratio. With one thread it is a ratio of processor time, which counts background work but
not the neighbours on the machine; with two threads, of time on the clock. Each number of threads ran in a process of
its own.

Command: `python benchmarks/speed`, or with the names below for single measurements. That the speed costs no accuracy
is measured by `python -m benchmarks accuracy run PROTOCOL --arms labels standard plain`.
"""


def write_report(entries: Mapping[str, Any], pictures: list[str], file: Path = RESULTS / "speed.md") -> str:
    """Writes speed.md from all entries of speed.json, with ``pictures`` (file names beside it); returns it."""
    results = {name: from_json(entries[name]) for name in sorted(entries)}
    parts = [HEAD.format(rounds=min((e.get("rounds", 5) for e in entries.values()), default=5))]
    for point, title in POINTS.items():
        found = [f for r in results.values() for f in r.findings if f.point == point]
        if not found:
            continue
        parts.append(f"## {point}. {title}\n\n{_table(found)}")
        names = [name for name, r in results.items() if any(f.point == point for f in r.findings)]
        parts += [f"{remark}\n" for name in names for remark in results[name].remarks]
        parts += [f"![How seconds and memory grow]({picture})\n" for picture in pictures] if point == 7 else []
    parts.append("## Measured\n\n" + _origin(entries))
    text = "\n".join(parts)
    file.write_text(text, encoding="utf-8")
    return text


def _table(found: list[Finding]) -> str:
    rows = ["| what | threads | target | bound | measured | verdict | details |", "|---|---|---|---|---|---|---|"]
    for f in found:
        sign = "≥" if f.at_least else "≤"
        wanted, accepted = ("" if v is None else f"{sign} {_value(v, f.unit)}" for v in (f.target, f.bound))
        rows.append(f"| {f.what} | {f.threads or ''} | {wanted} | {accepted} | {_value(f.measured, f.unit)} "
                    f"| {f.verdict} | {f.detail} |")
    return "\n".join(rows) + "\n"


def _value(value: float, unit: str) -> str:
    """Three digits; ratios near one with three decimals."""
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if unit == "x":
        return f"{value:.3f}x" if value < 2 else f"{number}x"
    return f"{number} {unit}"


def _origin(entries: Mapping[str, Any]) -> str:
    """Which measurement was made when and where."""
    rows = ["| measurement | seconds | machine |", "|---|---|---|"]
    for name, entry in sorted(entries.items()):
        about = ", ".join(f"{key} {value}" for key, value in entry["machine"].items())
        rows.append(f"| {name} | {entry.get('seconds', 0):.0f} | {about} |")
    return "\n".join(rows) + "\n"
