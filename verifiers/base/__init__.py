"""What every verifier is made of, and the server that makes a verifier of one function.

description   what it says of itself             evidence   what it is shown
verdict       what it answers                    wire       the same nouns as protobuf messages
bench         where evidence is judged: so many at once, each for so long, and no crash leaves it
service       the calls of `sidecar.v1.Verifier` scorecard  its metrics
scores        how good it was measured to be
server        one address, health, reflection    process    one command line, one life, SIGTERM

Importing this package is cheap: gRPC comes with `main`, so that a judge can run where nothing is served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from verifiers.base.description import Description
from verifiers.base.evidence import JSON, Evidence
from verifiers.base.verdict import Finding, Usage, Value, Verdict

__all__ = ["JSON", "Description", "Evidence", "Finding", "Usage", "Value", "Verdict", "main"]


def main(
    description: Description,
    judge: Callable[[Evidence], Verdict | Awaitable[Verdict]],
    arguments: Sequence[str] | None = None,
    *,
    scores: Mapping[str, float] | None = None,
) -> None:
    """Serve `judge` until SIGTERM; `--help` names the options. Exits with 64 where the command line is wrong.

    `arguments` is the process's command line unless given. `scores` are figures about the verifier, such as the
    precision that it was measured with; they are published as they are.
    """
    from verifiers.base.process import run  # gRPC stays out of processes that only judge

    run(description, judge, arguments, scores=scores or {})
