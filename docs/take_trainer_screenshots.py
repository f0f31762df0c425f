"""Takes the pictures of the training tutorial: the sample is made, trained, kept and reviewed by clicks alone.

    python docs/take_trainer_screenshots.py                   all pictures, with a real training (about 15 minutes)
    python docs/take_trainer_screenshots.py --minutes 1       a shorter one
    python docs/take_trainer_screenshots.py --minutes 1 --from-sample-model    for a busy computer: begins with a model

The plot view is drawn by VTK from the nodes that Slicer would draw; for the rest see take_screenshots.py.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from screenshot_studio import ROOT, TRAINER_FILE, Studio

PICTURES = ROOT / "docs" / "pictures"
LARGER = 1.25
LOOKS = (("", {}), ("-dark", {"dark": True}), ("-large-letters", {"scale": LARGER}))
"""Ending of the name, and how the panel is shown."""
COLOURS = 256
"""Of the pictures in other looks, which makes them less than half as large."""


def main() -> None:
    """The story from an empty panel to the next case."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, help="of each training; left out: those of the sample")
    parser.add_argument("--no-training", action="store_true", help="only the pictures that need none")
    parser.add_argument("--from-sample-model", action="store_true", help="begin from the small model that ships")
    parser.add_argument("--out", type=Path, default=PICTURES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder), options.out, TRAINER_FILE, "trainer")
        with contextlib.ExitStack() as ending:
            ending.callback(studio.panel.cleanUp)
            play(studio, options)


def play(studio: Studio, options: argparse.Namespace) -> None:
    """Every step, with a picture of each."""
    session = studio.panel.logic.session
    studio.panel.say("")
    take(studio, "empty")
    click(studio, "Header", "sampleButton")
    studio.wait(lambda: session.state == "ready", "a sample that can be trained on")
    show_first_case(studio)
    take(studio, "cases")
    checker = studio.section("Check").checker
    studio.wait(lambda: checker.isRunning or checker.isWaiting, "a forecast")
    studio.wait(lambda: not (checker.isRunning or checker.isWaiting), "the end of the forecast")
    studio.panel.showSection("CheckSection")
    take(studio, "ready")
    studio.panel.showSection("SettingsSection")
    take(studio, "settings")
    if options.no_training:
        return
    if options.from_sample_model:
        from module_worlds import install_sample_model

        session.save(start_from=str(install_sample_model("abdomen")))
    if options.minutes is not None:
        session.save(minutes=options.minutes)
    studio.wait(lambda: session.state == "ready", "a project that is ready")
    click(studio, "Settings", "trainButton")
    train(studio, session)
    studio.panel.showSection("OutcomeSection")
    take(studio, "outcome")
    keep(studio)
    segment_archive(studio)
    review(studio)


def take(studio: Studio, name: str, views: Callable[[int], np.ndarray] | None = None) -> None:
    """The panel beside the views: as it is, dark, and with larger letters."""
    from PIL import Image

    for ending, look in LOOKS:
        studio.take(f"{name}{ending}", views=views, **look)
        path = studio.out / f"trainer-{name}{ending}.png"
        if look:  # as it is, the picture keeps all its colours
            picture = Image.open(path).quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            picture.save(path, optimize=True)


def train(studio: Studio, session: Any) -> None:
    """Until it is over; a picture when the second arm has been scored a few times."""
    training = studio.section("Training")

    def scored() -> bool:
        reader = training.control.reader
        arm = None if reader is None else reader.arms.get("archive")
        return session.state == "finished" or (arm is not None and len(arm.mean) >= 3)

    studio.wait(scored, "a training")
    studio.panel.showSection("TrainingSection")
    studio.section("Training").ui.previewBox.currentIndex = 1
    studio.panel.say("")
    studio.settle(3.0)
    take(studio, "training", beside_plot(studio))
    studio.wait(lambda: session.state in ("finished", "failed"), "the end of the training")
    if session.state == "failed":
        raise RuntimeError(session.sentence)
    studio.settle(2.0)


