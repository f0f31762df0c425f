"""SecondPress: a button that asks by its own text before it does what cannot be undone, without a pop-up."""

import time

import qt

from ALHVRSegmentationLib.section import DOUBLE_CLICK_S

WAIT_MS = 6000
"""How long the question stands."""


class SecondPress:
    """Follows the presses of a button; `question` is its text while it waits for the second one."""

    def __init__(self, button, question):
        self._button, self._question, self._text = button, question, button.text
        self.askedAt = None
        """When it was pressed first, on the monotonic clock; None while nothing is asked."""
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.connect("timeout()", self.takeBack)

    def press(self):
        """Tell of a press; True when it confirms the one before."""
        if self.askedAt is None:
            self.askedAt = time.monotonic()
            self._button.text = self._question
            self._timer.start()
            return False
        if time.monotonic() - self.askedAt < DOUBLE_CLICK_S:
            return False
        self.takeBack()
        return True

    def takeBack(self):
        """Ask no more."""
        self.askedAt = None
        self._timer.stop()
        self._button.text = self._text
