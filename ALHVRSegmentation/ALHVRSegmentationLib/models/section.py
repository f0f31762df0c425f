"""ModelsSection: the list of installed models with a card, adding and removing them, and the sample to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ALHVRLib.models import store
from ALHVRLib.models.card import card, shown
from ALHVRLib.models.import_model import ImportResult, ModelImport
from ALHVRLib.section import Section
from ALHVRLib.widgets import BusyBar, ConfirmButton, DropFilter
from ALHVRSegmentationLib.sample.make_sample import SampleMaker, SampleOutcome

if TYPE_CHECKING:
    from ALHVRLib.models.model_info import InstalledModel
    from ALHVRLib.panel import Panel
    from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode

KINDS = {"failed": "error", "cancelled": "warning"}


class ModelsSection(Section):
    """The part of the panel that looks after the models."""

    UI = "ALHVRModels.ui"
    TITLE = _("Models")

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._models = []
        self._selected = None
        """The parameter "model" as the list showed it last."""
        self._filling = False
        self._waiting = []
        """Paths that are added when the one before is done."""
        buttons = (self.ui.addFolderButton, self.ui.addZipButton, self.ui.sampleButton)
        self._line = BusyBar(self.ui, buttons)
        self._removal = ConfirmButton(self.ui.removeButton, _("Press again to remove"))
        self._drop = DropFilter(self.onPaths)

    @property
    def isBusy(self) -> bool:
        """Whether a model is being added or the sample made."""
        return self._line.work is not None

    @property
    def isMakingSample(self) -> bool:
        """Whether the sample is being made and loaded."""
        return isinstance(self._line.work, SampleMaker)

    @property
    def models(self) -> tuple[InstalledModel, ...]:
        """The models in the order of the list."""
        return tuple(self._models)

    def showWorkAlsoIn(self, ui: Any, button: Any) -> None:
        """Show in another section too what runs, and let its button wait meanwhile; before setUp."""
        self._line.showAlsoIn(ui, button)
        ui.cancelButton.connect("clicked()", self._waiting.clear)

    def offerSample(self, offered: bool) -> None:
        """Have the button of the sample here, or elsewhere."""
        self.ui.sampleButton.setVisible(offered)
        self.ui.sampleLabel.setVisible(offered)

    def setUp(self) -> None:
        """Connect the widgets."""
        self.ui.cancelButton.connect("clicked()", self._waiting.clear)
        self._line.setUp()
        self.ui.addFolderButton.connect("clicked()", self.onAddFolder)
        self.ui.addZipButton.connect("clicked()", self.onAddZip)
        self.ui.revealButton.connect("clicked()", self.onReveal)
        self.ui.removeButton.connect("clicked()", self.onRemove)
        self.ui.sampleButton.connect("clicked()", self.onSample)
        self.ui.modelList.connect("currentRowChanged(int)", self.onRow)
        self.widget.acceptDrops = True
        self.widget.installEventFilter(self._drop)
        self.fill()
        self.frame.collapsed = any(not model.problem for model in self._models)

    def follow(self, parameters: ALHVRSegmentationParameterNode | None) -> None:
        """Look anew at what is installed."""
        self._selected = None
        if parameters is not None:
            self.fill()

    def refresh(self) -> None:
        """Select the model that the parameter node names, unless the user looks at another since."""
        parameters = self.panel.parameters
        if parameters is None or parameters.model == self._selected:
            return
        self._selected = parameters.model
        self._select(parameters.model)

    def dropScene(self) -> None:
        """The scene goes: the sample would be loaded into it."""
        if self.isMakingSample:
            self._line.discard()
            self.panel.say(_("The scene was closed, so making the sample was ended."), "warning")

    def cleanUp(self) -> None:
        """Leave no thread, no child and no half model."""
        self.widget.removeEventFilter(self._drop)
        self._waiting.clear()
        self._line.discard()
        self._removal.takeBack()

    def fill(self) -> None:
        """List what is installed now; the row stays where it can."""
        current = self._model()
        self._models = store.installed()
        self._filling = True
        self.ui.modelList.clear()
        style = self.widget.style()
        for model in self._models:
            item = qt.QListWidgetItem(model.title)
            if model.problem:
                item.setText(_("{title} (cannot be used)").format(title=model.title))
                item.setIcon(style.standardIcon(qt.QStyle.SP_MessageBoxWarning))
            item.setToolTip(f"<p>{shown(model.folder)}</p>")
            self.ui.modelList.addItem(item)
        self._filling = False
        self._select("" if current is None else current.name)

    def onRow(self, *_arguments: object) -> None:
        """The user looks at a model; one that can be used is taken."""
        self._removal.takeBack()
        if self._filling:
            return
        model, parameters = self._model(), self.panel.parameters
        if model is not None and not model.problem and parameters is not None:
            self._selected = model.name
            parameters.model = model.name
        self._showCard()

    def onAddFolder(self) -> None:
        """Ask for a folder."""
        path = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder of a model"), "")
        if path:
            self.onPaths([path])

    def onAddZip(self) -> None:
        """Ask for a zip file."""
        kinds = _("Zipped models") + " (*.zip)"
        path = qt.QFileDialog.getOpenFileName(self.widget, _("Zip file of a model"), "", kinds)
        if path:
            self.onPaths([path])

    def onPaths(self, paths: Sequence[str]) -> None:
        """Add models, one after the other."""
        self._waiting += [path for path in paths if path not in self._waiting]
        self._next()

    def onReveal(self) -> None:
        """Show the folder of the model, or of all, in the file manager."""
        model = self._model()
        folder = store.folder() if model is None else model.folder
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder))):
            self.panel.say(_("The file manager did not open; the folder is {folder}").format(folder=folder), "warning")

    def onRemove(self) -> None:
        """The first press asks, the second removes."""
        model = self._model()
        if model is None:
            return
        if self.panel.isUsingModels:
            self.panel.say(_("A scan is being segmented: models can be removed when that is done."), "warning")
        elif self._removal.press():
            self._remove(model)

    def onSample(self) -> None:
        """Make the sample, or load the one that was made before."""
        if not self.isBusy:
            self.panel.say("")
            self._line.begin(SampleMaker(onDone=self._onSampleDone, onProgress=self._line.onProgress))

    def _remove(self, model: InstalledModel) -> None:
        try:
            store.remove(model.name)
        except store.ModelError as error:
            self.panel.say(str(error), "error")
        else:
            self.panel.say(_("The model {title} was removed.").format(title=model.title))
            parameters = self.panel.parameters
            if parameters is not None and parameters.model == model.name:
                parameters.model = ""
        self._tell()

    def _next(self) -> None:
        """Begin the next import."""
        if not self.isBusy and self._waiting:
            self.panel.say("")
            work = ModelImport(self._waiting.pop(0), onDone=self._onAdded, onProgress=self._line.onProgress)
            self._line.begin(work)

    def _onAdded(self, result: ImportResult) -> None:
        self._line.end()
        self.panel.say(result.sentence, KINDS.get(result.kind, "note"))
        self._take(result.name)
        if result.kind == "failed":
            self._waiting.clear()  # the sentence has to stay
        self._next()

    def _onSampleDone(self, outcome: SampleOutcome) -> None:
        self._line.end()
        if outcome.volume_id:
            self.panel.logic.getParameterNode().inputVolume = slicer.mrmlScene.GetNodeByID(outcome.volume_id)
        self._take(outcome.model)
        self.panel.say(outcome.sentence, KINDS.get(outcome.kind, "note"))
        self._next()

    def _take(self, name: str) -> None:
        """Select a model that has come, and list what there is."""
        if name:
            self._selected = name
            self.panel.logic.getParameterNode().model = name
        self._tell()
        if name:
            self._select(name)

    def _tell(self) -> None:
        """The models have changed: every part of the panel lists them anew."""
        self.fill()
        self.panel.modelsChanged()

    def _model(self) -> InstalledModel | None:
        """The model in the current row, or None."""
        row = self.ui.modelList.currentRow
        return self._models[row] if 0 <= row < len(self._models) else None

    def _select(self, name: str) -> None:
        """Make a model's row the current one, without choosing it."""
        self._filling = True
        names = [model.name for model in self._models]
        self.ui.modelList.setCurrentRow(names.index(name) if name in names else -1)
        self._filling = False
        self._showCard()

    def _showCard(self) -> None:
        model = self._model()
        self.ui.cardLabel.text = shown(self._withoutModel()) if model is None else card(model)
        self.ui.removeButton.enabled = model is not None

    def _withoutModel(self) -> str:
        """What is said in place of a card."""
        wanted = self.panel.parameters.model if self.panel.parameters is not None else ""
        if store.problem():
            return store.problem()
        if wanted:
            return _("The scene asks for the model {name}, which is not installed here.").format(name=wanted)
        if not self._models:
            return _("No model is installed yet. Add or drop its folder or zip file here, or make the sample.")
        return _("Select a model to see what it is.")
