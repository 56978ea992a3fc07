"""What it costs to read a payload: protobuf's own JSON mapping, next to our walker and our search for ids.

`python -m bench.documents` prints microseconds for one A2A request of about 700 bytes, best and median of rounds in
which the contenders take turns. Compare ratios: the absolutes drift with the machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from a2a.types import a2a_pb2
from google.protobuf import json_format

from sidecar.engine.descriptors import Descriptors

METHOD = "/lf.a2a.v1.A2AService/SendMessage"
SENTENCE = "The harbour of Rotterdam handled 13.4 million containers last year; compare it with Antwerp and say why. "
ROUNDS = 41
CALLS = 500


def request_payload() -> bytes:
    """A question in words, arguments as data, and a little metadata."""
    message = a2a_pb2.Message(
        message_id="6f1d2c1e-9f5c-4a55-9a0c-6a2f5b1f3c11", context_id="ctx-2f0e9c", role=a2a_pb2.ROLE_USER
    )
    message.parts.add(text=SENTENCE * 5)
    message.parts.add().data.struct_value.update({"query": "container throughput", "years": [2023, 2024], "limit": 10})
    request = a2a_pb2.SendMessageRequest(message=message)
    request.metadata.update({"tenant": "acme"})
    return request.SerializeToString()


def contenders(payload: bytes) -> Mapping[str, Callable[[], Any]]:
    descriptors = Descriptors()
    descriptors.add_module("a2a.types.a2a_pb2")
    method = descriptors.method(METHOD)
    assert method is not None
    codec = method.request
    parsed = codec.parse(payload)
    assert codec.document(parsed) == json_format.MessageToDict(parsed)
    return {
        "json_format.MessageToDict": lambda: json_format.MessageToDict(parsed),
        "parse": lambda: codec.parse(payload),
        "document": lambda: codec.document(parsed),
        "names": lambda: codec.names(parsed),
    }


def timed(call: Callable[[], Any]) -> float:
    """Microseconds of CPU for one call."""
    start = time.process_time_ns()
    for _ in range(CALLS):
        call()
    return (time.process_time_ns() - start) / CALLS / 1000


def main() -> None:
    payload = request_payload()
    calls = contenders(payload)
    rounds = [{name: timed(call) for name, call in calls.items()} for _ in range(ROUNDS)]
    print(f"{f'A2A SendMessageRequest, {len(payload)} bytes, µs':46}{'best':>7}{'median':>8}")
    for name in calls:
        figures = [each[name] for each in rounds]
        print(f"  {name:44}{min(figures):7.2f}{statistics.median(figures):8.2f}")


if __name__ == "__main__":
    main()
