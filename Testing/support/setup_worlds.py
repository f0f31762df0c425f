"""For tests of the set-up: wheels of a package called onnxruntime, a package server, and a small panel around it."""

from __future__ import annotations

import base64
import hashlib
import http.server
import pathlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

FITTING = "py3-none-any"
GOOD = "InferenceSession = object\n"
METADATA = "Metadata-Version: 2.1\nName: onnxruntime\nVersion: {version}\n"
HOST = "packages.invalid"


def write_wheel(folder: pathlib.Path, code: str = GOOD, *, tag: str = FITTING, version: str = "1.99.0",
                files: dict[str, bytes] | None = None) -> pathlib.Path:
    """A wheel of onnxruntime whose package does ``code``; ``files`` are added, or stand for those of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"onnxruntime-{version}.dist-info"
    content = {
        "onnxruntime/__init__.py": code.encode(),
        f"{info}/METADATA": METADATA.format(version=version).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        **(files or {}),
    }
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    path = folder / f"onnxruntime-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


class _Server(http.server.BaseHTTPRequestHandler):
    """Answers as a package server behind a proxy does; with no wheel it never answers."""

    wheel: pathlib.Path | None = None
    asked: list[str]
    over: threading.Event

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.wheel is None:
            self.over.wait(60)
            return
        page = f'<a href="http://{HOST}/files/{self.wheel.name}">{self.wheel.name}</a>'.encode()
        body = self.wheel.read_bytes() if self.path.endswith(".whl") else page
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if body is page else "application/zip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def package_server(wheel: pathlib.Path | None) -> Iterator[tuple[int, list[str]]]:
    """Its port, and the addresses that it is asked for."""
    over, asked = threading.Event(), []
    handler = type("Handler", (_Server,), {"wheel": wheel, "asked": asked, "over": over})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class SmallPanel:
    """A panel that has the set-up only; keeps what is said."""

    def __init__(self, module_folder: pathlib.Path) -> None:
        self._resources = module_folder / "Resources"
        self.parameters = None
        self.said: list[tuple[str, str]] = []
        self.refreshed = 0
        self.setup = None

    def resourcePath(self, name: str) -> str:
        """As the module's."""
        return str(self._resources / name)

    def say(self, text: str, kind: str = "note") -> None:
        """Keep what is said."""
        if text:
            self.said.append((text, kind))

    def refresh(self) -> None:
        """Refresh the section, as the panel does with all."""
        self.refreshed += 1
        self.setup.refresh()
