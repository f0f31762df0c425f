"""Runs ``python -m alhvr segment ...`` and notes when what was reached; for cold_start and growth_of_segmenting.

    python stamped_segment.py STAMPS.json THREADS segment SCAN --model MODEL --out OUT

THREADS 0: as many as the engine chooses. STAMPS.json: moments on the clock that all processes share ("python",
"verified", "library", "loaded", "ready"), processor seconds until ready and in all ("ready_cpu", "cpu"), seconds in the
networks ("networks"), largest resident memory ("peak_gb"), the exit code ("code") and what was loaded ("libraries").
"""

import time

STAMPS = {"python": time.monotonic(), "networks": 0.0}

import importlib  # noqa: E402
import json  # noqa: E402
import runpy  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

FILES = {"onnxruntime": "onnx_backend", "openvino": "openvino_backend", "torch": "torch_backend"}
"""The file of each backend, imported just before it is chosen, to tell the library from the networks."""


class Stamped:
    """A backend that notes its first use and the time inside encode and decode."""

    def __init__(self, backend):
        self._backend = backend

    def __getattr__(self, name):
        found = getattr(self._backend, name)
        return self._timed(found) if name in ("encode", "decode", "decode_twice") else found

    def _timed(self, step):
        def timed(*arguments):
            started = time.monotonic()
            if "ready" not in STAMPS:
                STAMPS.update(ready=started, ready_cpu=time.process_time())
            try:
                return step(*arguments)
            finally:
                STAMPS["networks"] += time.monotonic() - started
        return timed


def main() -> None:
    """Lets the command run as it is, apart from the backend it gets."""
    into, threads, *arguments = sys.argv[1:]
    here, sys.path[0] = sys.path[0], ""
    from alhvr.inference import run

    choose = run.choose_backend

    def chosen(model, **wishes):
        STAMPS["verified"] = time.monotonic()
        importlib.import_module(f"alhvr.inference.{FILES[wishes['backend']]}")
        STAMPS["library"] = time.monotonic()
        if int(threads):
            wishes["threads"] = int(threads)
        backend = choose(model, **wishes)
        STAMPS["loaded"] = time.monotonic()
        return Stamped(backend)

    run.choose_backend = chosen
    sys.argv = ["alhvr", *arguments]
    try:
        runpy.run_module("alhvr", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        STAMPS["code"] = end.code
    STAMPS["cpu"] = time.process_time()
    roots = {name.split(".")[0] for name in sys.modules}
    STAMPS["libraries"] = sorted(roots - set(sys.stdlib_module_names))
    sys.path.insert(0, here)
    from memory_use import peak_gb

    STAMPS["peak_gb"] = peak_gb()
    Path(into).write_text(json.dumps(STAMPS), encoding="utf-8")


if __name__ == "__main__":
    main()
