"""``alhvr rank``: looks at the archive with a model, chooses what to label next, and writes ranking.json."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.bundle.model import Model, read_model
from alhvr.checking.context import RunContext
from alhvr.checking.examine import examine
from alhvr.checking.facts import CaseFacts
from alhvr.checking.result import CheckResult, case_key
from alhvr.checking.rules.duplicates import patient_of_each
from alhvr.checking.run import CheckOptions, Folders, check
from alhvr.checking.selection import usable_cases
from alhvr.checking.text_report import sentence
from alhvr.config import DataConfig
from alhvr.core.errors import UserError, require
from alhvr.core.files import make_writable, parse_json, read_bytes, shown, write_json, write_refused
from alhvr.core.progress import Reporter
from alhvr.core.signals import StopRequest
from alhvr.data.case_file import read_case_file
from alhvr.data.cases import Case
from alhvr.data.reading import scan_name
from alhvr.formats.project import home_of
from alhvr.ranking.choose import Candidate, Choice, choose
from alhvr.ranking.drafts import Drafts, Hardware, make_drafts
from alhvr.ranking.wishes import usual_volumes, wishes_of

FORMAT = "alhvr ranking 1"
CAUTION = ("It is not shown that labelling in this order is better than drawing scans at random. Every fifth scan is "
           "drawn at random: how good the drafts of these are tells how good the model is.")
MOST_SCANS = 1000
LARGEST_LIST_BYTES = 10_000_000
LABELLED = "labelled already"
DRAFTS = "drafts"


@dataclass(frozen=True)
class RankRequest:
    """What ``alhvr rank`` was asked for."""

    model: Path
    archive: tuple[Path, ...]
    """Folders of scans."""
    out: Path
    """ranking.json; the drafts lie in a folder beside it."""
    known: Path | None = None
    """Labelled cases, which are left out of the ranking: a cases folder, or a text file with the name or the path of a
    scan a line. A folder also tells how large each structure usually is."""
    decisions: Path | None = None
    """What was decided before, a JSON object a line; the scan that each calls "case" is left out. It need not be there.
    """
    count: int = 10
    """Scans to choose."""
    round_number: int = 1
    """1 for the first model; chance matters less from round to round."""
    seed: int = 0
    at_most: int | None = None
    """Look at so many scans only, drawn by the seed; None: at all."""
    device: str = "auto"
    series: tuple[str, ...] = ()
    """Which DICOM series are wanted, one rule each; empty: as cases.json says, else all."""
    precision: str = "auto"
    """auto, fp32, bf16 or fp16; 16 bits count on a GPU only."""
    not_annotated: int = DataConfig.not_annotated
    """Label value of voxels of the known cases that are not annotated."""

    def __post_init__(self) -> None:
        """Checks the ranges; raises UserError."""
        require(1 <= self.count <= MOST_SCANS, "--count", self.count, f"1 to {MOST_SCANS}")
        require(1 <= self.round_number <= MOST_SCANS, "--round", self.round_number, f"1 to {MOST_SCANS}")
        require(self.seed >= 0, "--seed", self.seed, "a whole number of 0 or more")
        require(self.at_most is None or self.at_most >= 1, "--at-most", self.at_most, "1 or more")


@dataclass(frozen=True)
class RankedScan:
    """One scan of the ranking."""

    choice: Choice
    image: Path
    by_structure: dict[str, float]
    """Score by structure, 0 to 1."""
    segmentation: Path | None
    """The model's draft; None where it was taken away."""
    regions: Path | None
    patient: str | None
    """Who it is, as cases.json says it, else a word that is the same for all scans of the patient; None: not known."""


@dataclass(frozen=True)
class Ranking:
    """The scans to label next, the first one first."""

    scans: tuple[RankedScan, ...]
    left_out: dict[str, str]
    """By case, why it is not ranked."""
    images: dict[str, Path]
    """By case, of those that were left out."""
    file: Path

    def table(self) -> str:
        """For people: place, score, reason and scan."""
        rows = [f"{place:>5}  {scan.choice.score:.2f}   {shown(scan.choice.case)}: {shown(scan.choice.reason)}"
                for place, scan in enumerate(self.scans, start=1)]
        return "\n".join(["place  score  scan: reason", *rows, "", CAUTION])


