"""Segmenting a scan with a finished model; free of torch but for its torch backend."""
