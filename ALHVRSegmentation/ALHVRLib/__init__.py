"""What the Slicer modules of ALHVR share: panel, sections, child process, set-up, models, scene."""
