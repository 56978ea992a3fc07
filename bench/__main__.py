"""CPU per unary call: the sidecar with everything on, next to a bare proxy and Envoy, interleaved in one run.

The load is h2load's: calls of about 800 bytes, 32 in flight. What is counted is the CPU time of the process in the
middle (/proc/PID/stat), not of load or callee. Compare ratios: these figures drift with the machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from a2a.types import a2a_pb2

from bench.processes import Process, free_port

ROOT = Path(__file__).parent.parent
METHOD = "/lf.a2a.v1.A2AService/SendMessage"
IN_FLIGHT = 32
CONNECTIONS = 4
WARM_UP_CALLS = 1_000

SENTENCE = "The harbour of Rotterdam handled 13.4 million containers last year; compare it with Antwerp and say why. "


@dataclass(slots=True)
class Contender:
    """One process in the middle, and what it cost so far."""

    process: Process
    cpu_us: list[float] = field(default_factory=list)
    """CPU microseconds per call, a figure a round."""


def request_payload() -> bytes:
    """A plausible A2A request of about 800 bytes."""
    message = a2a_pb2.Message(
        message_id="6f1d2c1e-9f5c-4a55-9a0c-6a2f5b1f3c11", context_id="ctx-2f0e9c", role=a2a_pb2.ROLE_USER
    )
    message.parts.add(text=SENTENCE * 6)
    message.parts.add().data.struct_value.update({"query": "container throughput", "years": [2023, 2024], "limit": 10})
    return a2a_pb2.SendMessageRequest(message=message).SerializeToString()


def sidecar_config(folder: Path, listen: int, upstream: int, metrics: int, sink: int) -> Path:
    path = folder / "sidecar.yaml"
    path.write_text(
        f"""
agent: callee
mode: enforce
routes: [{{name: inbound, listen: "127.0.0.1:{listen}", upstream: "127.0.0.1:{upstream}", callee: callee}}]
descriptors: ["{ROOT}/specs/a2a/a2a_v1.binpb"]
specs: ["{ROOT}/bench/contract"]
metrics: {{listen: "127.0.0.1:{metrics}"}}
tracing: {{exporter: otlp, protocol: grpc, endpoint: "http://127.0.0.1:{sink}"}}
""",
        encoding="utf-8",
    )
    return path


def envoy_config(folder: Path, listen: int, upstream: int) -> Path:
    path = folder / "envoy.yaml"
    path.write_text(
        f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {listen}}}}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: hop
          codec_type: HTTP2
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: callee, timeout: 0s}}}}]}}
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: callee
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: callee
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
""",
        encoding="utf-8",
    )
    return path


@contextmanager
def fleet(folder: Path) -> Iterator[tuple[dict[str, Contender], int]]:
    """All contenders in front of one callee; stopped at the end."""
    python, callee, sink, metrics = sys.executable, free_port(), free_port(), free_port()
    ports = {name: free_port() for name in ("sidecar", "bare unary proxy", "bare stream proxy", "envoy")}
    peers = [python, "-m", "bench.peers"]
    envoy = str(Path(python).parent / "envoy")
    config = sidecar_config(folder, ports["sidecar"], callee, metrics, sink)
    envoy_file = envoy_config(folder, ports["envoy"], callee)
    commands = {
        "sidecar": [python, "-m", "sidecar", "run", "-c", str(config)],
        "bare unary proxy": [
            *peers,
            "bare-unary",
            "--listen",
            str(ports["bare unary proxy"]),
            "--upstream",
            str(callee),
        ],
        "bare stream proxy": [
            *peers,
            "bare-stream",
            "--listen",
            str(ports["bare stream proxy"]),
            "--upstream",
            str(callee),
        ],
        "envoy": [envoy, "-c", str(envoy_file), "--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"],
    }
    beside = [
        Process("callee", [*peers, "callee", "--listen", str(callee)], callee, folder / "callee.log"),
        Process("sink", [*peers, "sink", "--listen", str(sink)], sink, folder / "sink.log"),
    ]
    contenders = {
        name: Contender(Process(name, command, ports[name], folder / f"{name}.log"))
        for name, command in commands.items()
    }
    try:
        for process in [*beside, *(contender.process for contender in contenders.values())]:
            process.wait_until_it_listens()
        yield contenders, metrics
    finally:
        for process in [*(contender.process for contender in contenders.values()), *beside]:
            process.stop()


