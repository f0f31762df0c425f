"""Charts: the curves of a training as nodes for Slicer's own plot view, and the layout that shows them.

One table node a chart, made when it is first drawn and again when a scene was closed. Nodes are held by ID and are not
saved with the scene. Tables and series are hidden; charts are listed in the plot view, where the user may choose, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk

from alhvr.formats.project import ARCHIVE, LABELS_ONLY
from ALHVRLib.scene.region_colours import REGION_COLOURS
from ALHVRTrainerLib.run.words import arm_title
from ALHVRTrainerLib.training.curves import ArmCurves

DICE, LOSSES, REGIONS = "dice", "losses", "regions"
CHARTS = (DICE, LOSSES, REGIONS)
PALETTE = ((0.0, 0.447, 0.698), (0.835, 0.369, 0.0), (0.0, 0.62, 0.451), (0.8, 0.475, 0.655), (0.902, 0.624, 0.0),
           (0.337, 0.706, 0.914), (0.58, 0.404, 0.741), (0.549, 0.337, 0.294))
"""Told apart by colour-blind people too (Okabe and Ito), on the pale ground of the plot view."""
BLACK, GREY = (0.1, 0.1, 0.1), (0.6, 0.6, 0.6)
THIN, THICK = 2, 4
MOST_LINES = 16


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    name: str
    """What the legend says."""
    points: np.ndarray
    """[2, N]: minutes and values."""
    colour: tuple[float, float, float]
    width: int = THIN
    marked: bool = False
    """With a mark at each point."""


def lines_of(kind: str, arms: Mapping[str, ArmCurves], arm: str) -> list[Line]:
    """What a chart of one of CHARTS shows while `arm` is at work; only lines that have a point."""
    makers = {DICE: _dice_lines, LOSSES: _loss_lines, REGIONS: _region_lines}
    return [line for line in makers[kind](arms, arm) if line.points.shape[1]][:MOST_LINES]


def _dice_lines(arms: Mapping[str, ArmCurves], arm: str) -> Iterator[Line]:
    """The mean of each training, that with labels only in grey; the structures of the one at work."""
    for name, colour in ((LABELS_ONLY, GREY), (ARCHIVE, BLACK)):
        if name in arms:
            title = _("mean, {arm}").format(arm=arm_title(name))
            yield Line(title, arms[name].mean.points(), colour, THICK, marked=True)
    for number, (name, curve) in enumerate(_of(arms, arm).dice.items()):
        yield Line(name, curve.points(), PALETTE[number % len(PALETTE)], marked=True)


def _loss_lines(arms: Mapping[str, ArmCurves], arm: str) -> Iterator[Line]:
    """By name, the total thick; the axis is logarithmic and has no place for 0."""
    colours = iter(PALETTE * MOST_LINES)
    for name, curve in _of(arms, arm).losses.items():
        points = curve.points()
        points = points[:, points[1] > 0]
        yield Line(name, points, BLACK, THICK) if name == "total" else Line(name, points, next(colours))


def _region_lines(arms: Mapping[str, ArmCurves], arm: str) -> Iterator[Line]:
    for colour, (name, curve) in zip(REGION_COLOURS.values(), _of(arms, arm).regions.items(), strict=False):
        yield Line(name, curve.points(), tuple(0.8 * part for part in colour), THICK - 1)


def _of(arms: Mapping[str, ArmCurves], arm: str) -> ArmCurves:
    return arms.get(arm) or ArmCurves()


class Chart:
    """One chart with its table and its series."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._chart_id = self._table_id = ""
        self._series_ids: list[str] = []

    @property
    def chartId(self) -> str:
        """ID of the chart node; "" before anything was drawn."""
        return self._chart_id

    def draw(self, lines: list[Line]) -> None:
        """Show these lines and no others."""
        chart = _found(self._chart_id) or self._newChart()
        table_node = _found(self._table_id) or self._newTable()
        with slicer.util.NodeModify(chart):
            table_node.SetAndObserveTable(_table_of(lines))
            for number, line in enumerate(lines):
                self._drawLine(chart, number, line)
            self._removeSeries(len(lines))
        chart.Modified()  # also where only numbers have changed: the view looks at nothing else

    def remove(self) -> None:
        """Take all nodes out of the scene."""
        self._removeSeries(0)
        for node_id in (self._chart_id, self._table_id):
            node = _found(node_id)
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)
        self._chart_id = self._table_id = ""

    def _drawLine(self, chart: slicer.vtkMRMLPlotChartNode, number: int, line: Line) -> None:
        series = _found(self._series_ids[number]) if number < len(self._series_ids) else None
        if series is None:
            series = _added("vtkMRMLPlotSeriesNode", line.name)
            series.SetPlotType(series.PlotTypeScatter)
            self._series_ids[number:number + 1] = [series.GetID()]
        with slicer.util.NodeModify(series):
            series.SetName(line.name)
            series.SetAndObserveTableNodeID(self._table_id)
            series.SetXColumnName(_column("x", number))
            series.SetYColumnName(_column("y", number))
            series.SetColor(*line.colour)
            series.SetLineWidth(line.width)
            series.SetMarkerStyle(series.MarkerStyleCircle if line.marked else series.MarkerStyleNone)
            series.SetMarkerSize(3 * line.width)
        if not chart.HasPlotSeriesNodeID(series.GetID()):
            chart.AddAndObservePlotSeriesNodeID(series.GetID())

    def _removeSeries(self, beyond: int) -> None:
        chart = _found(self._chart_id)
        for node_id in self._series_ids[beyond:]:
            series = _found(node_id)
            if chart is not None:
                chart.RemovePlotSeriesNodeID(node_id)
            if series is not None:
                slicer.mrmlScene.RemoveNode(series)
        del self._series_ids[beyond:]

    def _newChart(self) -> slicer.vtkMRMLPlotChartNode:
        titles = {DICE: _("Dice on held-out cases"), LOSSES: _("Losses"), REGIONS: _("Regions in the archive")}
        axes = {DICE: _("Dice"), LOSSES: _("loss, logarithmic"), REGIONS: _("share of the pixels")}
        self._removeSeries(0)
        chart = _added("vtkMRMLPlotChartNode", _("ALHVR {chart}").format(chart=titles[self.kind]), hidden=False)
        chart.SetTitle(titles[self.kind])
        chart.SetXAxisTitle(_("minutes of training"))
        chart.SetYAxisTitle(axes[self.kind])
        chart.SetLegendVisibility(True)
        if self.kind == LOSSES:
            chart.SetYAxisLogScale(True)
        else:
            chart.SetYAxisRangeAuto(False)
            chart.SetYAxisRange(0, 1)
        self._chart_id = chart.GetID()
        return chart

    def _newTable(self) -> slicer.vtkMRMLTableNode:
        table = _added("vtkMRMLTableNode", f"ALHVR {self.kind}")
        self._table_id = table.GetID()
        return table


