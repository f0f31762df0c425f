"""ModelBox: the list of installed models from which one is chosen, kept in step with the parameter node."""

from slicer.i18n import tr as _

from ALHVRSegmentationLib.models import store


class ModelBox:
    """A combo box with the installed models; the item data are the names of their folders."""

    def __init__(self, box, panel):
        self._box = box
        self._panel = panel
        self._models = {}
        self._filling = False

    def setUp(self):
        """Connect the box."""
        self._box.connect("currentIndexChanged(int)", self.onIndexChanged)

    def fill(self):
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

    def select(self, name):
        """Show a model by the name of its folder."""
        index = self._box.findData(name)
        if index != self._box.currentIndex:
            self._filling = True
            self._box.currentIndex = index
            self._filling = False

    def chosen(self):
        """The model that is chosen, or None."""
        parameters = self._panel.parameters
        return None if parameters is None else self._models.get(parameters.model)

    def channelNames(self):
        """Names of the channels that the chosen model needs; one unnamed without a model."""
        model = self.chosen()
        return tuple(model.channel_names) if model is not None and model.channel_names else ("",)

    def onIndexChanged(self, index):
        """The user chose."""
        if not self._filling and self._panel.parameters is not None:
            self._panel.parameters.model = self._box.itemData(index) if index >= 0 else ""
