"""The small model that ships with alhvr, as a zip beside this file; benchmarks/make_sample_model.py made it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from alhvr.bundle.model import Model, read_model
from alhvr.core.errors import UserError

ZIP = Path(__file__).with_name("model.zip")


def unpack_model(folder: Path) -> Model:
    """Unpacks the model into ``folder`` and verifies it; raises UserError where this installation has no whole one."""
    try:
        with zipfile.ZipFile(ZIP) as archive:
            archive.extractall(folder)
        return read_model(folder)
    except (FileNotFoundError, zipfile.BadZipFile, UserError) as error:
        raise UserError(f"The sample model {ZIP} is missing or damaged.", "Install alhvr again.") from error
