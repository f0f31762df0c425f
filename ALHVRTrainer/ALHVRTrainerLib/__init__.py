"""The parts of the module ALHVR Trainer. It stands on ALHVRLib, which the module ALHVR Segmentation brings."""

import ALHVRLib  # noqa: F401  makes the package alhvr importable
