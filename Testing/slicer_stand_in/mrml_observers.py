"""Observers of MRML objects for stand-in widgets: they end with the widget, as those of C++ widgets do."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import shiboken6
import vtk
from PySide6 import QtCore


class Observers:
    """The observers of one widget."""

    def __init__(self, widget: QtCore.QObject) -> None:
        self._held: list[tuple[Any, int]] = []
        held = self._held
        widget.destroyed.connect(lambda *_: remove_all(held))  # deleted on the side of C++
        weakref.finalize(widget, remove_all, held)  # let go on the side of Python

    def add(self, subject: Any, event: int, method: Callable, *, with_node: bool = False) -> None:
        """Call a method of the widget at an event; `with_node` hands over the node that the event is about."""
        reference = weakref.WeakMethod(method)

        def call(_caller: object, _event: str, node: object = None) -> None:
            target = reference()
            if target is not None and shiboken6.isValid(target.__self__):
                target(*([node] if with_node else []))

        if with_node:
            call = vtk.calldata_type(vtk.VTK_OBJECT)(call)
        self._held.append((subject, subject.AddObserver(event, call)))

    def clear(self) -> None:
        """End them all."""
        remove_all(self._held)

    def forget(self, subject: Any) -> None:
        """End those of one object."""
        mine = [pair for pair in self._held if pair[0] is subject]
        self._held[:] = [pair for pair in self._held if pair[0] is not subject]
        remove_all(mine)


def remove_all(held: list[tuple[Any, int]]) -> None:
    """End the observers of a list and empty it."""
    for subject, tag in held:
        subject.RemoveObserver(tag)
    held.clear()
