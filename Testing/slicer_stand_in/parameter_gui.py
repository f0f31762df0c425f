"""Two-way connections between the fields of a parameter node and widgets, by the types that Slicer supports."""

from __future__ import annotations

import enum
import itertools
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import vtk
from slicer_stand_in.parameter_fields import Choice, Decimals, Field, Maximum, Minimum, SingleStep, WithinRange

NUMBERS = (
    "QDoubleSpinBox",
    "ctkDoubleSlider",
    "ctkDoubleSpinBox",
    "ctkSliderWidget",
    "qMRMLSliderWidget",
    "qMRMLSpinBox",
)
PROPERTY = "SlicerParameterName"


@dataclass(frozen=True)
class Connector:
    """How one kind of widget shows a value: the signal of a change, read and write."""

    signal: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], None]


def _attribute(signal: str, name: str) -> Connector:
    return Connector(signal, lambda w: getattr(w, name), lambda w, value: setattr(w, name, value))


CHECKED = _attribute("toggled(bool)", "checked")
PATH = Connector(
    "currentPathChanged(QString)",
    lambda w: pathlib.Path(w.currentPath),
    lambda w, path: w.setCurrentPath("" if path == pathlib.Path() else str(path)),
)
FOLDER = Connector(
    "directoryChanged(QString)",
    lambda w: pathlib.Path(w.directory),
    lambda w, path: setattr(w, "directory", str(path)),
)
CHECK_STATE = Connector(
    "checkBoxToggled(bool)", lambda w: bool(w.checkState), lambda w, on: setattr(w, "checkState", 2 if on else 0)
)
NODE = Connector("currentNodeChanged(vtkMRMLNode*)", lambda w: w.currentNode(), lambda w, node: w.setCurrentNode(node))
LABEL = Connector("windowTitleChanged(QString)", lambda w: w.text, lambda w, text: w.setText(text))
BY_KIND: dict[Any, dict[str, Connector]] = {
    bool: {
        "QCheckBox": CHECKED,
        "ctkCheckBox": CHECKED,
        "QPushButton": CHECKED,
        "ctkCheckablePushButton": CHECK_STATE,
    },
    int: {"QSpinBox": _attribute("valueChanged(int)", "value"), "QSlider": _attribute("valueChanged(int)", "value")},
    str: {
        "QLineEdit": _attribute("textChanged(QString)", "text"),
        "QTextEdit": _attribute("textChanged()", "plainText"),
        "QLabel": LABEL,
    },
    pathlib.Path: {"ctkPathLineEdit": PATH, "ctkDirectoryButton": FOLDER},
}


def connector_for(widget: Any, field: Field) -> Connector:
    """The connector of a widget and a field; RuntimeError if Slicer has none for these two types."""
    kind, class_name = field.kind, widget.className()
    if field.is_node and class_name == "qMRMLNodeComboBox":
        return NODE
    if class_name in ("QComboBox", "ctkComboBox"):
        connector = _combo_connector(field)
    elif kind in (int, float) and class_name in NUMBERS:
        connector = Connector("valueChanged(double)", lambda w: kind(w.value), lambda w, value: w.setValue(value))
    else:
        connector = BY_KIND.get(kind, {}).get(class_name)
    if connector is None or (class_name == "QPushButton" and not widget.checkable):
        raise RuntimeError(f"Could not create connector for widget type {class_name} and field '{field.name}' ({kind})")
    return connector


def _combo_connector(field: Field) -> Connector | None:
    if isinstance(field.kind, type) and issubclass(field.kind, enum.Enum):
        values = list(field.kind)
    elif field.note(Choice) is not None:
        values = list(field.note(Choice).choices)
    else:
        return None
    return Connector(
        "currentIndexChanged(int)",
        lambda w: values[w.currentIndex],
        lambda w, value: w.setCurrentIndex(values.index(value)),
    )


def prepare(widget: Any, field: Field) -> None:
    """Give a widget the bounds, decimals, step and choices that the field's annotation states."""
    bounds = [(field.note(WithinRange), "minimum"), (field.note(WithinRange), "maximum")]
    bounds += [(field.note(Minimum), "minimum"), (field.note(Maximum), "maximum")]
    for note, name in bounds:
        if note is not None and hasattr(widget, name):
            setattr(widget, name, getattr(note, name))
    for note, name in ((field.note(Decimals), "decimals"), (field.note(SingleStep), "singleStep")):
        if note is not None and hasattr(widget, name):
            setattr(widget, name, note.value)
    if widget.className() in ("QComboBox", "ctkComboBox"):
        widget.clear()
        kind = field.kind
        is_enum = isinstance(kind, type) and issubclass(kind, enum.Enum)
        for value in kind if is_enum else field.note(Choice).choices:
            label = getattr(value, "label", None)
            widget.addItem(label() if callable(label) else value.name if is_enum else str(value))


class GuiConnections:
    """The connections of one wrapper, by tag."""

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper
        self._open: dict[int, list[Callable[[], None]]] = {}
        self._tags = itertools.count(1)

    def connect_named(self, gui: Any) -> int:
        """Connect every widget whose dynamic property SlicerParameterName names a field."""
        named = ((widget.property(PROPERTY), widget) for widget in _widgets(gui))
        return self.connect({name: widget for name, widget in named if name})

    def connect(self, mapping: dict[str, Any]) -> int:
        """Connect fields by name to widgets; the widgets take the fields' values."""
        fields = self._wrapper._fields
        unknown = set(mapping) - set(fields)
        if unknown:
            raise ValueError(f"There are no parameters {sorted(unknown)}; there are {list(fields)}")
        connectors = {name: connector_for(widget, fields[name]) for name, widget in mapping.items()}
        undo: list[Callable[[], None]] = []
        for name, widget in mapping.items():
            prepare(widget, fields[name])
            undo += self._connect_one(name, widget, connectors[name])
        tag = next(self._tags)
        self._open[tag] = undo
        return tag

    def disconnect(self, tag: int) -> None:
        """Undo what a connect did."""
        for step in self._open.pop(tag, []):
            step()

    def _connect_one(self, name: str, widget: Any, connector: Connector) -> list[Callable[[], None]]:
        wrapper = self._wrapper

        def to_widget(*_: object) -> None:
            value = wrapper.getValue(name)
            if connector.read(widget) != value:
                connector.write(widget, value)

        def to_node(*_: object) -> None:
            value = connector.read(widget)
            if value != wrapper.getValue(name):
                wrapper.setValue(name, value)

        to_widget()
        widget.connect(connector.signal, to_node)
        observer = wrapper.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, to_widget)
        return [
            lambda: bool(widget) and widget.disconnect(connector.signal, to_node),
            lambda: wrapper.parameterNode.RemoveObserver(observer),
        ]


def _widgets(gui: Any) -> Iterator[Any]:
    """The widgets of childWidgetVariables() or of a widget's whole tree."""
    if hasattr(gui, "findChildren"):
        yield from (gui, *gui.findChildren("QWidget"))
    else:
        yield from (item for item in vars(gui).values() if hasattr(item, "property"))
