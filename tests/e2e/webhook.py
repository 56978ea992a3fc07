"""The receiver at the end of the line: whoever would have been woken up."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert in one notification."""

    at_s: float
    """When it came, on the monotonic clock."""
    receiver: str
    status: str
    """`firing` or `resolved`."""
    name: str
    labels: Mapping[str, str]
    """Without `alertname`."""
    annotations: Mapping[str, str]


class Webhook:
    """Use as `with Webhook() as webhook`. Listens on 127.0.0.1 only, and keeps all that it is told."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self.deliveries))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Webhook:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def told(self, status: str, name: str, labels: Mapping[str, str], since_s: float) -> Delivery | None:
        """The first notification since `since_s` of exactly this alert in this state."""
        found = (
            delivery
            for delivery in list(self.deliveries)
            if delivery.at_s >= since_s
            and (delivery.status, delivery.name) == (status, name)
            and delivery.labels == labels
        )
        return next(found, None)


def handler(deliveries: list[Delivery]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            deliveries.extend(deliveries_in(json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """What came is kept, not printed."""

    return Handler


def deliveries_in(notification: Mapping[str, Any]) -> list[Delivery]:
    return [delivery(notification["receiver"], alert) for alert in notification["alerts"]]


def delivery(receiver: str, alert: Mapping[str, Any]) -> Delivery:
    labels = dict(alert["labels"])
    return Delivery(time.monotonic(), receiver, alert["status"], labels.pop("alertname"), labels, alert["annotations"])
