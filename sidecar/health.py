"""Is a process here, and does it serve? `python -m sidecar.health URL`, for the health checks of containers.

It imports no part of the sidecar and takes tens of milliseconds: every container asks it every few seconds.

- `http://host:port/path`, `https://`: answers 200, as `/readyz` of a sidecar does. The certificate is not looked at:
  what answers on the own loopback of a container is not in doubt, and a kubelet does not look either.
- `grpc://host:port`: answers SERVING to gRPC's health protocol, as verifiers do.
- `tcp://host:port`: takes a connection; all that can be asked of an agent that knows no health protocol.

Exit codes: 0 it serves, 1 it does not, 64 a mistake of the operator's.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

LIMIT_S: Final = 2.0
"""For one answer. Below the time-out of the container's own check, so that it is we who say what is wrong."""

SERVES: Final = 0
SERVES_NOT: Final = 1
USAGE: Final = 64

SERVING: Final = b"\x08\x01"
"""grpc.health.v1.HealthCheckResponse with status SERVING (field 1, value 1)."""


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        return said(f"found {len(arguments)} arguments; allowed: one URL", USAGE)
    try:
        url = urlsplit(arguments[0])
        address = (url.hostname or "", url.port or 0)
    except ValueError as error:
        return said(f"found {arguments[0]!r} ({error}); allowed: {ALLOWED}", USAGE)
    ask = WAYS.get(url.scheme)
    if ask is None or not all(address):
        return said(f"found {arguments[0]!r}; allowed: {ALLOWED}", USAGE)
    trouble = ask(url, address)
    return said(trouble, SERVES_NOT) if trouble else SERVES


def said(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code


def over_http(url: SplitResult, address: tuple[str, int]) -> str:
    """What is wrong; empty where nothing is. No proxy is asked, whatever the environment says."""
    connection = HTTPConnection(*address, timeout=LIMIT_S) if url.scheme == "http" else over_tls(address)
    try:
        connection.request("GET", url.path or "/")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"{url.geturl()}: {error or type(error).__name__}"
    finally:
        connection.close()
    return "" if status == 200 else f"{url.geturl()} answers {status}"


def over_tls(address: tuple[str, int]) -> HTTPSConnection:
    import ssl  # as costly as all the rest

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection(*address, timeout=LIMIT_S, context=context)


def over_grpc(url: SplitResult, address: tuple[str, int]) -> str:
    import grpc  # the other two ways are asked far more often and do without

    target = f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer: bytes = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=LIMIT_S)
        except grpc.RpcError as error:
            return f"{url.geturl()}: {error.code().name}"
    return "" if answer == SERVING else f"{url.geturl()} does not serve"


def over_tcp(url: SplitResult, address: tuple[str, int]) -> str:
    try:
        socket.create_connection(address, timeout=LIMIT_S).close()
    except OSError as error:
        return f"{url.geturl()}: {error}"
    return ""


WAYS: Final[Mapping[str, Callable[[SplitResult, tuple[str, int]], str]]] = MappingProxyType(
    {"http": over_http, "https": over_http, "grpc": over_grpc, "tcp": over_tcp}
)
ALLOWED: Final = "http://host:port/path, https://host:port/path, grpc://host:port or tcp://host:port"

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