def keep(studio: Studio) -> None:
    """The offered model, which ALHVR Segmentation then has."""
    ui = studio.section("Outcome").ui
    button = next(one for one in (ui.keepLabelsButton, ui.keepArchiveButton) if one.enabled)
    button.click()
    studio.wait(lambda: studio.panel.logic.session.project.kept is not None, "a kept model")


def segment_archive(studio: Studio) -> None:
    """All of it, and the first result beside its scan."""
    ui = studio.section("Outcome").ui
    studio.panel.showSection("OutcomeSection")
    ui.segmentArchiveButton.click()
    studio.wait(lambda: ui.busyFrame.isHidden(), "an archive that is segmented")
    ui.archiveTable.setCurrentCell(0, 0)
    ui.openResultButton.click()
    studio.settle(1.0)
    studio.look_at_all()
    take(studio, "archive")


def review(studio: Studio) -> None:
    """The first scan of the list with its draft."""
    section = studio.section("Review")
    studio.panel.showSection("ReviewSection")
    section.ui.rankButton.click()
    studio.wait(lambda: section.ui.scansTable.rowCount > 0, "a list of scans")
    section.ui.scansTable.selectRow(0)
    section.ui.openButton.click()
    studio.settle(3.0)
    section.ui.worstButton.click()
    studio.settle(1.0)
    studio.panel.showSection("ReviewSection")
    take(studio, "next")


def click(studio: Studio, section: str, button: str) -> None:
    """Press a button of a section that is open."""
    if section != "Header":
        studio.panel.showSection(f"{section}Section")
    studio.settle(0.2)
    getattr(studio.section(section).ui, button).click()


def show_first_case(studio: Studio) -> None:
    """As a press of Open does."""
    studio.panel.showSection("CasesSection")
    ui = studio.section("Cases").ui
    ui.caseTable.selectRow(0)
    ui.openButton.click()
    studio.settle(1.0)
    studio.look_at_all()


def beside_plot(studio: Studio) -> Callable[[int], np.ndarray]:
    """Draws the slice views, and the plot in place of the 3-D view."""
    def draw(height: int) -> np.ndarray:
        image = studio.views(height)
        side = (image.shape[0] - 6) // 2
        plot = plot_image(chart_that_is_shown(), side)
        image = image.copy()
        image[:side, side + 6:side + 6 + side] = plot[:side, :side]
        return image

    return draw


def chart_that_is_shown() -> Any:
    """The chart node of the plot view."""
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLPlotViewNode")[0].GetPlotChartNode()


def plot_image(chart: Any, side: int) -> np.ndarray:
    """The chart node as VTK draws it, uint8 [side, side, 3]."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    view = vtk.vtkContextView()
    view.GetRenderer().SetBackground(1.0, 1.0, 1.0)
    window = view.GetRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(side, side)
    plot = vtk.vtkChartXY()
    view.GetScene().AddItem(plot)
    plot.SetTitle(chart.GetTitle())
    plot.SetShowLegend(True)
    if not chart.GetYAxisRangeAuto():
        plot.GetAxis(0).SetBehavior(vtk.vtkAxis.FIXED)
        plot.GetAxis(0).SetRange(*chart.GetYAxisRange())
    plot.GetAxis(0).SetTitle(chart.GetYAxisTitle())
    plot.GetAxis(1).SetTitle(chart.GetXAxisTitle())
    for number in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(number)
        line = plot.AddPlot(vtk.vtkChart.LINE)
        line.SetInputData(series.GetTableNode().GetTable(), series.GetXColumnName(), series.GetYColumnName())
        line.SetLabel(series.GetName())
        line.SetColorF(*series.GetColor())
        line.SetWidth(series.GetLineWidth())
        line.SetMarkerStyle(series.GetMarkerStyle())
        line.SetMarkerSize(series.GetMarkerSize())
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    columns, rows, _ = grab.GetOutput().GetDimensions()
    pixels = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(rows, columns, -1)
    return np.ascontiguousarray(pixels[::-1, :, :3])


if __name__ == "__main__":
    main()
