"""Damaged images of every format are read: no crash, no hang, no traceback, and nothing read wrongly.

    python benchmarks/fuzz_readers.py [--mutations 10000] [--seed 0] [--kinds nifti nrrd ...]

Each mutation changes one small good file: its header (bits, numbers, fields, lines, lengths, names of other files), its
voxels, or its end. What is read must be what an independent reader gives, voxel by voxel and on the same grid:
SimpleITK for NRRD and MetaImage, pydicom for DICOM, the standard's own layout for NIfTI. Results go to
benchmarks/results/fuzz_readers.json and .md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from fuzz_mutations import KINDS, write_good, write_mutation
from fuzz_references import differs, reference

from alhvr.checking.context import RunContext
from alhvr.checking.workers import MemoryBudget, Task, work_through
from alhvr.core.errors import UserError
from alhvr.data.reading import probe, read_label, read_scan
from alhvr.data.scan import Scan

LIMIT_S = 20.0
"""A read of a file of a few kilobytes that takes longer hangs."""
SECRET = b"\xa7" * 4096
"""Content of a file beside the folder, which no scan may hold."""
TELLING = ("has fields that are not read", "has no slice thickness")
"""Words of the warnings that say what of a header was not taken."""
FAULTS = ("crash", "hang", "traceback", "wrong", "outside")


@dataclass(frozen=True)
class Mutation:
    """One damaged file."""

    kind: str
    seed: int


@dataclass(frozen=True)
class Verdict:
    """What became of a mutation."""

    mutation: Mutation
    outcome: str
    """"refused", "same" as the independent reader, "alone" where that refuses it and the scan is that of the good file,
    "warned" where a warning says what was not read, or one of FAULTS."""
    reason: str = ""


def read_one(mutation: Mutation) -> Verdict:
    """In a worker: reads a damaged file in every way that the program reads files."""
    with tempfile.TemporaryDirectory() as folder:
        path = _written(mutation, Path(folder))
        try:
            scan = read_scan(path)
        except UserError as error:
            scan, reason = None, str(error)
        except Exception as error:  # noqa: BLE001  (that is what is looked for)
            return Verdict(mutation, "traceback", f"{type(error).__name__}: {error}"[:300])
        try:
            for other in (probe, read_label):
                _or_refused(other, path)
        except Exception as error:  # noqa: BLE001
            return Verdict(mutation, "traceback", f"{type(error).__name__}: {error}"[:300])
        if scan is None:
            return Verdict(mutation, "refused", reason[:300])
        if SECRET[:64] in scan.array.tobytes():
            return Verdict(mutation, "outside", "the voxels are those of a file in another folder")
        return Verdict(mutation, "read")


def compare_one(mutation: Mutation) -> Verdict:
    """In a worker: reads again what could be read, with the independent reader too, which may crash."""
    with tempfile.TemporaryDirectory() as folder:
        path = _written(mutation, Path(folder))
        scan: Scan = read_scan(path)
        try:
            reason = differs(scan, reference(mutation.kind, path))
        except Exception as error:  # noqa: BLE001  (any library, any reason)
            reason = f"the independent reader refuses it: {type(error).__name__}: {error}".splitlines()[-1][-200:]
            with tempfile.TemporaryDirectory() as other:
                good = read_scan(write_good(mutation.kind, mutation.seed, Path(other)))
            if good.geometry == scan.geometry and np.array_equal(good.array, scan.array):
                return Verdict(mutation, "alone", reason)
    if not reason:
        return Verdict(mutation, "same")
    told = [warning for warning in scan.warnings if any(words in warning for words in TELLING)]
    return Verdict(mutation, "warned" if told else "wrong", told[0] if told else reason)


def fuzz(kinds: Sequence[str], n_mutations: int, seed: int, room: MemoryBudget) -> list[Verdict]:
    """Verdicts on ``n_mutations`` files, evenly over ``kinds``."""
    mutations = [Mutation(kinds[n % len(kinds)], seed + n) for n in range(n_mutations)]
    first = _done(mutations, read_one, room)
    readable = [verdict.mutation for verdict in first if verdict.outcome == "read"]
    compared = {verdict.mutation: verdict for verdict in _done(readable, compare_one, room)}
    return [_alone(compared[verdict.mutation]) if verdict.outcome == "read" else verdict for verdict in first]


def _done(mutations: Sequence[Mutation], make: object, room: MemoryBudget) -> list[Verdict]:
    """The verdicts on all mutations, in their order."""
    found = dict(work_through(mutations, Task(make, lambda _: 0, _lost, lambda _: LIMIT_S), room, RunContext()))
    return [found[index] for index in range(len(mutations))]


def _lost(mutation: Mutation, why: str) -> Verdict:
    return Verdict(mutation, "hang" if "long" in why else "crash", why)


def _alone(verdict: Verdict) -> Verdict:
    """The independent reader's own crash is no fault of ours; what it would say is not known."""
    return Verdict(verdict.mutation, "alone", verdict.reason) if verdict.outcome in ("crash", "hang") else verdict


def _or_refused(read: object, path: Path) -> None:
    try:
        read(path)
    except UserError:
        return


def _written(mutation: Mutation, folder: Path) -> Path:
    """The damaged file in a folder of its own, and beside that folder a file that is none of its business."""
    (folder / "secret.bin").write_bytes(SECRET)
    (folder / "scans").mkdir()
    return write_mutation(mutation.kind, mutation.seed, folder / "scans")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "results")
    options = parser.parse_args()
    began = time.monotonic()
    verdicts = fuzz(options.kinds, options.mutations, options.seed, MemoryBudget(2, None))
    _write(verdicts, options, time.monotonic() - began)
    faults = [verdict for verdict in verdicts if verdict.outcome in FAULTS]
    for verdict in faults[:40]:
        print(f"{verdict.mutation.kind} {verdict.mutation.seed}: {verdict.outcome}: {verdict.reason}")
    sys.exit(1 if faults else 0)


def _write(verdicts: Sequence[Verdict], options: argparse.Namespace, seconds: float) -> None:
    counts = {kind: Counter(v.outcome for v in verdicts if v.mutation.kind == kind) for kind in options.kinds}
    columns = ("refused", "same", "alone", "warned", *FAULTS)
    rows = [f"| {kind} | {' | '.join(str(counts[kind][column]) for column in columns)} |" for kind in counts]
    command = f"python benchmarks/fuzz_readers.py --mutations {options.mutations} --seed {options.seed}"
    options.out.mkdir(exist_ok=True)
    text = f"""# Reading damaged images

{len(verdicts)} mutations of small good files, {seconds:.0f} s. Refused: one line says why. Same: voxels and grid are
those of an independent reader. Alone: the independent reader refuses the file, or crashes, and what is read is as
before the mutation. Warned: a warning says which field was not read.

| format | {" | ".join(columns)} |
|---|{"---|" * len(columns)}
{chr(10).join(rows)}

Command: `{command}`
"""
    (options.out / "fuzz_readers.md").write_text(text, encoding="utf-8")
    found = {"command": command, "seconds": round(seconds), "counts": counts,
             "faults": [asdict(verdict) for verdict in verdicts if verdict.outcome in FAULTS],
             "alone": [asdict(verdict) for verdict in verdicts if verdict.outcome == "alone"][:100]}
    (options.out / "fuzz_readers.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
