"""Loading .ui files: flags and stand-ins arrive, connections are made, mistakes are refused."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

FRAME = """<ui version="4.0"><widget class="qMRMLWidget" name="root"><layout class="QVBoxLayout" name="rows">
<item><widget class="{cls}" name="part">{properties}</widget></item>
<item><widget class="QCheckBox" name="box"/></item></layout></widget>
<connections>{connections}</connections></ui>"""
CONNECTION = "<connection><sender>{}</sender><signal>{}</signal><receiver>{}</receiver><slot>{}</slot></connection>"


@pytest.fixture
def load(clean_slate: None, tmp_path: pathlib.Path) -> Any:
    """Load a .ui file with one part of a class, some properties and connections."""
    import slicer

    def load_ui(cls: str = "QLabel", properties: str = "", *connections: tuple[str, str, str, str]) -> Any:
        made = "".join(CONNECTION.format(*connection) for connection in connections)
        path = tmp_path / "panel.ui"
        path.write_text(FRAME.format(cls=cls, properties=properties, connections=made), encoding="utf-8")
        return slicer.util.loadUI(str(path))

    return load_ui


def test_properties_reach_a_stand_in(load: Any) -> None:
    maximum = '<property name="maximum"><double>0.5</double></property>'
    decimals = '<property name="decimals"><number>3</number></property>'
    widget = load("ctkSliderWidget", maximum + decimals)
    assert (widget.part.maximum, widget.part.decimals) == (0.5, 3)


def test_flags_reach_a_stand_in(load: Any) -> None:
    flags = '<property name="filters"><set>ctkPathLineEdit::Dirs|ctkPathLineEdit::Writable</set></property>'
    widget = load("ctkPathLineEdit", flags)
    assert widget.part.filters == 0x21


def test_node_types_are_a_tuple(load: Any) -> None:
    types = '<property name="nodeTypes"><stringlist><string>vtkMRMLModelNode</string></stringlist></property>'
    widget = load("qMRMLNodeComboBox", types)
    assert widget.part.nodeTypes == ("vtkMRMLModelNode",)


def test_the_scene_goes_on_to_the_selectors(load: Any) -> None:
    import slicer

    ends = ("root", "mrmlSceneChanged(vtkMRMLScene*)", "part", "setMRMLScene(vtkMRMLScene*)")
    widget = load("qMRMLNodeComboBox", "", ends)
    widget.setMRMLScene(slicer.mrmlScene)
    assert widget.part.mrmlScene() is slicer.mrmlScene


def test_a_plain_connection_of_qt_is_made(load: Any) -> None:
    widget = load("QLabel", "", ("box", "toggled(bool)", "part", "setEnabled(bool)"))
    widget.box.checked = True
    widget.box.checked = False
    assert not widget.part.enabled


def test_a_connection_without_arguments_ignores_those_of_the_signal(load: Any) -> None:
    widget = load("QLineEdit", "", ("box", "clicked()", "part", "clear()"))
    widget.part.text = "old"
    widget.box.click()
    assert widget.part.text == ""


def test_an_unknown_class_is_refused(load: Any) -> None:
    with pytest.raises(RuntimeError, match="qMRMLNoSuchWidget"):
        load("qMRMLNoSuchWidget")


@pytest.mark.parametrize(
    "ends",
    [
        ("nobody", "toggled(bool)", "part", "setEnabled(bool)"),
        ("box", "noSuchSignal()", "part", "setEnabled(bool)"),
        ("box", "toggled(bool)", "part", "noSuchSlot(bool)"),
    ],
)
def test_a_connection_that_slicer_could_not_make_is_refused(load: Any, ends: tuple[str, str, str, str]) -> None:
    with pytest.raises(RuntimeError, match="nobody|noSuch"):
        load("QLabel", "", ends)


def test_children_are_found_by_name(load: Any) -> None:
    import slicer

    widget = load("ctkSliderWidget")
    variables = slicer.util.childWidgetVariables(widget)
    assert variables.part.className() == "ctkSliderWidget" and variables.SpinBox.className() == "ctkDoubleSpinBox"


def test_dragging_a_slider_without_tracking_tells_its_value_once(clean_slate: None) -> None:
    import ctk
    from slicer_stand_in.pictures import drag

    slider, changing, changed = ctk.ctkSliderWidget(), [], []
    slider.tracking = False
    slider.connect("valueIsChanging(double)", changing.append)
    slider.connect("valueChanged(double)", changed.append)
    drag(slider, 10, 20, 30)
    assert (changing, changed) == ([10.0, 20.0, 30.0], [30.0])
