"""A process that may be killed: where a verifier runs what cannot be interrupted.

A pattern that backtracks for ever or an expression that doubles a string until memory is gone cannot be stopped inside
a thread. So such work runs in a few child processes, one job at a time each, with a limit on time and on memory. The
kernel ends a job that passes its limit, also when this process is gone; the next job gets a new child.

A target is `module:function`, a function from bytes to bytes. It runs in the child, so it may keep caches there.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import queue
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

_READY = b"ready"
_START_LIMIT_MS = 20_000
"""Importing a verifier's engine on a busy machine takes seconds; it happens once for each child."""
_GRACE_MS = 250
"""The kernel's alarm comes first; this is how much later we stop waiting for it."""


class Caged(Exception):
    """The job did not end within its limits, or its child died. Nothing is known about its answer."""


class _Child:
    """One child process and the socket to it."""

    def __init__(self, target: str, limit_ms: int, memory_bytes: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            command = [sys.executable, "-m", "verifiers.cage", target, str(fd), str(limit_ms), str(memory_bytes)]
            self._process = subprocess.Popen(command, pass_fds=(fd,), stdin=subprocess.DEVNULL)  # noqa: S603 our own
        self._pipe = Connection(ours.detach())
        self._limit_ms = limit_ms
        self._is_ready = False

    def run(self, payload: bytes) -> bytes:
        if not self._is_ready:
            self._receive(_START_LIMIT_MS)
            self._is_ready = True
        self._pipe.send_bytes(payload)
        return self._receive(self._limit_ms + _GRACE_MS)

    def _receive(self, limit_ms: int) -> bytes:
        if not self._pipe.poll(limit_ms / 1000):
            raise TimeoutError
        return self._pipe.recv_bytes()

    def kill(self) -> None:
        """Ends the child now and collects it, so that none is left behind."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()


class Cage:
    """A few children that run one target. Safe to use from several threads and event loops."""

    def __init__(self, target: str, *, workers: int = 2, limit_ms: int = 2_000, memory_bytes: int = 1 << 30) -> None:
        self._target = target
        self._limit_ms = limit_ms
        self._memory_bytes = memory_bytes
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="cage")
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        self._all: set[_Child] = set()
        self._lock = threading.Lock()

    async def run(self, payload: bytes) -> bytes:
        """The target's answer. Raises `Caged` where there is none. Waits for a free child if all are at work."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, payload)

    def _run(self, payload: bytes) -> bytes:
        child = self._take()
        try:
            answer = child.run(payload)
        except (TimeoutError, EOFError, OSError) as error:
            self._discard(child)
            raise Caged(f"no answer within {self._limit_ms} ms and {self._memory_bytes >> 20} MiB") from error
        self._idle.put(child)
        return answer

    def _take(self) -> _Child:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        child = _Child(self._target, self._limit_ms, self._memory_bytes)
        with self._lock:
            self._all.add(child)
        return child

    def _discard(self, child: _Child) -> None:
        with self._lock:
            self._all.discard(child)
        child.kill()

    def close(self) -> None:
        """Ends all children. Jobs that still run end as `Caged`."""
        self._threads.shutdown(cancel_futures=True)
        for child in list(self._all):
            self._discard(child)


def _work(target: Callable[[bytes], bytes], pipe: Connection, limit_ms: int) -> None:
    """Answers jobs until the parent is gone. SIGALRM keeps its default: the kernel ends us, whatever we are doing."""
    pipe.send_bytes(_READY)
    while True:
        try:
            payload = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        signal.setitimer(signal.ITIMER_REAL, limit_ms / 1000)
        answer = target(payload)
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send_bytes(answer)


def _main(target: str, fd: int, limit_ms: int, memory_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    module, _, function = target.partition(":")
    loaded: Callable[[bytes], bytes] = getattr(importlib.import_module(module), function)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _work(loaded, Connection(fd), limit_ms)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
