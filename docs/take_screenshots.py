"""Takes the pictures of the tutorial: the real panel beside four real views, from first opening to export.

    python docs/take_screenshots.py                          with the generated sample, all pictures
    python docs/take_screenshots.py --only regions looks     some of them
    python docs/take_screenshots.py --scan S --model M       with another scan and model folder, for looking at

The views are drawn by Slicer's own code; the widgets of the panel by the stand-ins of Testing/slicer_stand_in, so
frames and letters differ a little from those in the application. Needs `pip install .[slicer]`.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from screenshot_studio import ROOT, RUNNERS, Studio, without

LOWER_BETA = 0.2
LARGER = 2.0
SETTLED_S = 1.0
"""After a move of beta: when the list of uncertain places is being searched."""


def first_opening(studio: Studio) -> None:
    """Nothing installed, no scan."""
    with without(*RUNNERS):
        studio.panel.follow(studio.parameters)
        studio.unfold("Segment")
        studio.take("first-opening")
    studio.panel.follow(studio.parameters)


def sample(studio: Studio, scan: Path | None = None, model: Path | None = None) -> None:
    """The sample by its button, or a scan and a model as the user has them."""
    import slicer

    if scan is None or model is None:
        studio.section("Models").ui.sampleButton.click()
        studio.wait(lambda: studio.parameters.model and studio.parameters.inputVolume, "making the sample")
    else:
        from ALHVRLib import paths

        shutil.copytree(model, paths.models_folder() / model.name)
        studio.parameters.inputVolume = slicer.util.loadVolume(str(scan))
        studio.parameters.model = model.name
        studio.panel.follow(studio.parameters)
    studio.look_at_all()
    studio.unfold("Segment")
    studio.take("sample")


def running(studio: Studio) -> None:
    """On the way, with a larger patient: the sample is done before the bar has moved. Then cancel."""
    section, volume = studio.section("Segment"), studio.parameters.inputVolume
    spacing = volume.GetSpacing()
    volume.SetSpacing(*(LARGER * mm for mm in spacing))
    studio.look_at_all()
    with on_the_way(section, lambda: studio.take("running")) as waiting:
        section.ui.segmentButton.click()
        studio.wait(lambda: not waiting or not section.isRunning, "a picture on the way")
        studio.settle(1.0)
        if section.isRunning:
            section.ui.segmentButton.click()
        studio.wait(lambda: not section.isRunning, "cancelling")
    volume.SetSpacing(*spacing)
    studio.look_at_all()


@contextlib.contextmanager
def on_the_way(section: Any, act: Callable[[], None]) -> Iterator[list[Callable[[], None]]]:
    """Act once, when the bar of the section stands between its ends; gives a list that is empty once it has."""
    tell, waiting = section.onProgress, [act]

    def listen(text: str, fraction: float | None) -> None:
        tell(text, fraction)
        if waiting and fraction is not None and 0 < fraction < 1:
            waiting.pop()()

    section.onProgress = listen
    yield waiting
    del section.onProgress


def segment(studio: Studio) -> None:
    """The result of a press."""
    section = studio.section("Segment")
    section.ui.segmentButton.click()
    studio.wait(lambda: not section.isRunning, "the result")
    if studio.parameters.segmentation is None:
        raise RuntimeError(f"no segmentation: {studio.panel.message}")
    studio.parameters.segmentation.CreateClosedSurfaceRepresentation()  # what the button Show 3D does
    studio.look_at_all()
    studio.unfold("Segment")
    studio.take("segment")


def regions(studio: Studio) -> None:
    """Where the model is unsure, at the worst place, as it comes and with a lower beta."""
    studio.unfold("Regions")
    studio.parameters.showRegions = True
    usual = studio.parameters.beta
    for name, beta in (("lower-beta", LOWER_BETA), ("regions", usual)):
        studio.parameters.beta = beta
        studio.settle(SETTLED_S)
        studio.wait(lambda: studio.section("Regions").ui.placesTable.rowCount > 0, "the list of places")
        studio.section("Regions").ui.nextButton.click()
        studio.take(name)


def looks(studio: Studio) -> None:
    """The same in dark mode, and with letters of 125 %."""
    studio.unfold("Regions")
    studio.take("dark", dark=True)
    studio.take("large-letters", scale=1.25)


def models(studio: Studio) -> None:
    """The card of a model."""
    studio.unfold("Models")
    studio.take("models")


def export(studio: Studio) -> None:
    """The ways to save a result."""
    studio.section("Export").ui.folderButton.directory = "/home/you/results"
    studio.unfold("Export")
    studio.take("export")


STORY = {
    "first-opening": first_opening,
    "sample": sample,
    "running": running,
    "segment": segment,
    "regions": regions,
    "looks": looks,
    "models": models,
    "export": export,
}
ALWAYS = ("sample", "segment")
"""The others need what these two leave in the scene."""


def main(arguments: list[str]) -> int:
    """Play the story; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--scan", type=Path, help="a scan to show in place of the sample")
    parser.add_argument("--model", type=Path, help="a model folder to segment it with")
    parser.add_argument("--only", nargs="*", choices=tuple(STORY), default=tuple(STORY))
    options = parser.parse_args(arguments)
    folder = Path(tempfile.gettempdir(), "Slicer settings")  # is read in a picture; fails where it is there already
    folder.mkdir()
    try:
        studio = Studio(folder, options.out)
        for name, play in STORY.items():
            if name == "sample":
                sample(studio, options.scan, options.model)
            elif name in options.only or name in ALWAYS:
                play(studio)
        studio.widget.exit()
        studio.widget.self().cleanup()
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