class Charts:
    """All charts of a training."""

    def __init__(self) -> None:
        self._charts = {kind: Chart(kind) for kind in CHARTS}

    def draw(self, kind: str, arms: Mapping[str, ArmCurves], arm: str) -> None:
        """Draw one of CHARTS as it is now."""
        self._charts[kind].draw(lines_of(kind, arms, arm))

    def show(self, kind: str) -> None:
        """Let the plot views that are there show a chart that was drawn."""
        chart_id = self._charts[kind].chartId
        for view in slicer.util.getNodesByClass("vtkMRMLPlotViewNode"):
            if chart_id and view.GetPlotChartNodeID() != chart_id:
                view.SetPlotChartNodeID(chart_id)

    def remove(self) -> None:
        """Take all nodes out of the scene; plot views show nothing then."""
        ours = {chart.chartId for chart in self._charts.values()} - {""}
        for view in slicer.util.getNodesByClass("vtkMRMLPlotViewNode"):
            if view.GetPlotChartNodeID() in ours:
                view.SetPlotChartNodeID(None)
        for chart in self._charts.values():
            chart.remove()


class PlotLayout:
    """Slices with a plot view, and the layout that was there before."""

    def __init__(self) -> None:
        self._former: int | None = None

    def show(self) -> None:
        """Change to the layout, unless one with a plot view is there, or the user has left ours."""
        manager, layouts = slicer.app.layoutManager(), slicer.vtkMRMLLayoutNode
        if manager is None or self._former is not None:
            return
        with_plot = (layouts.SlicerLayoutFourUpPlotView, layouts.SlicerLayoutFourUpPlotTableView,
                     layouts.SlicerLayoutConventionalPlotView, layouts.SlicerLayoutOneUpPlotView,
                     layouts.SlicerLayoutThreeOverThreePlotView)
        if manager.layout not in with_plot:
            self._former = manager.layout
            manager.setLayout(layouts.SlicerLayoutFourUpPlotView)

    def undo(self) -> None:
        """Back to what was there, unless the user has chosen another layout since."""
        manager, former, self._former = slicer.app.layoutManager(), self._former, None
        ours = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView
        if manager is not None and former is not None and manager.layout == ours:
            manager.setLayout(former)


def _table_of(lines: list[Line]) -> vtk.vtkTable:
    """Two columns a line; shorter lines stay at their last point, which draws nothing more."""
    rows = max((line.points.shape[1] for line in lines), default=0)
    table = vtk.vtkTable()
    for number, line in enumerate(lines):
        padded = np.pad(line.points, ((0, 0), (0, rows - line.points.shape[1])), mode="edge")
        for axis, values in zip("xy", padded, strict=True):
            column = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
            column.SetName(_column(axis, number))
            table.AddColumn(column)
    return table


def _column(axis: str, number: int) -> str:
    return f"{axis}{number}"


def _found(node_id: str) -> slicer.vtkMRMLNode | None:
    return slicer.mrmlScene.GetNodeByID(node_id) if node_id else None


def _added(kind: str, name: str, hidden: bool = True) -> slicer.vtkMRMLNode:
    """A new node that is not saved with the scene."""
    node = slicer.mrmlScene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(hidden)
    node.SetSaveWithScene(False)
    slicer.mrmlScene.AddNode(node)
    return node
