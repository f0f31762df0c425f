"""WorkLine: the bar, the text and the Cancel of whatever runs in the section; never two things at once."""

from ALHVRSegmentationLib.section import show_fraction


class WorkLine:
    """Shows one work at a time: anything with start(), cancel() and discard().

    Args:
        ui: has busyFrame, busyLabel, busyBar and cancelButton.
        buttons: those that begin work, which wait meanwhile.
    """

    def __init__(self, ui, buttons):
        self._uis, self._buttons = [ui], list(buttons)
        self.work = None
        """What runs, or None."""

    def showAlsoIn(self, ui, button):
        """Show the work in another place too; before setUp."""
        self._uis.append(ui)
        self._buttons.append(button)

    def setUp(self):
        """Connect Cancel."""
        for ui in self._uis:
            ui.cancelButton.connect("clicked()", self.onCancel)
        self.end()

    def begin(self, work):
        """Start a work; whoever made it calls end() when it is done."""
        self.work = work
        self._show()
        work.start()

    def end(self):
        """Nothing runs any more."""
        self.work = None
        self._show()

    def discard(self):
        """End what runs at once; it tells nobody."""
        if self.work is not None:
            self.work.discard()
            self.end()

    def onProgress(self, text, fraction):
        """The work is at some point; fraction None: nobody knows how far."""
        for ui in self._uis:
            ui.busyLabel.text = text
            show_fraction(ui.busyBar, fraction)

    def onCancel(self):
        """Ask the work to stop."""
        if self.work is not None:
            for ui in self._uis:
                ui.cancelButton.enabled = False
            self.work.cancel()

    def _show(self):
        for ui in self._uis:
            ui.busyFrame.setVisible(self.work is not None)
            ui.cancelButton.enabled = True
        self.onProgress("", None)
        for button in self._buttons:
            button.enabled = self.work is None
