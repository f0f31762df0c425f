"""Dialogs that would wait for a person: each gets the answer that the test prepared, or counts as unexpected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PySide6 import QtCore, QtWidgets

# Static functions that open a dialog, and what they give back when it is dismissed.
STATICS: dict[tuple[type, str], Any] = {
    (QtWidgets.QMessageBox, "information"): QtWidgets.QMessageBox.Ok,
    (QtWidgets.QMessageBox, "warning"): QtWidgets.QMessageBox.Ok,
    (QtWidgets.QMessageBox, "critical"): QtWidgets.QMessageBox.Ok,
    (QtWidgets.QMessageBox, "question"): QtWidgets.QMessageBox.No,
    (QtWidgets.QMessageBox, "about"): None,
    (QtWidgets.QFileDialog, "getOpenFileName"): "",
    (QtWidgets.QFileDialog, "getOpenFileNames"): (),
    (QtWidgets.QFileDialog, "getSaveFileName"): "",
    (QtWidgets.QFileDialog, "getExistingDirectory"): "",
    (QtWidgets.QInputDialog, "getText"): "",
    (QtWidgets.QInputDialog, "getMultiLineText"): "",
    (QtWidgets.QInputDialog, "getItem"): "",
    (QtWidgets.QInputDialog, "getInt"): 0,
    (QtWidgets.QInputDialog, "getDouble"): 0.0,
}
EXECUTED = (QtWidgets.QDialog, QtWidgets.QMessageBox, QtWidgets.QFileDialog, QtWidgets.QProgressDialog, QtWidgets.QMenu)


@dataclass
class Dialogs:
    """What a test expects and what came.

    An answer is the value that the call gives back, or a callable that gets the dialog (of a static function: its
    arguments) and gives that value back.
    """

    answers: list[Any] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    active: bool = True

    def answer(self, *answers: Any) -> None:
        """Prepare answers for the next dialogs, in order."""
        self.answers += answers

    def reset(self) -> None:
        """Begin anew."""
        self.answers.clear()
        self.shown.clear()
        self.unexpected.clear()

    def meet(self, text: str, dismissed: Any, *details: Any) -> Any:
        """A dialog has come: its answer."""
        self.shown.append(text)
        if not self.answers:
            self.unexpected.append(text)
            return dismissed
        answer = self.answers.pop(0)
        return answer(*details) if callable(answer) else answer


dialogs = Dialogs()


def left_open() -> list[str]:
    """Titles of the dialogs that are on the screen."""
    return [
        text_of(widget)
        for widget in QtWidgets.QApplication.topLevelWidgets()
        if isinstance(widget, QtWidgets.QDialog) and widget.isVisible()
    ]


def text_of(dialog: QtWidgets.QWidget) -> str:
    """What a person reads in a dialog: class, title and texts."""
    words = [dialog.className(), dialog.windowTitle]
    for name in ("text", "informativeText", "labelText"):
        words.append(str(getattr(dialog, name, "") or "") if name in dir(type(dialog)) else "")
    return ": ".join(word for word in words if word)


def _guard_exec(cls: type) -> Callable:
    original = cls.exec

    def execute(dialog: QtWidgets.QWidget, *arguments: Any) -> Any:
        if not dialogs.active:
            return original(dialog, *arguments)
        result = dialogs.meet(text_of(dialog), 0, dialog)
        if isinstance(dialog, QtWidgets.QDialog) and type(result) is int:
            dialog.done(result)
        return result

    return execute


def _guard_static(cls: type, name: str, dismissed: Any) -> Callable:
    original = getattr(cls, name)

    def call(*arguments: Any) -> Any:
        if not dialogs.active:
            return original(*arguments)
        words = [str(argument) for argument in arguments if isinstance(argument, str)]
        return dialogs.meet(": ".join([f"{cls.__name__}.{name}", *words]), dismissed, *arguments)

    return staticmethod(call)


def install_dialog_guard() -> None:
    """From here on no dialog waits, as long as `dialogs.active`."""
    for cls in EXECUTED:
        guarded = _guard_exec(cls)
        cls.exec = cls.exec_ = guarded
    for (cls, name), dismissed in STATICS.items():
        setattr(cls, name, _guard_static(cls, name, dismissed))


def process_events(milliseconds: int = 0) -> None:
    """Let Qt do what is due, for some time if wanted."""
    QtCore.QCoreApplication.processEvents()
    if milliseconds:
        loop = QtCore.QEventLoop()
        QtCore.QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()
