"""Curves in Slicer's plot view: few points, one table a chart, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def charts(slicer_app: object) -> Iterator[Any]:
    from ALHVRTrainerLib.training.charts import Charts

    made = Charts()
    yield made
    made.remove()


def arms(n_validations: int = 3) -> dict[str, Any]:
    """Two trainings with two structures; that with the archive has losses and regions."""
    from ALHVRTrainerLib.training.curves import ArmCurves

    made = {"labels-only": ArmCurves(), "archive": ArmCurves()}
    for name, curves in made.items():
        for number in range(n_validations):
            dice = {"liver": 0.5 + 0.1 * number, "spleen": 0.4 + 0.1 * number}
            curves.take({"iteration": number, "elapsed_s": 60.0 * number, "dice": dice,
                         "mean_dice": sum(dice.values()) / 2, "name": name})
    for step in range(5):
        made["archive"].take({"iteration": step, "elapsed_s": 10.0 * step,
                              "losses": {"total": 2.0 - 0.1 * step, "prototype_ce": 0.0 if step == 0 else 0.3},
                              "regions": {"reliable_stable": 0.7, "reliable_unstable": 0.2, "unreliable_stable": 0.1}})
    return made


def nodes(kind: str) -> list[Any]:
    import slicer

    return list(slicer.util.getNodesByClass(kind))


def series_of(name: str) -> Any:
    return next(node for node in nodes("vtkMRMLPlotSeriesNode") if node.GetName() == name)


def values_of(series: Any) -> np.ndarray:
    from vtk.util.numpy_support import vtk_to_numpy

    table = series.GetTableNode().GetTable()
    columns = (series.GetXColumnName(), series.GetYColumnName())
    return np.array([vtk_to_numpy(table.GetColumnByName(name)) for name in columns])


def test_a_day_of_losses_is_drawn_with_two_thousand_points() -> None:
    from ALHVRTrainerLib.training.curves import MOST_POINTS, Curve

    curve = Curve()
    for step in range(100_000):
        curve.add(step / 100, float(step))
    minutes, values = curve.points()
    assert MOST_POINTS / 2 <= len(values) <= MOST_POINTS
    assert minutes[0] < 1 and minutes[-1] > 999 and np.allclose(values, minutes * 100)


def test_a_short_curve_keeps_every_point() -> None:
    from ALHVRTrainerLib.training.curves import Curve

    curve = Curve()
    for step in range(1999):
        curve.add(step, step % 7)
    assert curve.points().tolist() == [list(range(1999)), [step % 7 for step in range(1999)]]


@pytest.mark.parametrize("line", [
    None, [], {"iteration": 1}, {"iteration": "1", "elapsed_s": 3}, {"iteration": 1, "elapsed_s": float("nan")},
    {"iteration": 1, "elapsed_s": -5.0}, {"iteration": True, "elapsed_s": 1.0}])
def test_a_line_that_is_no_metric_adds_nothing(line: object) -> None:
    from ALHVRTrainerLib.training.curves import ArmCurves

    curves = ArmCurves()
    assert curves.take(line) == "" and not curves.losses and not len(curves.mean)


def test_names_of_strangers_are_few_short_and_on_one_line() -> None:
    from ALHVRTrainerLib.training.curves import MOST_CURVES, NAME_LETTERS, ArmCurves

    curves = ArmCurves()
    curves.take({"iteration": 1, "elapsed_s": 1.0, "losses": {f"a\nb{i}" + "c" * 500: 1.0 for i in range(500)}})
    assert len(curves.losses) == MOST_CURVES
    assert all(len(name) <= NAME_LETTERS and "\n" not in name for name in curves.losses)


def test_the_mean_is_thick_and_the_training_with_labels_only_grey(charts: Any) -> None:
    charts.draw("dice", arms(), "archive")
    means = [series_of("mean, labels only"), series_of("mean, with the archive")]
    assert [node.GetLineWidth() for node in means] == [4, 4] and series_of("liver").GetLineWidth() == 2
    grey, black = (node.GetColor() for node in means)
    assert grey == (0.6, 0.6, 0.6) and max(black) < 0.2


def test_a_series_shows_the_points_of_its_curve(charts: Any) -> None:
    charts.draw("dice", arms(), "archive")
    assert np.allclose(values_of(series_of("spleen")), [[0, 1, 2], [0.4, 0.5, 0.6]])


def test_a_shorter_line_stays_at_its_last_point(charts: Any) -> None:
    both = arms()
    both["labels-only"].take({"iteration": 9, "elapsed_s": 180.0, "dice": {}, "mean_dice": 0.9})
    charts.draw("dice", both, "archive")
    assert values_of(series_of("liver")).tolist() == [[0, 1, 2, 2], [0.5, 0.6, 0.7, 0.7]]


def test_a_loss_of_zero_has_no_place_on_a_logarithmic_axis(charts: Any) -> None:
    charts.draw("losses", arms(), "archive")
    assert (values_of(series_of("prototype ce")) > 0).any() and (values_of(series_of("prototype ce"))[1] > 0).all()
    assert nodes("vtkMRMLPlotChartNode")[0].GetYAxisLogScale()


def test_drawing_again_makes_no_more_nodes(charts: Any) -> None:
    import slicer

    charts.draw("dice", arms(), "archive")
    before = slicer.mrmlScene.GetNumberOfNodes()
    charts.draw("dice", arms(5), "archive")
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert values_of(series_of("liver")).shape == (2, 5)


def test_a_closed_scene_gets_its_charts_again(charts: Any) -> None:
    import slicer

    charts.draw("dice", arms(), "archive")
    slicer.mrmlScene.Clear(0)
    charts.draw("dice", arms(), "archive")
    assert len(nodes("vtkMRMLPlotSeriesNode")) == nodes("vtkMRMLPlotChartNode")[0].GetNumberOfPlotSeriesNodes() == 4


def test_nothing_of_the_charts_is_left_or_saved_or_listed(charts: Any) -> None:
    import slicer

    before = slicer.mrmlScene.GetNumberOfNodes()
    for kind in ("dice", "losses", "regions"):
        charts.draw(kind, arms(), "archive")
    ours = [node for kind in ("Table", "PlotSeries", "PlotChart") for node in nodes(f"vtkMRML{kind}Node")]
    assert not any(node.GetSaveWithScene() for node in ours)
    assert {node.GetClassName() for node in ours if not node.GetHideFromEditors()} == {"vtkMRMLPlotChartNode"}
    charts.remove()
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_the_layout_with_a_plot_comes_and_goes(charts: Any) -> None:
    import slicer
    from ALHVRTrainerLib.training.charts import PlotLayout

    manager, layout = slicer.app.layoutManager(), PlotLayout()
    before = manager.layout
    layout.show()
    charts.draw("dice", arms(), "archive")
    charts.show("dice")
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView
    assert nodes("vtkMRMLPlotViewNode")[0].GetPlotChartNodeID() == nodes("vtkMRMLPlotChartNode")[0].GetID()
    layout.undo()
    assert manager.layout == before


def test_a_layout_that_the_user_chose_since_stays() -> None:
    import slicer
    from ALHVRTrainerLib.training.charts import PlotLayout

    manager, layout = slicer.app.layoutManager(), PlotLayout()
    before = manager.layout
    layout.show()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    layout.undo()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    manager.setLayout(before)
