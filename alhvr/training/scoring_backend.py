"""Scoring backend: trained networks run as users will run them, so that validation scores what they will get."""

from __future__ import annotations

from collections.abc import Mapping

from alhvr.core.errors import UserError
from alhvr.core.progress import Reporter
from alhvr.inference.backends import Backend, backend_of_graphs
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.group import NetworkGroup
from alhvr.training.checked_graphs import NoGraphs, checked_graphs
from alhvr.training.device import Compute


def scoring_backend(networks: NetworkGroup, graphs: Mapping[str, bytes] | None, compute: Compute,
                    reporter: Reporter) -> Backend:
    """The ``graphs`` of ``networks`` on the CPU; PyTorch on a GPU, where there are no graphs, or they cannot be run.

    On the CPU in fp32, with the run's own number of threads, so that a resumed run finds the same scores.
    """
    if compute.device != "cpu":
        return TorchBackend(networks, compute.device, compute.precision)
    if graphs:
        try:
            return backend_of_graphs(graphs, threads=compute.threads, exact=True)
        except UserError as error:
            reporter.warning(f"The ONNX files cannot be run here, so PyTorch validates: {error}")
    return TorchBackend(networks, "cpu", "fp32")


class ScoringBackends:
    """Scoring backends of networks that still learn; says once where they cannot be had as ONNX."""

    def __init__(self, compute: Compute, reporter: Reporter) -> None:
        self._compute, self._reporter = compute, reporter
        self._has_warned = False

    def of(self, networks: NetworkGroup) -> Backend:
        """A backend with the weights that ``networks`` have now."""
        graphs = self._graphs(networks) if self._compute.device == "cpu" else None
        return scoring_backend(networks, graphs, self._compute, self._reporter)

    def _graphs(self, networks: NetworkGroup) -> dict[str, bytes] | None:
        try:
            return checked_graphs(networks)
        except NoGraphs as error:
            if not self._has_warned:
                self._reporter.warning(f"{error} PyTorch validates instead. If this stays so, the finished model will "
                                       "need PyTorch for segmenting.")
            self._has_warned = True
            return None
