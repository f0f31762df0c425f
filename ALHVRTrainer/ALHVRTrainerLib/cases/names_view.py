"""NamesView: names of segments that may mean one structure; each pair is asked about once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.formats.labels import folded
from ALHVRTrainerLib.cases import case_store
from ALHVRTrainerLib.cases.case_table import CASE_FILE, CaseTable, header_names, name_table, read_record

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession

ALIKE = 0.84
"""Names that share so much of their letters may be one, such as "Liver" and "Livr"."""
APART = "names_kept_apart"
"""Entry of project.json: pairs of names that are two structures, as the user said."""
SIDES = ("left", "right", "anterior", "posterior", "upper", "lower", "inner", "outer", "superior", "inferior")


@dataclass(frozen=True)
class Doubt:
    """Two names that may mean one structure."""

    one: str
    other: str
    cases: tuple[tuple[str, ...], tuple[str, ...]]
    """Names of the cases that use each."""
    why: str


class NamesView:
    """Asks about one doubt after the other.

    Args:
        session: the open project.
        ui: has namesFrame, namesLabel, joinButton and apartButton.
        tell: called with a sentence and its kind.
    """

    def __init__(self, session: ProjectSession, ui: Any, tell: Callable[[str, str], None]) -> None:
        self._session, self._ui, self._tell = session, ui, tell
        self._doubt: Doubt | None = None
        self._asked: tuple[object, tuple[Doubt, ...]] = (None, ())

    def setUp(self) -> None:
        """Connect the buttons."""
        self._ui.joinButton.connect("clicked()", self.onJoin)
        self._ui.apartButton.connect("clicked()", self.onApart)

    def refresh(self) -> None:
        """Show the first doubt."""
        session, ui = self._session, self._ui
        doubts = () if session.project is None or session.isReadOnly else self._doubts()
        self._doubt = doubts[0] if doubts else None
        ui.namesFrame.setVisible(self._doubt is not None)
        if self._doubt is None:
            return
        doubt = self._doubt
        ui.namesLabel.text = _('Is "{one}" ({ones}) the same structure as "{other}" ({others})? {why}').format(
            one=doubt.one, other=doubt.other, ones=", ".join(doubt.cases[0]), others=", ".join(doubt.cases[1]),
            why=doubt.why)
        ui.joinButton.text = _('One structure: "{name}"').format(name=doubt.one)

    def onJoin(self, *_arguments: object) -> None:
        """Both names are one structure."""
        doubt = self._doubt
        self._change(lambda: case_store.join_names(self._session.folder, doubt.one, (doubt.one, doubt.other)))

    def onApart(self, *_arguments: object) -> None:
        """They are two, and nobody asks again."""
        doubt, project = self._doubt, self._session.project
        pairs = project.unknown.get(APART)
        pairs = [*(pairs if isinstance(pairs, list) else []), [doubt.one, doubt.other]]

        def keep_apart() -> None:
            case_store.add_names(self._session.folder, (doubt.one, doubt.other))
            self._session.save(unknown={**project.unknown, APART: pairs})

        self._change(keep_apart)

    def _change(self, change: Callable[[], None]) -> None:
        if self._doubt is None:
            return
        try:
            change()
        except (UserError, OSError) as error:
            self._tell(str(error), "error")
        self._session.changed()

    def _doubts(self) -> tuple[Doubt, ...]:
        table, project = self._session.table(), self._session.project
        if self._asked[0] is not table or self._asked[0] is None:
            self._asked = (table, find_doubts(table, project.folder))
        pairs = project.unknown.get(APART)
        apart = {frozenset(map(folded, map(str, pair))) for pair in pairs if isinstance(pair, list)} if isinstance(
            pairs, list) else set()
        return tuple(doubt for doubt in self._asked[1] if frozenset((folded(doubt.one), folded(doubt.other)))
                     not in apart)


def find_doubts(table: CaseTable, folder: Path) -> tuple[Doubt, ...]:
    """Pairs of names that no case has together, and that are alike or stand for one value in the label files."""
    headers = {row.name: header_names(row.label) for row in table.rows}
    users: dict[str, tuple[str, set[str], set[int]]] = {}
    for case, names in headers.items():
        for value, name in names.items():
            entry = users.setdefault(folded(name), (name, set(), set()))
            entry[1].add(case)
            entry[2].add(value)
    joined = _joined(folder)
    found = []
    for (key, (one, ones, values)), (other_key, (other, others, other_values)) in combinations(users.items(), 2):
        if ones & others or joined.get(key, key) == joined.get(other_key, other_key):
            continue
        why = _why(one, other, bool(values & other_values))
        if why:
            first, second = ((one, ones), (other, others)) if len(ones) >= len(others) else ((other, others),
                                                                                           (one, ones))
            found.append(Doubt(first[0], second[0], (_sorted(first[1]), _sorted(second[1])), why))
    return tuple(found)


def _why(one: str, other: str, sameValue: bool) -> str:
    """Why two names may mean one structure; "" where nothing says so."""
    words, others = (set(folded(name).replace("_", " ").replace("-", " ").split()) for name in (one, other))
    digits = ([letter for letter in name if letter.isdigit()] for name in (one, other))
    if (words ^ others) & set(SIDES) or next(digits) != next(digits):
        return ""
    if words == others:
        return _("They have the same words.")
    if SequenceMatcher(None, folded(one), folded(other)).ratio() >= ALIKE:
        return _("The names are much alike.")
    return _("Both have the same value in their label files.") if sameValue and (words & others) else ""


def _joined(folder: Path) -> dict[str, str]:
    """The structure that a folded name is part of."""
    try:
        record = read_record(folder / "cases" / CASE_FILE)
    except (UserError, OSError):
        return {}
    table = name_table({}, (), record)
    return {folded(part): folded(whole) for whole, parts in table.joins.items() for part in parts}


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))[:4]
