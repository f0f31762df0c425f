"""SegmentSection: choose scan, model and output, press Segment, see how far it is, cancel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from ALHVRLib.models import store
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.section import DOUBLE_CLICK_S, Section, show_fraction
from ALHVRLib.setup_section import SetupSection
from ALHVRSegmentationLib.models.section import ModelsSection
from ALHVRSegmentationLib.regions.section import RegionsSection
from ALHVRSegmentationLib.results import sequences
from ALHVRSegmentationLib.results.import_segmentation import problem_with
from ALHVRSegmentationLib.segment.job import Outcome, SegmentJob
from ALHVRSegmentationLib.segment.order import Order

if TYPE_CHECKING:
    from ALHVRLib.models.model_info import InstalledModel
    from ALHVRLib.panel import Panel
    from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode


class ModelBox:
    """A combo box with the installed models; the item data are the names of their folders."""

    def __init__(self, box: qt.QComboBox, panel: Panel) -> None:
        self._box = box
        self._panel = panel
        self._models = {}
        self._filling = False

    def setUp(self) -> None:
        """Connect the box."""
        self._box.connect("currentIndexChanged(int)", self.onIndexChanged)

    def fill(self) -> None:
        """List what is installed now; the choice stays where it can."""
        self._models = {model.name: model for model in store.installed()}
        self._filling = True
        self._box.clear()
        for name, model in self._models.items():
            self._box.addItem(_("{title} (cannot be used)").format(title=model.title) if model.problem else model.title)
            self._box.setItemData(self._box.count - 1, name)
        self._box.currentIndex = -1
        self._filling = False
        parameters = self._panel.parameters
        if parameters is None:
            return
        usable = [name for name, model in self._models.items() if not model.problem]
        if parameters.model not in self._models and len(usable) == 1:
            parameters.model = usable[0]
        self.select(parameters.model)

    def select(self, name: str) -> None:
        """Show a model by the name of its folder."""
        index = self._box.findData(name)
        if index != self._box.currentIndex:
            self._filling = True
            self._box.currentIndex = index
            self._filling = False

    def chosen(self) -> InstalledModel | None:
        """The model that is chosen, or None."""
        parameters = self._panel.parameters
        return None if parameters is None else self._models.get(parameters.model)

    def channelNames(self) -> tuple[str, ...]:
        """Names of the channels that the chosen model needs; one unnamed without a model."""
        model = self.chosen()
        return tuple(model.channel_names) if model is not None and model.channel_names else ("",)

    def onIndexChanged(self, index: int) -> None:
        """The user chose."""
        if not self._filling and self._panel.parameters is not None:
            self._panel.parameters.model = self._box.itemData(index) if index >= 0 else ""


class SegmentSection(Section):
    """The part of the panel in which a scan is segmented."""

    UI = "ALHVRSegment.ui"
    TITLE = _("Segment")

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._job = None
        self._startedAt = 0.0
        self._models = ModelBox(self.ui.modelBox, panel)
        self._channels = [
            (self.ui.channel2Label, self.ui.channel2Selector),
            (self.ui.channel3Label, self.ui.channel3Selector),
            (self.ui.channel4Label, self.ui.channel4Selector),
        ]

    def setUp(self) -> None:
        """Connect the widgets."""
        self.ui.segmentButton.connect("clicked()", self.onSegmentButton)
        self._models.setUp()
        slicer.app.connect("aboutToQuit()", self.onAboutToQuit)
        self._show(running=False)

    @property
    def isRunning(self) -> bool:
        """Whether a scan is being segmented."""
        return self._job is not None

    @property
    def isUsingModels(self) -> bool:
        """Whether a model is in use."""
        return self.isRunning

    def follow(self, parameters: ALHVRSegmentationParameterNode | None) -> None:
        """Show the models anew: some may have come or gone."""
        self._models.fill()

    def modelsChanged(self) -> None:
        """List the models that are there now."""
        self._models.fill()

    def refresh(self) -> None:
        """Let the widgets follow the choices."""
        parameters = self.panel.parameters
        if parameters is None:
            return
        self._models.select(parameters.model)
        names = self._models.channelNames()
        self.ui.inputLabel.text = _("{name}:").format(name=names[0]) if len(names) > 1 else _("Scan:")
        for number, (label, selector) in enumerate(self._channels, start=1):
            label.setVisible(number < len(names))
            selector.setVisible(number < len(names))
            label.text = _("{name}:").format(name=names[number]) if number < len(names) else ""
        volume = parameters.inputVolume
        self.ui.allFramesBox.setVisible(volume is not None and sequences.is_proxy(volume))
        self.ui.temperatureBox.setEnabled(parameters.withRegions)
        self.ui.show3DButton.setSegmentationNode(parameters.segmentation)
        self._refreshButton(parameters)

    def dropScene(self) -> None:
        """The scene goes, and the scan with it."""
        if self.isRunning:
            self._end()
            self.panel.say(_("The scene was closed, so segmenting was ended."), "warning")
        self.ui.show3DButton.setSegmentationNode(None)

    def cleanUp(self) -> None:
        """Leave no child process."""
        slicer.app.disconnect("aboutToQuit()", self.onAboutToQuit)
        self._end()

    def onAboutToQuit(self) -> None:
        """Slicer ends."""
        self._end()

    def onSegmentButton(self) -> None:
        """Start, or cancel what runs."""
        if not self.isRunning:
            self._start()
        elif time.monotonic() - self._startedAt < DOUBLE_CLICK_S:
            self.panel.say(_("The scan is being segmented already."))
        else:
            self.ui.segmentButton.setEnabled(False)
            self._job.cancel()

    def _start(self) -> None:
        """Begin a job with the choices as they are."""
        reason = self._whyNot(self.panel.parameters)
        if reason:
            self.panel.say(reason, "warning")
            return
        self.panel.say("")
        self.ui.logText.clear()
        job = SegmentJob(
            self._order(self.panel.parameters), onProgress=self.onProgress, onLog=self.onLog, onDone=self.onDone
        )
        try:
            job.start()
        except SceneError as error:
            self._refuse(str(error))
            return
        except OSError as error:
            text = _("The scan could not be exported: {why}.")
            self._refuse(text.format(why=error.strerror or error))
            return
        self._job, self._startedAt = job, time.monotonic()
        self._show(running=True)

    def _refuse(self, reason: str) -> None:
        """Nothing was begun."""
        self._say("")
        self.panel.say(reason, "error")

    def _order(self, parameters: ALHVRSegmentationParameterNode) -> Order:
        model = self._models.chosen()
        volumes = [parameters.inputVolume, parameters.channel2, parameters.channel3, parameters.channel4]
        return Order(
            volume_ids=tuple(volume.GetID() for volume in volumes[: len(self._models.channelNames())]),
            segmentation_id=parameters.segmentation.GetID() if parameters.segmentation is not None else "",
            model_folder=model.folder,
            model_title=model.title,
            frame=sequences.shown_value(parameters.inputVolume) or "",
            all_frames=parameters.allFrames and sequences.is_proxy(parameters.inputVolume),
            with_regions=parameters.withRegions,
            run_on=parameters.runOn,
            fusion=parameters.fusion,
            temperature=parameters.temperature,
        )

    def onProgress(self, text: str, fraction: float | None) -> None:
        """The job is at some stage; fraction None: unknown."""
        self._say(text)
        show_fraction(self.ui.progressBar, fraction)

    def onLog(self, line: str) -> None:
        """A line of the engine's."""
        self.ui.logText.appendPlainText(line)

    def onDone(self, outcome: Outcome) -> None:
        """The job has ended with a result, without one, or because it was cancelled."""
        self._job = None
        self._show(running=False)
        kinds = {"failed": "error", "odd": "warning"}
        self.panel.say(outcome.sentence, kinds.get(outcome.kind, "note"))
        if outcome.segmentation_id:
            parameters = self.panel.logic.getParameterNode()
            parameters.segmentation = slicer.mrmlScene.GetNodeByID(outcome.segmentation_id)
            if outcome.regions_id:
                parameters.regions = slicer.mrmlScene.GetNodeByID(outcome.regions_id)
                self.panel.section(RegionsSection).frame.collapsed = False
        self.panel.refresh()

    def _end(self) -> None:
        """End a job at once, silently."""
        if self._job is not None:
            self._job.discard()
            self._job = None
            self._show(running=False)

    def _show(self, running: bool) -> None:
        """Segment or Cancel, and what belongs to it."""
        self.ui.segmentButton.text = _("Cancel") if running else _("Segment")
        self.ui.progressBar.setVisible(running)
        self.ui.segmentButton.setEnabled(True)
        if not running:
            self._say("")

    def _say(self, text: str) -> None:
        """The line below the button; no gap where there is nothing to say."""
        self.ui.statusLabel.text = text
        self.ui.statusLabel.setVisible(bool(text))

    def _refreshButton(self, parameters: ALHVRSegmentationParameterNode) -> None:
        """A press is possible when nothing is missing; otherwise the line above it says what is."""
        if self.isRunning:
            return
        reason = self._whyNot(parameters)
        self.ui.segmentButton.setEnabled(not reason)
        self._say(reason)

    def _whyNot(self, parameters: ALHVRSegmentationParameterNode | None) -> str:
        """What is missing before the button can be pressed, "" when nothing is."""
        if not self.panel.section(SetupSection).ready():
            return self.panel.section(SetupSection).missingText()
        if parameters is None or parameters.inputVolume is None:
            return _("Select the scan to segment.")
        problem = problem_with(parameters.segmentation) if parameters.segmentation is not None else ""
        if problem:
            return problem
        model = self._models.chosen()
        if model is None:
            return _("Select a model; the section {name} adds some.").format(name=ModelsSection.TITLE)
        if model.problem:
            return model.problem
        names = self._models.channelNames()
        volumes = [parameters.inputVolume, parameters.channel2, parameters.channel3, parameters.channel4]
        if len(names) > len(volumes):
            return _("This model needs {n} channels; the panel takes {most}.").format(n=len(names), most=len(volumes))
        missing = [name for name, volume in zip(names, volumes, strict=False) if volume is None]
        return _("Select the channel {name}, which this model needs.").format(name=missing[0]) if missing else ""
