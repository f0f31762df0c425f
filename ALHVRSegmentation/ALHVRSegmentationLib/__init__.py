"""The parts of the module ALHVR Segmentation; the engine itself runs in a child process and is never imported here."""
