"""Accepting: a scan of the archive becomes a labelled case, of which only counts what somebody looked at."""

from __future__ import annotations

import datetime
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.formats.labels import folded
from ALHVRLib.scene.errors import SceneError
from ALHVRTrainerLib.cases.case_store import add_names, change_case, next_name
from ALHVRTrainerLib.cases.scene_pair import IMAGE_ENDING, LABEL_ENDING, write_label, write_scan
from ALHVRTrainerLib.review.record import ACCEPTED, DECLINED, Decision, RankedScan, add_decision, drop_edits

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession
    from ALHVRTrainerLib.review.opened import OpenScan

CHANNEL = re.compile(r"(.+)_0000(\.[^_]+)")
"""Name of the first channel of a scan that has several, as the engine reads them."""
MOST_CHANNELS = 20


def accept(opened: OpenScan, session: ProjectSession, round_number: int) -> Decision:
    """Write scan and label into the cases, and remember it. Raises SceneError with nothing written.

    Structures of which nothing was looked at are not annotated in the case; voxels that nobody looked at have the value
    for that in the label.
    """
    opened.takeEdits()
    _require(opened, session)
    folder, scan = session.folder, opened.scan
    name, annotated, masks = next_name(folder), opened.annotated.annotated(), opened.masks()
    images, label = _images(scan, folder / "cases" / "images", name), folder / "cases" / "labels" / (
        f"{name}{LABEL_ENDING}")
    decision = Decision(scan.case, ACCEPTED, name, round(opened.seconds / 60, 2),
                        opened.annotated.dice(opened.drafts(), masks), _newest_run(session), round_number,
                        scan.atRandom, _today())
    try:
        values = add_names(folder, annotated)
        for image, source in images.items():
            image.parent.mkdir(parents=True, exist_ok=True)
            if source is None:
                write_scan(opened.volume, image)
            else:
                shutil.copyfile(source, image)
        write_label(opened.segmentation, opened.volume, label, {folded(one): values[folded(one)] for one in annotated},
                    openVoxels=opened.annotated.open(masks))
        known = dict.fromkeys((*session.table().names, *masks))
        missing = [one for one in known if folded(one) not in {folded(other) for other in annotated}]
        change_case(folder, name, not_annotated=missing, patient=scan.patient, annotated_on=_today())
        add_decision(session.project, decision)
    except (UserError, OSError, SceneError) as error:
        for path in (*images, label):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        with suppress(UserError, OSError):
            change_case(folder, name, not_annotated=[], patient=None, annotated_on=None)
        text = _("{case} was not added: {why}")
        raise SceneError(text.format(case=scan.case, why=getattr(error, "strerror", None) or error)) from error
    return decision


def decline(scan: RankedScan, session: ProjectSession, round_number: int) -> None:
    """Remember that a scan is not to be labelled, so that it is not offered again. Raises SceneError."""
    decision = Decision(scan.case, DECLINED, run=_newest_run(session), round=round_number, atRandom=scan.atRandom,
                        on=_today())
    try:
        add_decision(session.project, decision)
    except OSError as error:
        text = _("That {case} is not wanted could not be written down: {why}.")
        raise SceneError(text.format(case=scan.case, why=error.strerror or error)) from error
    drop_edits(session.project, scan.case)


def _images(scan: RankedScan, folder: Path, name: str) -> dict[Path, Path | None]:
    """The files of the new case, with what each is a copy of: the channels of a scan that has several.

    None: the scan that is open, written anew, as it may be a folder of slices.
    """
    first = CHANNEL.fullmatch(scan.image.name)
    if first is None or scan.image.is_dir():
        return {folder / f"{name}{IMAGE_ENDING}": None}
    stem, ending = first.groups()
    sources = (scan.image.with_name(f"{stem}_{channel:04d}{ending}") for channel in range(MOST_CHANNELS))
    return {folder / f"{name}{source.name[len(stem):]}": source for source in sources if source.is_file()}


def _require(opened: OpenScan, session: ProjectSession) -> None:
    if session.project is None or session.isReadOnly:
        raise SceneError(session.holderText() or _("There is no project any more."))
    if opened.volume is None or opened.segmentation is None:
        raise SceneError(_("The scan is not in the scene any more: open it again; its edits were kept."))
    if not opened.annotated.annotated():
        raise SceneError(_("Nothing counts as annotated yet: correct a structure, or press This slice is right."))


def _newest_run(session: ProjectSession) -> int:
    run = session.newestRun()
    return 0 if run is None else int(run.name)


def _today() -> str:
    return datetime.date.today().isoformat()
