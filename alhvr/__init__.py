"""ALHVR: segmentation models from a few labelled scans and a large unlabelled archive (Lei et al., ICCV 2025).

Loaded before numpy, this file gives numpy's matrix products one thread: they are small here, and OpenBLAS lets its
other threads spin between them on cores that the networks need. Loaded before onnxruntime, it keeps that from sending
reports to its makers, and from leaving a number of this computer in the user's home.
"""

import os

__version__ = "0.1.0"

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
