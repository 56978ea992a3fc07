"""Start, drain, death and return of real processes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.process.programs import Program, agent, eventually, sidecar

AT_ONCE_S = 2.0


def echo(port: int, payload: bytes = b"hello", timeout: float = 5.0) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer: bytes = channel.unary_unary("/t.Agent/Echo")(payload, timeout=timeout)
    return answer


def error_of(call: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def refused(port: int) -> grpc.StatusCode:
    code: grpc.StatusCode = error_of(lambda: echo(port, timeout=1.0)).code()
    return code


def answers(port: int) -> bool:
    try:
        return echo(port, timeout=1.0) == b"hello"
    except grpc.RpcError:
        return False


def drained(call: Any) -> None:
    for _ in call:
        pass


def test_a_sidecar_started_by_flags_passes_a_call_on():
    """The shortest way to run it."""
    with agent() as (_, upstream), sidecar(upstream) as (_, port):
        assert echo(port, b"through") == b"through"


def test_sigterm_lets_open_calls_finish_and_exits_with_0():
    """Listening stops at once; a call that is under way gets its answer."""
    with agent() as (_, upstream), sidecar(upstream) as (program, port):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            under_way = channel.unary_unary("/t.Agent/Slow").future(b"take your time", timeout=10)
            assert echo(port) == b"hello"
            program.terminate()
            program.read_until("draining")
            # A call that arrives in the very moment of the stop may hear CANCELLED from grpc; after it, nobody listens.
            assert eventually(lambda: refused(port) is grpc.StatusCode.UNAVAILABLE)
            assert under_way.result() == b"take your time"
        assert program.wait() == 0
        assert "stopped" in program.printed


def test_calls_that_outlive_the_drain_are_ended_and_the_exit_code_is_0(tmp_path: Path):
    """A stream that never stops may not keep the process for ever."""
    path = tmp_path / "sidecar.yaml"
    with agent() as (_, upstream):
        path.write_text(
            f"agent: worker\nroutes: [{{listen: '127.0.0.1:0', upstream: '127.0.0.1:{upstream}'}}]\n"
            "metrics: {listen: '127.0.0.1:0'}\ntracing: {exporter: none}\ndrain: {timeout: 300ms}\n"
        )
        program = Program("-m", "sidecar", "run", "-c", str(path))
        port = int(program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)"))
        program.read_until("^ready")
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stream = channel.stream_stream("/t.Agent/Ticks")(iter(()), timeout=30)
            assert next(stream) == b"tick"
            program.terminate()
            error_of(lambda: drained(stream))
        assert program.wait(10) == 0
        program.close()


def test_killed_agent_in_mid_stream_is_unavailable_at_once():
    """The caller learns it from the status, not from a time-out; and a restarted agent is served again."""
    with agent() as (worker, upstream), sidecar(upstream) as (_, port):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stream = channel.stream_stream("/t.Agent/Ticks")(iter(()), timeout=30)
            assert next(stream) == b"tick"
            killed_s = time.monotonic()
            worker.kill()
            assert error_of(lambda: drained(stream)).code() is grpc.StatusCode.UNAVAILABLE
            assert time.monotonic() - killed_s < AT_ONCE_S
        error = error_of(lambda: echo(port))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert ("sidecar-reply", "UPSTREAM_UNREACHABLE") in [tuple(entry) for entry in error.trailing_metadata()]
        with agent(upstream):
            assert eventually(lambda: answers(port))


def test_killed_sidecar_in_mid_stream_is_unavailable_at_once_and_a_new_one_serves():
    """Both neighbours see a proper status, and the address works again as soon as somebody listens."""
    with agent() as (_, upstream):
        with sidecar(upstream) as (program, port), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stream = channel.stream_stream("/t.Agent/Ticks")(iter(()), timeout=30)
            assert next(stream) == b"tick"
            killed_s = time.monotonic()
            program.kill()
            assert error_of(lambda: drained(stream)).code() is grpc.StatusCode.UNAVAILABLE
            assert time.monotonic() - killed_s < AT_ONCE_S
        with sidecar(upstream, port):
            assert eventually(lambda: answers(port))


def test_second_sidecar_on_one_port_refuses_to_start():
    """Sharing the port, each would silently get half of the calls."""
    with agent() as (_, upstream), sidecar(upstream) as (_, port):
        flags = ["--agent", "worker", "--listen", f"127.0.0.1:{port}", "--upstream", f"127.0.0.1:{upstream}"]
        second = Program("-m", "sidecar", "run", *flags, "--metrics", "127.0.0.1:0")
        assert second.wait() == 64
        assert f"127.0.0.1:{port}" in second.printed
        assert echo(port) == b"hello"


def test_every_mistake_of_a_file_is_said_and_the_exit_code_is_64(tmp_path: Path):
    """Before any socket is bound, each with its place, what was found and what is allowed."""
    path = tmp_path / "sidecar.yaml"
    path.write_text("agent: 7\nmode: on\nroutes: [{listen: nowhere, upstream: ':1', deadline: soon}]\n")
    program = Program("-m", "sidecar", "run", "-c", str(path))
    assert program.wait() == 64
    for place in ("mode", "routes[0].listen", "routes[0].deadline"):
        assert place in program.printed
    assert program.printed.count("allowed") >= 3


def test_slow_reader_of_a_long_stream_keeps_our_memory_flat():
    """A gibibyte would flow if anybody read it: what we hold meanwhile is bounded."""
    with agent() as (_, upstream), sidecar(upstream) as (program, port):
        echo(port)
        before_mib = program.rss_mib()
        peak_mib = 0.0
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stream = channel.stream_stream("/t.Agent/Flood")(iter(()), timeout=60)
            for _ in range(40):
                next(stream)
                time.sleep(0.05)
                peak_mib = max(peak_mib, program.rss_mib())
            stream.cancel()
        assert peak_mib - before_mib < 64


def test_a_gibibyte_passes_and_leaves_nothing_behind():
    """Memory is flat while a fast reader takes it all, too."""
    with agent() as (_, upstream), sidecar(upstream) as (program, port):
        echo(port)
        before_mib = program.rss_mib()
        watch = Watch(program)
        with watch, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stream = channel.stream_stream("/t.Agent/Flood")(iter(()), timeout=110)
            received = 0
            while received < 1 << 30:
                received += len(next(stream))
            stream.cancel()
        assert watch.peak_mib - before_mib < 96


class Watch:
    """The highest memory of a program within a block."""

    def __init__(self, program: Program) -> None:
        self.peak_mib = 0.0
        self._program = program
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.peak_mib = max(self.peak_mib, self._program.rss_mib())

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
