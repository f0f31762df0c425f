"""The paper's tables, run in a protocol: each row an arm of ours beside the paper's own figures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accuracy.arms import LABELS, Cell, arm_named, cells
from accuracy.protocols import COMMON, Protocol
from accuracy.report import Results, Table, markdown_table, mean_dice, n_patients
from alhvr.methods.registry import METHODS

FILE = Path(__file__).with_name("paper_tables.json")
"""Figures as printed: Lei et al., ICCV 2025; its notes say what is odd about them."""
_KEYS = {1: "table1_region_masking", 2: "table2_acdc", 3: "table3_abdomenct1k", 4: "table4_brats2019",
         5: "table5_module_ablation", 6: "table6_beta"}
TITLES = {1: "Regions kept for cross pseudo labels", 2: "Methods, ACDC", 3: "Methods, AbdomenCT-1K",
          4: "Methods, BraTS 2019", 5: "Modules on and off", 6: "Beta"}
_DATA_SETS = {"acdc": "ACDC", "abdomen": "AbdomenCT-1K", "brats": "BraTS2019"}
_METHODS = {"U-Net": "supervised", "V-Net": "supervised", "MT": "mean-teacher", "CPS": "cps", "MC-Net": "mc-net",
            "MCF": "mcf", "AC-MT": "ac-mt", "UG-MCL": "ug-mcl", "EVIL": "evil", "AAU": "aau", "MLRP": "mlrp",
            "ALHVR (ours)": "paper"}
_MODULES = {(False, False): "none", (True, False): "cg-cpcl", (False, True): "dtct", (True, True): "both"}
_FIGURES = ("Dice", "HD95", "ASD")


@dataclass(frozen=True)
class Line:
    """One row."""

    name: str
    arm: str | None
    """None for a method that this version does not have."""
    paper: Mapping[str, Any]


def lines(number: int, protocol: Protocol, labeled: int) -> list[Line]:
    """The rows of a table in a protocol; those of the paper are of its own data set, or ACDC's where it has none."""
    rows = json.loads(FILE.read_text())[_KEYS[number]]
    known = {row["dataset"] for row in rows}
    data = _DATA_SETS.get(protocol.name.split("-")[0], "")
    shown = data if data in known else "ACDC" if "ACDC" in known else min(known)
    rows = [row for row in rows if row["dataset"] == shown]
    if number in (2, 3, 4):
        rows = _of_one_count(rows, labeled)
    return list(_lines(number, rows))


def _of_one_count(rows: Sequence[Mapping[str, Any]], labeled: int) -> list[Mapping[str, Any]]:
    """Rows of so many labelled patients; of the paper's fewest where it has no such rows."""
    counts = sorted({row["labeled"] for row in rows})
    count = labeled if labeled in counts else counts[0]
    return [row for row in rows if row["labeled"] == count]


def _lines(number: int, rows: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    for row in rows:
        if number == 1:
            kept = "".join(digit for digit in "123" if row[f"region{digit}"])
            yield Line(f"regions {', '.join(kept)}", f"regions-{kept}", row)
        elif number == 5:
            which = _MODULES[row["CG_CPCL"], row["DTCT"]]
            yield Line({"none": "neither module", "both": "both modules"}.get(which, which.upper()), f"modules-{which}",
                       row)
        elif number == 6:
            yield Line(f"beta {row['beta']:g}", f"beta-{row['beta']:g}", row)
        else:
            yield Line(row["method"], _arm_of_method(row["method"]), row)


def _arm_of_method(name: str) -> str | None:
    wanted = _METHODS[name]
    if wanted == "paper" or wanted in METHODS:
        return wanted
    return LABELS if wanted == "supervised" else None


def wanted(number: int, protocol: Protocol, labeled: int, draws: Sequence[int] | None) -> list[Cell]:
    """The runs of a table."""
    arms = [line.arm for line in lines(number, protocol, labeled) if line.arm]
    return cells(protocol, list(dict.fromkeys(arms)), labeled=[labeled], draws=draws)


def table(number: int, results: Results, labeled: int) -> Table:
    """Ours beside the paper's, as far as it has run."""
    rows = []
    for line in lines(number, results.protocol, labeled):
        ours = mean_dice(results, labeled, line.arm) if line.arm else math.nan
        n_draws = len(results.of(labeled, line.arm)) if line.arm else 0
        said = f"{ours:.2f}" if not math.isnan(ours) else "not run yet" if line.arm else "not in this version"
        distance = results.distance(labeled, line.arm, COMMON) if n_draws else ""
        rows.append([line.name, line.arm or "", said, distance, str(n_draws or ""),
                     *(f"{line.paper[figure]:.2f}" if figure in line.paper else "" for figure in _FIGURES)])
    return Table(f"Table {number}: {TITLES[number]}",
                 ("row", "our arm", "our Dice", "our HD95, missed", "draws", *(f"paper's {name}" for name in _FIGURES)),
                 rows)


def text(number: int, results: Results, labeled: int) -> str:
    """The table as Markdown, with what a reader should know."""
    protocol, made = results.protocol, table(number, results, labeled)
    paper = lines(number, protocol, labeled)[0].paper
    arms = [line.arm for line in lines(number, protocol, labeled) if line.arm]
    n = max((n_patients(results, labeled, arm) for arm in arms), default=0)
    told = [f"Ours: {protocol.title}, {labeled} labelled, equal cost of {protocol.budget:,} steps of labels only, mean "
            f"of {n} patients and of the draws. The paper's: {paper['dataset']}, {paper['labeled']} labelled, 30,000 "
            "iterations, single runs, distances in voxels. Another length of training and other patients: compare the "
            "order, not the figures."]
    if number == 5:
        told.append("Neither module is supervised learning in the released code; the paper does not define its row.")
    titles = {arm: arm_named(arm).title for arm in arms}
    told.append("Arms: " + "; ".join(f"{arm}: {title}" for arm, title in titles.items()) + ".")
    return "\n".join([f"# {made.caption}", "", *markdown_table(made), "", *(f"{line}\n" for line in told)])


def curves(number: int, results: Results, labeled: int) -> dict[str, dict[float, float]]:
    """Dice (0 to 1) against beta, ours and the paper's; nothing for the other tables."""
    if number != 6:
        return {}
    ours = {line.paper["beta"]: mean_dice(results, labeled, line.arm) / 100
            for line in lines(number, results.protocol, labeled) if line.arm and results.of(labeled, line.arm)}
    printed = {line.paper["beta"]: line.paper["Dice"] / 100 for line in lines(number, results.protocol, labeled)}
    return {name: points for name, points in (("ours", ours), ("the paper's", printed)) if points}
