"""Takes the pictures of the tutorial: the real panel beside four real views, from first opening to export.

    python docs/take_screenshots.py                          with the generated sample, all pictures
    python docs/take_screenshots.py --only regions looks     some of them
    python docs/take_screenshots.py --scan S --model M       with another scan and model folder, for looking at

The views are drawn by Slicer's own code; the widgets of the panel by the stand-ins of Testing/harness, so frames and
letters differ a little from those in the application. Needs `pip install .[slicer]`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from screenshot_studio import ROOT, RUNNERS, Studio, without, write_thumbnail

THUMBNAIL = ROOT / "ALHVRSegmentation" / "Resources" / "Icons" / "ALHVRSample.png"
LIST_S = 30.0
"""How long the list of uncertain places may take."""


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
        from ALHVRSegmentationLib import places

        shutil.copytree(model, places.models_folder() / model.name)
        studio.parameters.inputVolume = slicer.util.loadVolume(str(scan))
        studio.parameters.model = model.name
        studio.panel.follow(studio.parameters)
    studio.look_at_all()
    studio.unfold("Segment")
    studio.take("sample")
    write_thumbnail(THUMBNAIL if scan is None else studio.out / THUMBNAIL.name)


def segment(studio: Studio) -> None:
    """Press the button; one picture on the way, one of the result."""
    section = studio.section("Segment")
    studio.parameters.withRegions = True
    section.ui.segmentButton.click()
    bar = section.ui.progressBar
    studio.wait(lambda: 0 < bar.maximum < 5 * bar.value or not section.isRunning, "a fifth of the way")
    if section.isRunning:
        studio.take("running")
    studio.wait(lambda: not section.isRunning, "the result")
    if studio.parameters.segmentation is None:
        raise RuntimeError(f"no segmentation: {studio.panel.message}")
    studio.parameters.showRegions = False
    studio.parameters.segmentation.CreateClosedSurfaceRepresentation()  # what the button Show 3D does
    studio.look_at_all()
    studio.unfold("Segment")
    studio.take("segment")


def regions(studio: Studio) -> None:
    """Where the model is unsure, at the worst place."""
    studio.unfold("Regions")
    studio.parameters.segmentation.GetDisplayNode().SetOpacity2DFill(0.0)
    studio.parameters.showRegions = True
    section = studio.section("Regions")
    end = time.monotonic() + LIST_S
    studio.wait(lambda: section.ui.placesTable.rowCount or time.monotonic() > end, "the list of places")
    section.ui.nextButton.click()
    studio.take("regions")


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
    studio.unfold("Export")
    studio.take("export")


STORY = {"first-opening": first_opening, "sample": sample, "segment": segment, "regions": regions, "looks": looks,
         "models": models, "export": export}  # fmt: skip
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
