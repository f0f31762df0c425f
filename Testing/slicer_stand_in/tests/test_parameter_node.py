"""Typed fields of a parameter node: types, rules, widgets, the scene's file."""

from __future__ import annotations

import enum
import pathlib
from typing import Annotated, Any

import pytest


class Speed(enum.Enum):
    SLOW = "slow"
    FAST = "fast"


@pytest.fixture
def wrap(clean_slate: None) -> Any:
    """Make a wrapper class with some fields, and an instance over a new node."""
    import slicer
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    def make(defaults: dict[str, Any] | None = None, **fields: Any) -> Any:
        cls = parameterNodeWrapper(type("Parameters", (), {"__annotations__": fields, **(defaults or {})}))
        return cls(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))

    return make


@pytest.mark.parametrize(
    ("kind", "value"),
    [(bool, True), (int, -3), (float, 0.25), (str, "a b"), (pathlib.Path, pathlib.Path("/x y")), (Speed, Speed.FAST),
     (list[str], ["a", "b"]), (list[int], [1, 2])],
)  # fmt: skip
def test_a_value_comes_back_in_its_type(wrap: Any, kind: Any, value: Any) -> None:
    node = wrap(field=kind)
    node.field = value
    assert node.field == value and type(node.field) is type(value)


def test_a_node_is_kept_as_a_reference(wrap: Any) -> None:
    import slicer

    node = wrap(volume=slicer.vtkMRMLScalarVolumeNode)
    assert node.volume is None
    node.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert node.volume is slicer.util.getNode("vtkMRMLScalarVolumeNode1")
    with pytest.raises(ValueError, match="volume"):
        node.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")


@pytest.mark.parametrize(("kind", "value"), [(int, 1.5), (int, True), (str, 5), (bool, 1), (Speed, "FAST")])
def test_a_value_of_another_type_is_refused(wrap: Any, kind: Any, value: Any) -> None:
    node = wrap(field=kind)
    with pytest.raises(ValueError, match="field"):
        node.field = value


def test_a_field_that_is_not_there_is_refused(wrap: Any) -> None:
    node = wrap(field=int)
    with pytest.raises(AttributeError, match="feild"):
        node.feild = 1


def test_what_nobody_has_set_is_written_when_the_node_is_wrapped(wrap: Any) -> None:
    node = wrap({"beta": 0.25}, beta=float)
    assert node.parameterNode.GetParameter("beta") == "0.25"


def test_rules_are_kept(wrap: Any) -> None:
    from slicer.parameterNodeWrapper import Choice, WithinRange

    node = wrap(beta=Annotated[float, WithinRange(0, 1)], device=Annotated[str, Choice(["cpu", "gpu"])])
    assert (node.beta, node.device) == (0.0, "cpu")
    with pytest.raises(ValueError, match=r"\[0(\.0)?, 1(\.0)?\], is 2"):
        node.beta = 2
    with pytest.raises(ValueError, match="cpu"):
        node.device = "abacus"


def test_a_combo_box_offers_the_values_of_an_enum(wrap: Any) -> None:
    import qt

    node, combo = wrap(speed=Speed), qt.QComboBox()
    tag = node.connectParametersToGui({"speed": combo})
    assert [combo.itemText(index) for index in range(combo.count)] == ["SLOW", "FAST"]
    combo.setCurrentIndex(1)
    assert node.speed is Speed.FAST
    node.speed = Speed.SLOW
    assert combo.currentIndex == 0
    node.disconnectGui(tag)


def test_disconnected_widgets_and_node_go_their_own_ways(wrap: Any) -> None:
    import ctk

    node, slider = wrap(beta=float), ctk.ctkSliderWidget()
    tag = node.connectParametersToGui({"beta": slider})
    slider.value = 5
    node.disconnectGui(tag)
    slider.value = 6
    node.beta = 7
    assert (node.beta, slider.value) == (7.0, 6.0)


def test_a_text_field_refuses_a_path_widget(wrap: Any) -> None:
    import ctk

    with pytest.raises(RuntimeError, match="ctkPathLineEdit"):
        wrap(model=str).connectParametersToGui({"model": ctk.ctkPathLineEdit()})


def test_a_pack_is_written_through(wrap: Any) -> None:
    from slicer.parameterNodeWrapper import parameterPack

    pack_class = parameterPack(type("Options", (), {"__annotations__": {"beta": float, "tile": int}, "tile": 2}))
    node = wrap(options=pack_class)
    node.options.beta = 0.5
    assert node.options == pack_class(0.5, 2)
    node.options = pack_class(beta=0.75, tile=3)
    assert (node.options.beta, node.options.tile) == (0.75, 3)


def test_values_survive_the_scene_file(wrap: Any, tmp_path: pathlib.Path) -> None:
    import slicer

    node = wrap(beta=float, folder=pathlib.Path)
    node.beta, node.folder = 0.5, pathlib.Path("/data")
    slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrml"))
    again = type(node)(slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")[0])
    assert (again.beta, again.folder) == (0.5, pathlib.Path("/data"))
