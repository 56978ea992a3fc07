"""Real processes: a sidecar started as a user would start it, and an agent that can be killed."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

CHUNK = b"\0" * (64 << 10)
START_LIMIT_S = 30.0


class Agent(grpc.GenericRpcHandler):
    """Echo answers with what it got; Ticks and Flood never stop by themselves; Slow answers after a while."""

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        name = details.method.rpartition("/")[2]
        if name in ("Echo", "Slow"):
            return grpc.unary_unary_rpc_method_handler(echo if name == "Echo" else slow)
        return grpc.stream_stream_rpc_method_handler(ticks if name == "Ticks" else flood)


async def echo(request: bytes, context: Any) -> bytes:
    return request


async def slow(request: bytes, context: Any) -> bytes:
    await asyncio.sleep(1.0)
    return request


async def ticks(requests: Any, context: Any) -> None:
    while True:
        await context.write(b"tick")
        await asyncio.sleep(0.01)


async def flood(requests: Any, context: Any) -> None:
    while True:
        await context.write(CHUNK)


class Program:
    """A child process and what it printed."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environ},
        )
        self.printed = ""

    def read_until(self, pattern: str) -> str:
        """The first group of the first line that matches."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.printed += line
            if found := re.search(pattern, line):
                return found.group(found.lastindex or 0)
        raise AssertionError(f"ended without printing {pattern!r}:\n{self.printed}")

    def rss_mib(self) -> float:
        pages = int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def terminate(self) -> None:
        self._child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()

    def wait(self, limit_s: float = 30.0) -> int:
        printed, _ = self._child.communicate(timeout=limit_s)
        self.printed += printed or ""
        return self._child.returncode

    def close(self) -> None:
        if self._child.poll() is None:
            self.kill()
        if self._child.stdout is not None:
            self._child.stdout.close()


@contextmanager
def agent(port: int = 0) -> Iterator[tuple[Program, int]]:
    program = Program("-m", "tests.process.programs", "--port", str(port))
    try:
        yield program, int(program.read_until(r"serving on (\d+)"))
    finally:
        program.close()


@contextmanager
def sidecar(upstream: int, listen: int = 0, *more: str) -> Iterator[tuple[Program, int]]:
    flags = ["--agent", "worker", "--listen", f"127.0.0.1:{listen}", "--upstream", f"127.0.0.1:{upstream}"]
    program = Program("-m", "sidecar", "run", *flags, "--metrics", "127.0.0.1:0", *more, OTEL_TRACES_EXPORTER="none")
    try:
        port = int(program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)"))
        program.read_until("^ready")
        yield program, port
    finally:
        program.close()


def eventually(is_so: Any, limit_s: float = 10.0) -> bool:
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if is_so():
            return True
        time.sleep(0.02)
    return False


async def serve(port: int) -> None:
    server = aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Agent(),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(f"serving on {bound}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
