"""Measures speed and memory, and writes benchmarks/results/speed.json, speed.md and growth.png.

    python benchmarks/speed                  all measurements
    python benchmarks/speed steps gamma      these; the others' results stay as they are
    python benchmarks/speed --list           their names

A measurement is any file beside this one with ``THREADS`` (a child process for each number) and
``measure(setting: Setting) -> Result``. One with ``BY_NAME_ONLY = True`` is left out where no names are given.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from drawing import draw
from records import FILE, Result, Setting, concat_upsampled, from_json, read_all, store
from report import write_report

from alhvr.training import SPINS

HERE = Path(__file__).resolve().parent
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def main() -> int:
    """Runs the children of every measurement that was asked for; exit code 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="measurements; all when left out")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of turns; results need 5 or more")
    parser.add_argument("--list", action="store_true", help="the names of all measurements")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    present = sorted(f.stem for f in HERE.glob("*.py") if "\ndef measure(" in f.read_text(encoding="utf-8"))
    unknown = sorted(set(options.names) - set(present))
    if unknown:
        parser.error(f"no measurement {unknown[0]}; there are: {', '.join(present)}")
    if options.list:
        print("\n".join(present))
        return 0
    if options.into:
        _be_the_child(options)
        return 0
    wanted = options.names or [name for name in present if not getattr(import_module(name), "BY_NAME_ONLY", False)]
    return int(not all([_measure(name, options.rounds) for name in wanted]))


def _measure(name: str, rounds: int) -> bool:
    """One measurement, a child process per number of threads; merges what it finds; False when a child failed."""
    started = time.monotonic()
    results = []
    for threads in import_module(name).THREADS:
        result = _child(name, threads, rounds)
        if result is None:
            return False
        results.append(result)
    about = {"rounds": rounds, "seconds": round(time.monotonic() - started, 1)}
    entries = store(name, concat_upsampled(results), about)
    write_report(entries, draw(entries))
    for f in from_json(read_all(FILE)[name]).findings:
        print(f"{name}: {f.what}, threads {f.threads or '-'}: {f.measured:.4g} {f.unit} {f.verdict} ({f.detail})",
              flush=True)
    return True


def _child(name: str, threads: int, rounds: int) -> Result | None:
    environment = {"GOMP_SPINCOUNT": SPINS, **os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    with tempfile.TemporaryDirectory(prefix="alhvr-speed-") as folder:
        into = Path(folder) / "result.json"
        done = subprocess.run([sys.executable, str(HERE), name, "--threads", str(threads), "--rounds", str(rounds),
                               "--into", str(into)], env=environment, check=False)
        if done.returncode or not into.is_file():
            print(f"{name} with {threads} threads failed (exit code {done.returncode}).", file=sys.stderr)
            return None
        return from_json(json.loads(into.read_text(encoding="utf-8")))


def _be_the_child(options: argparse.Namespace) -> None:
    (name,) = options.names
    work = options.into.parent / "work"
    work.mkdir()
    result = import_module(name).measure(Setting(options.threads, options.rounds, work))
    options.into.write_text(json.dumps(asdict(result)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
