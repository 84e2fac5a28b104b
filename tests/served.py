"""A local HTTP server with the faults of real ones: it knows Range, and cuts connections when told to."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path


@dataclass
class Served:
    """What a server hands out and how.

    address: without a slash at the end. folder: the files that it hands out.
    cuts: for each of the next answers, after how many bytes the connection is cut; then answers are whole.
    ranges: whether it knows Range. asked: (file, Range or "") of every request.
    """

    folder: Path
    address: str = ""
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, served: Served, *arguments: object) -> None:
        self.served = served
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.served.asked.append((self.path.lstrip("/"), wanted))
        file = self.served.folder / self.path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.served.ranges else 0
        if start >= len(content) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = start + self.served.cuts.pop(0) if self.served.cuts else len(content)
        with suppress(ConnectionError):  # a client may leave
            self.wfile.write(content[start:stop])

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """A server that runs while the block does."""
    served = Served(folder)
    folder.mkdir(exist_ok=True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, served)) as server:
        served.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