def load(port: int, payload: Path, calls: int) -> None:
    """Send calls and fail unless every one was answered."""
    command = [
        "h2load",
        "-n",
        str(calls),
        "-c",
        str(CONNECTIONS),
        "-m",
        str(IN_FLIGHT // CONNECTIONS),
        "-t",
        "1",
        "-d",
        str(payload),
    ]
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    run = subprocess.run(
        [*command, *headers, f"http://127.0.0.1:{port}{METHOD}"], capture_output=True, text=True, check=True
    )
    if f"{calls} succeeded, 0 failed" not in run.stdout:
        raise SystemExit(f"h2load: not every call was answered\n{run.stdout}")


def assert_it_answers(port: int, payload: bytes) -> None:
    """h2load takes any gRPC status for a success, so a real client looks first."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = channel.unary_unary(METHOD)(payload, timeout=10)
    if answer != payload:
        raise SystemExit(f"port {port} answers something else than the callee")


def measure(contender: Contender, payload: Path, calls: int) -> None:
    before_s = contender.process.cpu_s()
    load(contender.process.port, payload, calls)
    contender.cpu_us.append((contender.process.cpu_s() - before_s) / calls * 1e6)


def ok_calls(metrics: int) -> float:
    """Calls that the sidecar itself counted as OK: proof that it took part, checks and all."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    wanted = (line for line in lines if line.startswith("sidecar_exchanges_total{") and 'code="OK"' in line)
    return sum(float(line.rpartition(" ")[2]) for line in wanted)


def report(contenders: dict[str, Contender], calls: int) -> None:
    base = statistics.median(contenders["bare unary proxy"].cpu_us)
    print(f"{'unary call, ' + str(calls) + ' a round':<32}{'CPU µs/call':>12}{'ratio':>8}{'spread':>14}{'RSS MiB':>9}")
    for name, contender in contenders.items():
        median = statistics.median(contender.cpu_us)
        spread = f"{min(contender.cpu_us):.0f}..{max(contender.cpu_us):.0f}"
        print(f"{name:<32}{median:>12.0f}{median / base:>8.2f}{spread:>14}{contender.process.rss_mib():>9.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--calls", type=int, default=20_000, help="calls to each contender in all (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=4, help="interleaved rounds (default: %(default)s)")
    arguments = parser.parse_args()
    calls = arguments.calls // arguments.rounds
    with tempfile.TemporaryDirectory() as name, fleet(Path(name)) as (contenders, metrics):
        payload = Path(name) / "payload"
        payload.write_bytes(b"\0" + len(request_payload()).to_bytes(4, "big") + request_payload())
        for contender in contenders.values():
            assert_it_answers(contender.process.port, request_payload())
            load(contender.process.port, payload, WARM_UP_CALLS)
        for round_number in range(arguments.rounds):
            print(f"round {round_number + 1} of {arguments.rounds}", file=sys.stderr)
            for contender in contenders.values():
                measure(contender, payload, calls)
        if (counted := ok_calls(metrics)) < arguments.calls:
            raise SystemExit(f"the sidecar counted {counted:.0f} OK calls of {arguments.calls}")
        print(f"request of {len(request_payload())} bytes, {IN_FLIGHT} in flight on {CONNECTIONS} connections;")
        print("the sidecar traces, checks schemas both ways and counts")
        report(contenders, calls)


if __name__ == "__main__":
    main()