def rank(request: RankRequest, reporter: Reporter) -> Ranking:
    """Segments what is not segmented yet, chooses, and writes ``request.out``.

    A scan that cannot be used is left out with its reason. Raises UserError for a bad model, an archive without any
    scan to rank, and a place that cannot be written; Cancelled on a signal, and the same request goes on then.
    """
    with StopRequest() as stop:
        model = read_model(request.model)
        make_writable(request.out.absolute().parent)
        context = RunContext(reporter, stop)
        pool = _Pool.of(request, context)
        drafts = make_drafts(pool.todo(request), model, request.out.parent / DRAFTS, reporter=reporter,
                             hardware=Hardware(request.device, request.precision), should_stop=stop)
    ranking = _ranked(request, pool, drafts, model)
    try:
        write_json(request.out, _record(request, ranking))
    except OSError as error:
        raise write_refused(error, request.out) from error
    reporter.artifact("ranking", str(request.out))
    return ranking


@dataclass(frozen=True)
class _Pool:
    """The archive as the check saw it."""

    found: CheckResult
    candidates: tuple[CaseFacts, ...]
    left_out: dict[str, str]
    patients: dict[str, str]
    """By case key, a word for who it is."""

    @classmethod
    def of(cls, request: RankRequest, context: RunContext) -> _Pool:
        """Checks the archive and the known cases; raises UserError where there is nothing to rank."""
        is_folder = request.known is not None and request.known.is_dir()
        folders = Folders(request.known if is_folder else None, request.archive)
        found = check(folders, context, CheckOptions(request.not_annotated, series=request.series))
        known = request.known and Path(os.path.abspath(request.known))
        for finding in found.findings:
            if finding.kind == "unusable_folder" and finding.files[0] != known:
                context.reporter.warning(sentence(finding))
        names, contents = _known(request, found, context)
        decided = _decided(request.decisions)
        left_out = {facts.case.name: _reason(facts, names, contents, decided)
                    for facts in found.part("unlabeled")}
        usable = {id(facts) for facts in usable_cases(found).unlabeled}
        left_out |= {facts.case.name: "there twice, or its channels lie apart" for facts in found.part("unlabeled")
                     if not left_out[facts.case.name] and id(facts) not in usable}
        candidates = tuple(facts for facts in found.part("unlabeled") if not left_out[facts.case.name])
        if not candidates:
            reasons = ", ".join(sorted({reason for reason in left_out.values() if reason})) or "no scan was found"
            raise UserError(f"There is no scan of the archive to rank: {reasons}.",
                            "Give the folders of an archive with scans that are not labelled yet.")
        return cls(found, candidates, {name: reason for name, reason in left_out.items() if reason},
                   _patients(found.facts))

    def todo(self, request: RankRequest) -> list[Case]:
        """What to look at."""
        cases = [facts.case for facts in self.candidates]
        if request.at_most is None or request.at_most >= len(cases):
            return cases
        drawn = np.random.default_rng(request.seed).permutation(len(cases))[:request.at_most]
        return [cases[index] for index in sorted(drawn)]


def _known(request: RankRequest, found: CheckResult, context: RunContext) -> tuple[set[str], set[str]]:
    """Names and contents of the scans that are labelled already."""
    facts = [*found.part("labeled"), *found.part("validation")]
    names = {entry.case.name for entry in facts}
    if request.known is not None and request.known.is_dir():
        names |= read_case_file(request.known).cases.keys()
    elif request.known is not None:
        listed = _listed(request.known)
        names |= {scan_name(Path(text)) for text in listed}
        cases = [Case(scan_name(path), path, None) for path in map(Path, listed) if path.exists()]
        facts += examine([("known", case) for case in cases], not_annotated=request.not_annotated, context=context)
    return names, {entry.images[0].content for entry in facts if entry.images}


def _listed(file: Path) -> list[str]:
    """The lines of a text file, relative paths made whole."""
    try:
        text = read_bytes(file, at_most=LARGEST_LIST_BYTES).decode("utf-8-sig", "replace")
    except OSError as error:
        raise UserError(f"The list of known cases {shown(file)} cannot be read: {error.strerror or error}.",
                        "Give a cases folder, or a text file with the name or the path of a scan a line.") from error
    lines = [line.strip() for line in text.splitlines()]
    return [str(file.parent / line) for line in lines if line and not line.startswith("#") and "\0" not in line]


