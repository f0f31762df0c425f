"""Changed ONNX files of the sample model, looked at and run: python benchmarks/fuzz_graphs.py [COUNT] [BACKEND] [SEED]

Each has a few bytes changed, mostly outside of the weights. What is let through runs on an image; a process that a
runtime takes down leaves the file as last.onnx. Prints how many were refused by the look, by the runtime, and ran.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from alhvr.bundle.graphs import require_graphs
from alhvr.core.errors import UserError
from alhvr.inference.backends import backend_of_graphs
from alhvr.phantom.sample import unpack_model

BYTES = (0, 1, 2, 0x7F, 0x80, 0xFF)
HEAD, TAIL = 4000, 2500
"""Where the steps and the inputs and outputs stand; most of what lies between are weights."""


def main(count: int = 1000, backend: str = "onnxruntime", seed: int = 0) -> None:
    """Changes, looks and runs ``count`` times."""
    draw, outcomes = random.Random(seed), Counter()
    image = np.zeros((1, 1, 32, 32), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        model = unpack_model(Path(folder) / "model")
        graphs = {name: path.read_bytes() for name, path in model.graph_files().items()}
    for _ in range(count):
        name = draw.choice(("a_encoder", "a_decoder"))
        changed = graphs | {name: _changed(graphs[name], draw)}
        Path("last.onnx").write_bytes(changed[name])
        outcomes[_outcome(changed, model.description.network, backend, image)] += 1
    Path("last.onnx").unlink()
    print(f"{backend}: {dict(outcomes)}")


def _changed(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.randrange(1, 4)):
        place = draw.randrange(HEAD) if draw.random() < 0.6 else len(content) - 1 - draw.randrange(TAIL)
        changed[place] = draw.choice((*BYTES, draw.randrange(256)))
    return bytes(changed)


def _outcome(graphs: dict[str, bytes], spec, backend: str, image: np.ndarray) -> str:
    try:
        require_graphs(graphs, spec)
    except UserError:
        return "refused by the look"
    try:
        runner = backend_of_graphs(graphs, backend=backend, threads=1, exact=True)
        runner.decode("a", runner.encode("a", image))
    except UserError:
        return "refused by the runtime"
    return "ran"


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, str, int), sys.argv[1:], strict=False)))
