"""The parts that configs/inference.json of a model folder names, so that MONAI's own tools can build and run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Unpack

import torch
from torch import Tensor

from alhvr.bundle.model import read_model
from alhvr.core.errors import UserError
from alhvr.data.case_io import read_case
from alhvr.data.cases import Case, find_cases
from alhvr.data.reading import read_scan
from alhvr.data.scan import Scan, Segmentation
from alhvr.export.volumes import write_segmentation
from alhvr.inference.predictor import Predictor
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.group import PAIR, NetworkGroup
from alhvr.networks.registry import NetworkOptions


class FusedNetwork(NetworkGroup):
    """All networks as one: a prepared patch in, fused class probabilities out. Loads models/model.pt as it is."""

    def __init__(
        self,
        kind: str,
        dimensions: Literal[2, 3],
        n_classes: int,
        fusion: str = "mean",
        names: Sequence[str] = PAIR,
        **options: Unpack[NetworkOptions],
    ) -> None:
        """``n_classes`` counts the background; ``fusion`` as in InferenceSettings; ``names`` of the networks."""
        super().__init__(kind, dimensions, n_classes, names, **options)
        self._fusion = fusion

    def forward(self, image: Tensor) -> Tensor:
        """[B, M, *S], sides multiples of 16, to probabilities [B, C, *S] that sum to 1 over C."""
        found = {name: network(image).softmax(1) for name, network in self.items()
                 if self._fusion not in self.names or name == self._fusion}
        if self._fusion in ("mean", *self.names):
            return sum(found.values()) / len(found)
        a, b = found.values()
        return torch.where(a.amax(1, keepdim=True) >= b.amax(1, keepdim=True), a, b)


def list_scans(folder: str, channels: int = 1) -> list[str] | list[Case]:
    """Paths of the scans in a folder, in the layouts that ``alhvr segment`` knows; cases where they have several
    ``channels``. Raises UserError when there are none, and when one lacks a channel."""
    found = find_cases(Path(folder), labeled=False, channels=channels)
    if found.incomplete:
        raise UserError(found.incomplete[0].reason, "Add the file, or take the whole scan away.")
    return list(found.cases) if channels > 1 else [str(case.image) for case in found.cases]


class ReadScan:
    """Transform: path of a scan, or a case of several channels, to the Scan."""

    def __call__(self, scan: str | Case) -> Scan:
        """Raises UserError when a file is no scan."""
        return read_case(scan) if isinstance(scan, Case) else read_scan(Path(scan))


class ScanInferer:
    """Segments a whole scan as the model's plan and settings say; the engine's own predictor."""

    def __init__(self, bundle_root: str, device: torch.device) -> None:
        """Reads and verifies the model folder ``bundle_root``; raises UserError when it is damaged."""
        self._description = read_model(Path(bundle_root)).description
        self._device = device

    def __call__(self, inputs: Scan, network: NetworkGroup) -> Segmentation:
        """The segmentation of ``inputs`` on its own grid."""
        about = self._description
        backend = TorchBackend(network, str(self._device), "fp32")
        return Predictor(backend, about.plan, about.labels, about.inference).segment(inputs).segmentation


class SaveSegmentation:
    """Writes OUTPUT_DIR/NAME + EXTENSION, where NAME is the scan's."""

    def __init__(self, output_dir: str, extension: str = ".nii.gz") -> None:
        """``extension``: .nii.gz, .nrrd, .seg.nrrd or .mha; the folder is made when the first result is there."""
        self._folder, self._extension = Path(output_dir), extension

    def __call__(self, segmentation: Segmentation) -> Path:
        """Returns the path that was written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return write_segmentation(self._folder / f"{segmentation.name}{self._extension}", segmentation)


class FolderEvaluator:
    """Runs the inferer on every scan of the dataset and hands the result on."""

    def __init__(
        self,
        dataset: Iterable[Scan],
        network: NetworkGroup,
        inferer: Callable[[Scan, NetworkGroup], Segmentation],
        postprocessing: Callable[[Segmentation], Path],
    ) -> None:
        self._dataset, self._network = dataset, network
        self._inferer, self._postprocessing = inferer, postprocessing

    def run(self) -> list[Path]:
        """Segments one scan after the other; returns what was written."""
        return [self._postprocessing(self._inferer(scan, self._network)) for scan in self._dataset]
