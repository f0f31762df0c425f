"""FindingsView: what the check found, worst first, each with the buttons that go to its case or mend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import qt
from slicer.i18n import tr as _

from ALHVRLib.section import keep_in_panel
from ALHVRTrainerLib.check_report import Finding

FEW = 12
"""So many findings are shown at first."""
MOST = 200
ICON_PX = 18
ICONS = {"fault": "SP_MessageBoxCritical", "warning": "SP_MessageBoxWarning", "note": "SP_MessageBoxInformation"}
WORDS = {"fault": _("Stops training"), "warning": _("Goes on"), "note": _("Good to know")}
MOST_NAMED = 3
"""Cases that get a button each."""
SPOILT = {"unreadable_image", "unreadable_label", "constant_image", "not_finite", "label_on_another_grid",
          "empty_label", "nothing_annotated", "missing_channel", "channels_apart", "intensity_scale", "swapped_sides",
          "scan_twice", "label_twice", "unknown_label_value", "odd_file", "moved_structure"}
"""Kinds that go away when the case is left out."""
NAMES = {"names_differ", "unusable_names", "labels_mapped"}
ARCHIVE = {"archive_unlike", "no_archive", "left_out_of_folder"}


@dataclass(frozen=True)
class Remedy:
    """A button of a finding."""

    kind: str
    """open, leave out, not annotated, annotated or show cases."""
    text: str
    cases: tuple[str, ...] = ()
    """Names of labelled cases."""
    structures: tuple[str, ...] = ()


def remedies(found: Finding) -> tuple[Remedy, ...]:
    """What can be done about a finding by a button."""
    names = found.labeledNames
    buttons = []
    if found.kind == "declared_but_present" and found.structures:
        buttons.append(Remedy("annotated", _("It is annotated"), names, found.structures))
    if found.kind == "absent_structure" and found.structures:
        text = _("Mark {names} not annotated there").format(names=", ".join(found.structures))
        buttons.append(Remedy("not annotated", text, names, found.structures))
    buttons += [Remedy("open", _("Open {case}").format(case=name), (name,)) for name in names[:MOST_NAMED]]
    if found.kind in SPOILT and names:
        text = _("Leave out {case}").format(case=names[0]) if len(names) == 1 else _("Leave them out")
        if found.kind in ("scan_twice", "label_twice"):
            buttons.append(Remedy("leave out", _("Leave out {case}").format(case=names[-1]), names[-1:]))
        else:
            buttons.append(Remedy("leave out", text, names))
    if found.kind in NAMES | ARCHIVE:
        buttons.append(Remedy("show cases", _("Show the cases"), names))
    return tuple(buttons)


class FindingsView:
    """A row for each finding in a plain widget.

    Args:
        widget: gets the rows.
        moreButton: shows all of them.
        onRemedy: called with the Remedy whose button was pressed.
    """

    def __init__(self, widget: qt.QWidget, moreButton: qt.QPushButton, onRemedy: Callable[[Remedy], None]) -> None:
        self._widget, self._more, self._onRemedy = widget, moreButton, onRemedy
        self._rows: list[qt.QFrame] = []
        self._kept: list[object] = []
        self._shown: tuple[object, ...] = ()
        self._all = False
        moreButton.connect("clicked()", self.onMore)
        self._findings: tuple[Finding, ...] = ()

    def show(self, findings: Sequence[Finding], canFix: bool) -> None:
        """Show findings, the worst first; nothing happens where they are shown already."""
        shown = (tuple(findings), canFix, self._all)
        if shown == self._shown:
            return
        if tuple(findings) != self._findings:
            self._all = False
            shown = (*shown[:2], False)
        self._shown, self._findings = shown, tuple(findings)
        self._fill(canFix)

    def onMore(self, *_arguments: object) -> None:
        """Show all."""
        self._all = True
        canFix = bool(self._shown[1]) if self._shown else False
        self._shown = (self._findings, canFix, True)
        self._fill(canFix)

    def _fill(self, canFix: bool) -> None:
        layout = self._widget.layout()
        for row in self._rows:
            layout.removeWidget(row)
            row.deleteLater()
        wanted = self._findings[: MOST if self._all else FEW]
        self._rows = [self._row(found, canFix) for found in wanted]
        for row in self._rows:
            layout.addWidget(row)
        self._kept = [keep_in_panel(row) for row in self._rows]
        left = len(self._findings) - len(wanted)
        self._more.setVisible(left > 0 and not self._all)
        self._more.text = _("Show {n} more").format(n=left)

    def _row(self, found: Finding, canFix: bool) -> qt.QFrame:
        row = qt.QFrame()
        row.setFrameShape(qt.QFrame.StyledPanel)
        layout = qt.QGridLayout(row)
        layout.setContentsMargins(4, 4, 4, 4)
        for column in (1, 2):
            layout.setColumnStretch(column, 1)
        icon = qt.QLabel()
        style = self._widget.style()
        icon.setPixmap(style.standardIcon(getattr(qt.QStyle, ICONS[found.severity])).pixmap(ICON_PX, ICON_PX))
        icon.setToolTip(WORDS[found.severity])
        text = qt.QLabel(f"{WORDS[found.severity]}: {found.seen} {found.remedy}")
        text.setTextFormat(qt.Qt.PlainText)
        text.setWordWrap(True)
        text.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
        layout.addWidget(icon, 0, 0)
        layout.addWidget(text, 0, 1, 1, 2)
        for at, remedy in enumerate(remedies(found)):
            button = qt.QPushButton(remedy.text)
            button.setEnabled(canFix or remedy.kind in ("open", "show cases"))
            button.connect("clicked()", partial(self._onRemedy, remedy))
            layout.addWidget(button, 1 + at // 2, 1 + at % 2)
        return row
