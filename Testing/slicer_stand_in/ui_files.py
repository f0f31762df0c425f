"""qt.QUiLoader for the stand-ins: widgets by class name, flags, and connections that are checked first."""

from __future__ import annotations

import pathlib
import xml.etree.ElementTree as ET
from typing import Any

from PySide6 import QtCore, QtUiTools
from slicer_stand_in.qt_signals import find_signal
from slicer_stand_in.stand_in import registry


class UiFileError(RuntimeError):
    """A .ui file that Slicer could not load as it is meant: unknown class, missing end or name of a connection."""


class QUiLoader(QtUiTools.QUiLoader):
    """Makes stand-ins for the classes of ctk and MRML; refuses classes that nobody knows."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._unknown: list[str] = []

    def availableWidgets(self) -> tuple[str, ...]:
        return (*super().availableWidgets(), *registry)

    def createWidget(self, class_name: str, parent: QtCore.QObject | None = None, name: str = "") -> Any:
        if class_name in registry:
            widget = registry[class_name](parent)
        elif class_name in super().availableWidgets() or class_name == "Line":
            widget = super().createWidget(class_name, parent, name)
        else:
            self._unknown.append(class_name)
            return None
        widget.setObjectName(name)
        return widget

    def load(self, device: QtCore.QIODevice | str, parent: QtCore.QObject | None = None) -> Any:
        """The root widget of a .ui file, its flags set and its connections made."""
        data = pathlib.Path(device).read_bytes() if isinstance(device, str) else device.readAll().data()
        root = ET.fromstring(data)
        connections, flags = _take_connections(root), _take_flags(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        self._unknown.clear()
        widget = super().load(buffer, parent)
        if self._unknown:
            raise UiFileError(f"no stand-in for the classes {sorted(set(self._unknown))} of the .ui file")
        for name, property_name, keys in flags:
            target, value = _named(widget, name), 0
            for key in keys:
                value |= int(getattr(type(target), key))
            setattr(target, property_name, value)
        for connection in connections:
            _make(widget, *connection)
        return widget


def _take_connections(root: ET.Element) -> list[tuple[str, str, str, str]]:
    """(sender, signal, receiver, slot) of every connection, which are cut out of the tree."""
    found = []
    for group in root.findall("connections"):
        for item in group.findall("connection"):
            found.append(tuple(item.findtext(tag) for tag in ("sender", "signal", "receiver", "slot")))
        root.remove(group)
    return found


def _take_flags(root: ET.Element) -> list[tuple[str, str, list[str]]]:
    """(widget, property, keys) of every flag of a stand-in; Qt cannot set these, their enums are not C++."""
    found = []
    for widget in root.iter("widget"):
        if widget.get("class") not in registry:
            continue
        for item in widget.findall("property"):
            value = item.find("set")
            if value is not None and hasattr(registry[widget.get("class")], value.text.split("|")[0].split("::")[-1]):
                keys = [key.split("::")[-1] for key in value.text.split("|")]
                found.append((widget.get("name"), item.get("name"), keys))
                widget.remove(item)
    return found


def _named(widget: QtCore.QObject, name: str) -> QtCore.QObject:
    found = widget if widget.objectName == name else widget.findChild(QtCore.QObject, name)
    if found is None:
        raise UiFileError(f"a connection or flag of the .ui file names '{name}', which is not there")
    return found


def _make(widget: QtCore.QObject, sender_name: str, signal: str, receiver_name: str, slot: str) -> None:
    sender, receiver = _named(widget, sender_name), _named(widget, receiver_name)
    if find_signal(sender, signal)[0] is None:
        raise UiFileError(f"{sender_name} ({type(sender).__name__}) has no signal {signal}")
    if not callable(getattr(receiver, slot.split("(")[0], None)):
        raise UiFileError(f"{receiver_name} ({type(receiver).__name__}) has no slot {slot}")
    sender.connect(signal, receiver, slot)
