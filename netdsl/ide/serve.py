"""A server of static files that were compressed beforehand: the playground's."""

from __future__ import annotations

import re
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from netdsl import data

_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
"""What the files are compressed by, the best first, and how they are called then."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".net": "text/plain; charset=utf-8",
    ".json": "application/json",
}
_LASTING = re.compile(r"-[0-9A-Za-z]{8,10}\.\w+$|/pyodide-[\d.]+/")
"""Addresses that say what is there: of a hash, or of a version."""


def built() -> Path:
    """Return where the playground of this checkout is, if it has been built; a wheel has none."""
    return data.folder("playground") / "dist"


class Server(ThreadingHTTPServer):
    """Serves a folder."""

    daemon_threads = True

    def __init__(self, folder: Path, host: str, port: int) -> None:
        """Listen; OSError if that cannot be."""
        super().__init__((host, port), partial(_Handler, directory=str(folder)))

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that has gone away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def address(self) -> str:
        """Where the page is."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}/"


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Send the headers of a file; return what follows, compressed as the browser takes it."""
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        kind = _TYPES.get(path.suffix, "application/octet-stream")
        try:
            encoding, file = self._chosen(path)
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        where = self.path.partition("?")[0]
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(file.seek(0, 2)))
        self.send_header("Vary", "Accept-Encoding")
        if encoding:
            self.send_header("Content-Encoding", encoding)
        lasting = "public, max-age=31536000, immutable"
        self.send_header("Cache-Control", lasting if _LASTING.search(where) else "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        file.seek(0)
        return file

    def _chosen(self, path: Path) -> tuple[str, BinaryIO]:
        """Return how a file is encoded that is sent, and the file; OSError if there is none."""
        offered = self.headers.get("Accept-Encoding", "")
        taken = {
            name.strip().lower()
            for name, _, weight in (one.partition(";") for one in offered.split(","))
            if weight.replace(" ", "") not in ("q=0", "q=0.0")
        }
        for encoding, suffix in _ENCODINGS:
            compressed = path.with_name(path.name + suffix)
            if encoding in taken and compressed.is_file():
                return encoding, compressed.open("rb")
        return "", path.open("rb")
