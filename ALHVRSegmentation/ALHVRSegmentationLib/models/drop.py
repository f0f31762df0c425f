"""Drop: takes files and folders that are dragged from the file manager onto a widget."""

import qt


class DropFilter(qt.QObject):
    """Event filter for a widget that accepts drops; calls onPaths with a list of local paths."""

    def __init__(self, onPaths):
        qt.QObject.__init__(self)
        self.onPaths = onPaths

    def eventFilter(self, _watched, event):
        """Accept what has a path on this computer, let everything else pass."""
        kind = event.type()
        if kind not in (qt.QEvent.DragEnter, qt.QEvent.DragMove, qt.QEvent.Drop):
            return False
        paths = local_paths(event.mimeData())
        if not paths:
            return False
        event.acceptProposedAction()
        if kind == qt.QEvent.Drop:
            self.onPaths(paths)
        return True


def local_paths(data):
    """Paths of the files and folders in what is dragged."""
    if data is None or not data.hasUrls():
        return []
    return [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
