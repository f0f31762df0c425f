"""Scans, labels, geometry and the way from a scan to the network and back."""