def _decided(file: Path | None) -> set[str]:
    """The cases that a list of decisions names; lines that are no decision are passed over."""
    if file is None or not file.exists():
        return set()
    found = set()
    for line in read_bytes(file, at_most=LARGEST_LIST_BYTES).splitlines():
        with suppress(UserError):
            entry = parse_json(line, file.name)
            case = entry.get("case") if isinstance(entry, dict) else None
            found |= {case} if isinstance(case, str) else set()
    return found


def _reason(facts: CaseFacts, names: set[str], contents: set[str], decided: Container[str]) -> str:
    """Why a scan is no candidate; "" where it is one."""
    if not facts.usable or not facts.images:
        problem = facts.image_problem
        return problem.message if problem else "it cannot be read"
    if facts.case.name in names or facts.images[0].content in contents:
        return LABELLED
    return "decided before" if facts.case.name in decided else ""


def _patients(facts: Sequence[CaseFacts]) -> dict[str, str]:
    """By case key a word for the patient, as far as files or names tell; a digest of a DICOM header is cut short."""
    return {case_key(entry): who if source != "dicom" else who[:12]
            for (source, who), group in patient_of_each(facts).items() for entry in group}


def _ranked(request: RankRequest, pool: _Pool, drafts: Drafts, model: Model) -> Ranking:
    labels = model.description.labels
    annotated = [facts for part in ("labeled", "validation") for facts in pool.found.part(part) if facts.usable]
    names = {label.value: label.name for label in pool.found.labels.labels} if pool.found.labels else {}
    usual = usual_volumes(annotated, names, labels)
    far = {entry.case for entry in pool.found.unlike if entry.how_far > 1}
    known = {facts.case.name: facts for facts in pool.candidates if facts.case.name in drafts.scores}
    wishes = {name: wishes_of(drafts.scores[name], usual, is_unlike=case_key(facts) in far)
              for name, facts in known.items()}
    candidates = [Candidate(name, wishes[name], pool.patients.get(case_key(facts))) for name, facts in known.items()]
    chosen = choose(candidates, labels.names, count=request.count, round_number=request.round_number,
                    seed=request.seed)
    scans = tuple(RankedScan(
        choice, known[choice.case].case.image, {name: wish.score for name, wish in wishes[choice.case].items()},
        _there(drafts.segmentation(choice.case)), _there(drafts.regions(choice.case)),
        pool.patients.get(case_key(known[choice.case]))) for choice in chosen)
    images = {facts.case.name: facts.case.image for facts in pool.found.part("unlabeled")}
    left_out = {**pool.left_out, **drafts.failed}
    return Ranking(scans, left_out, {name: images[name] for name in left_out if name in images}, request.out)


def _there(path: Path) -> Path | None:
    return path if path.exists() else None


def _record(request: RankRequest, ranking: Ranking) -> dict[str, Any]:
    """The plain values of ranking.json: drafts relative to it, model and images whole or relative to their project."""
    folder, home = request.out.absolute().parent, home_of(request.out)

    def relative(path: Path | None) -> str | None:
        return None if path is None else Path(os.path.relpath(path.absolute(), folder)).as_posix()

    def stored(path: Path | None) -> str | None:
        inside = path is not None and home is not None and path.is_relative_to(home)
        return path.relative_to(home).as_posix() if inside else None if path is None else str(path)

    scans = [{"case": scan.choice.case, "image": stored(scan.image), "place": place, "score": scan.choice.score,
              "by_structure": scan.by_structure, "reason": scan.choice.reason,
              "drawn_at_random": scan.choice.at_random, "segmentation": relative(scan.segmentation),
              "regions": relative(scan.regions), "patient": scan.patient}
             for place, scan in enumerate(ranking.scans, start=1)]
    left_out = [{"case": name, "image": stored(ranking.images.get(name)), "reason": reason}
                for name, reason in ranking.left_out.items()]
    return {"format": FORMAT, "model": stored(request.model.absolute()), "round": request.round_number,
            "seed": request.seed, "caution": CAUTION, "scans": scans, "left_out": left_out}
