"""Finds in module files what the qt facade cannot refuse but PythonQt does, and what breaks without an error.

    python Testing/slicer_stand_in/lint.py FILE.py ...

Rules: keyword arguments to Qt calls; isinstance with a class of Qt; calling a property; bytes() of a QByteArray;
signals of one's own; a method of a Qt object connected to a signal that brings arguments which it does not take.
"""

from __future__ import annotations

import argparse
import ast
import pathlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

# Names that are properties wherever PythonQt has them and methods nowhere, so that a call is wrong on any object.
PROPERTIES = frozenset(
    [
        "accessibleName", "accessibleDescription", "alignment", "baseName", "buttonText", "checkable",
        "checked", "collapsed", "contextMenuPolicy", "currentNodeID", "currentPath", "currentText",
        "currentUserDataAsString", "decimals", "directory", "down", "echoMode", "editable", "enabled",
        "filters", "fullScreen", "geometry", "html", "iconSize", "indent", "invertedAppearance", "maximum",
        "maximumHeight", "maximumWidth", "minimum", "minimumHeight", "minimumWidth", "modal", "nameFilters",
        "nodeTypes", "noneEnabled", "objectName", "pageStep", "placeholderText", "plainText", "readOnly",
        "settingKey", "singleStep", "sizePolicy", "sliderPosition", "specialValueText", "styleSheet", "suffix",
        "textVisible", "toolTip", "tracking", "visible", "whatsThis", "windowTitle", "wordWrap", "wasCanceled",
    ]
)
# Methods of Qt that take a keyword argument in PySide, or look as if they did.
QT_METHODS = frozenset(
    [
        "addAction", "addItem", "addItems", "addLayout", "addRow", "addSpacing", "addStretch", "addTab",
        "addWidget", "appendPlainText", "connect", "disconnect", "insertItem", "insertRow", "insertWidget",
        "move", "resize", "setColumnStretch", "setColumnWidth", "setContentsMargins", "setCurrentIndex",
        "setData", "setItem", "setItemData", "setLayout", "setMinimumHeight", "setMinimumWidth", "setParent",
        "setRange", "setRowStretch", "setSizePolicy", "setSpacing", "setText", "setValue", "setValues",
        "setVisible", "singleShot",
    ]
)
QT_NAMES = ("qt", "ctk")
READS = ("readAll", "readLine", "readAllStandardOutput", "readAllStandardError", "toBase64", "saveState")
WITH_ARGUMENT = ("clicked", "toggled", "triggered")
WITHOUT_ARGUMENT = ("accept", "reject", "close", "clear", "hide", "show", "start", "stop", "selectAll", "reset")


@dataclass(frozen=True)
class Finding:
    """One place that breaks in Slicer."""

    path: pathlib.Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def dotted(node: ast.AST) -> list[str]:
    """["qt", "QWidget"] for the expression qt.QWidget; [] where it does not begin with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def is_qt_class(node: ast.AST) -> bool:
    """Whether an expression is a class of Qt, ctk or Slicer's widgets."""
    parts = dotted(node)
    if len(parts) != 2:
        return False
    return parts[0] in QT_NAMES or (parts[0] == "slicer" and parts[1].startswith(("qMRML", "qSlicer")))


def check_call(call: ast.Call) -> Iterator[str]:
    """What is wrong with one call."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = dotted(call.func)[:1]
    keywords = [keyword.arg or "**" for keyword in call.keywords]
    is_qt = is_qt_class(call.func) or owner in (["qt"], ["ctk"]) or name in QT_METHODS
    if keywords and is_qt:
        yield f"{name}(): PythonQt takes no keyword arguments ({', '.join(keywords)})"
    if name in PROPERTIES and isinstance(call.func, ast.Attribute) and not call.args and not keywords:
        yield f"{name} is a property: no parentheses"
    if name == "isinstance" and len(call.args) == 2:
        classes = call.args[1].elts if isinstance(call.args[1], ast.Tuple) else [call.args[1]]
        if any(is_qt_class(cls) for cls in classes):
            yield "isinstance() does not know the base classes of PythonQt: use inherits()"
    yield from check_values(call, name)


def check_values(call: ast.Call, name: str) -> Iterator[str]:
    """What is wrong with the arguments of a call."""
    first = call.args[0] if call.args else None
    inner = first.func.attr if isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute) else ""
    if name in ("bytes", "str") and inner in READS:
        yield f"{name}() of a QByteArray: use .data()"
    if dotted(call.func) == ["qt", "Signal"]:
        yield "qt.Signal in a class of one's own crashes: keep a list of callables"
    if name == "_" and isinstance(first, ast.JoinedStr):
        yield "an f-string cannot be translated: _('… {name}').format(name=…)"
    if name == "connect" and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Attribute):
        target = first.attr if isinstance(first, ast.Attribute) else ""
        if call.func.value.attr in WITH_ARGUMENT and target in WITHOUT_ARGUMENT and dotted(first)[:1] != ["self"]:
            signal = call.func.value.attr
            yield f"{signal} brings an argument that {target}() refuses: connect by '{signal}()'"


def check_source(source: str, path: pathlib.Path) -> list[Finding]:
    """The findings in the text of a file."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [Finding(path, call.lineno, text) for call in calls for text in check_call(call)]


def check_files(paths: list[pathlib.Path]) -> list[Finding]:
    """The findings in files."""
    return [finding for path in paths for finding in check_source(path.read_text(encoding="utf-8"), path)]


def main() -> int:
    """Print the findings; 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    findings = check_files(parser.parse_args().files)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
