"""/metrics, /healthz and /readyz over HTTP, on threads of their own: neither a scrape nor the event loop waits.

Rendering thousands of series takes tens of milliseconds of CPU. One scrape renders at a time, so that impatient
scrapers cost the calls no more than one does. /healthz and /readyz answer anyone: a kubelet has no token to show.
"""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from sidecar import bearer
from sidecar.telemetry.registry import Registry

log = logging.getLogger(__name__)

TEXT = "text/plain; charset=utf-8"
IDLE_S = 10.0
"""A connection that says nothing this long is closed."""
CONNECTIONS = 32
"""Open at once; more are closed unanswered."""


@dataclass(frozen=True, slots=True)
class Locks:
    """What stands between a scraper and the page. Replaced as a whole when a certificate or the token changes."""

    tls: ssl.SSLContext | None = None
    wants_certificate: bool = False
    """Whether /metrics is for clients with a certificate that `tls` trusts."""
    token: bytes | None = field(default=None, repr=False)
    """What /metrics asks for: `Authorization: Bearer TOKEN`."""


class MetricsServer:
    """Serves one registry at `address` (`host:port`, `[::1]:port`; port 0 picks a free one) between start and stop.

    `is_ready` is asked from another thread. It says whether calls are served: false while starting and draining.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        address: str,
        is_ready: Callable[[], bool] = lambda: True,
        locks: Locks = Locks(),
    ) -> None:
        self.locks = locks
        """Those in force. What takes their place holds for the next connection."""
        self._registry = registry
        self._address = address
        self._is_ready = is_ready
        self._rendering = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> str:
        """Bind and serve; returns the address with its real port. OSError where it cannot be bound."""
        owner = self

        class Bound(Handler):
            page = owner

        server = Server(host_and_port(self._address), Bound, lambda: self.locks.tls)
        threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics", daemon=True).start()
        self._server = server
        host, port = server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def stop(self) -> None:
        """Stop listening. Scrapes under way are cut off; the next one would have failed anyway."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def render(self, accept: str) -> tuple[bytes, str]:
        """The exposition and its content type: OpenMetrics (with exemplars) when asked for, else text 0.0.4."""
        with self._rendering:
            if isinstance(self._registry, Registry):
                return self._registry.page(accept)
            encode, content_type = choose_encoder(accept)
            return encode(self._registry), content_type

    def is_ready(self) -> bool:
        return self._is_ready()

    def may_read(self, connection: socket.socket, authorization: str) -> bool:
        """Whether this scraper has shown all that the locks ask for. A token is compared in constant time."""
        locks = self.locks
        if locks.wants_certificate and not (isinstance(connection, ssl.SSLSocket) and connection.getpeercert()):
            return False
        return locks.token is None or bearer.is_same(bearer.shown_in(authorization), locks.token)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        tls: Callable[[], ssl.SSLContext | None],
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._tls = tls
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """On the connection's own thread, so that who stalls in a handshake keeps nobody else waiting."""
        context = self._tls()
        if context is None or not isinstance(request, socket.socket):
            super().finish_request(request, client_address)
            return
        request.settimeout(IDLE_S)
        with context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - socketserver's hook
        """A scraper that hangs up is not worth a traceback on stderr, which is what the base class writes."""
        log.debug("a scrape from %s failed", client_address, exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """One connection. The method names are http.server's."""

    page: MetricsServer
    protocol_version = "HTTP/1.1"
    server_version = "sidecar"
    sys_version = ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics":
            self._metrics()
        elif path == "/healthz":
            self._say(HTTPStatus.OK, b"ok\n")
        elif path == "/readyz":
            self._ready()
        else:
            self._say(HTTPStatus.NOT_FOUND, b"see /metrics, /healthz, /readyz\n")

    do_HEAD = do_GET  # noqa: N815

    def _metrics(self) -> None:
        if not self.page.may_read(self.connection, self.headers.get("Authorization", "")):
            self._say(HTTPStatus.UNAUTHORIZED, b"a token or a client certificate is needed\n", challenge="Bearer")
            return
        try:
            body, content_type = self.page.render(self.headers.get("Accept", ""))
        except Exception:
            log.exception("a scrape could not be rendered")
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, b"the log says why\n")
            return
        self._say(HTTPStatus.OK, body, content_type)

    def _ready(self) -> None:
        if self.page.is_ready():
            self._say(HTTPStatus.OK, b"ready\n")
        else:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, b"not ready\n")

    def _say(self, status: HTTPStatus, body: bytes, content_type: str = TEXT, challenge: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Scrapes are not worth a line each."""


def host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - `:9464` is how an operator asks for all interfaces
