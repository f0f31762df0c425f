"""ALHVR: segmentation models from a few labelled scans and a large unlabelled archive (Lei et al., ICCV 2025)."""

__version__ = "0.1.0"
