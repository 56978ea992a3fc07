"""What calls are measured by, beside their specs: verifiers, quarantine, loops, tasks and budgets."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from sidecar.config.clashes import refuse_repeated
from sidecar.config.section import Section
from sidecar.config.tls import UpstreamTls
from sidecar.config.values import ModelName, PlainName, ReadableFile, UpstreamAddress, entries
from sidecar.engine.exchange import Mode
from sidecar.units import MICRO_USD, BadValue, count, parse_usd, ratio, seconds, size

Usd = Annotated[Decimal, BeforeValidator(parse_usd)]


class Breaker(Section):
    """When a verifier that keeps failing is no longer asked."""

    failures: Annotated[int, count(1, 1000)] = 5
    """Failures in a row after which it is skipped."""
    cooldown_s: Annotated[float, seconds("1s", "1h")] = Field(default=30.0, alias="cooldown")
    """Seconds until it is tried again, with one question."""


class Verifier(Section):
    """An independent agent that judges what passes."""

    name: PlainName
    """What specs and metrics call it."""
    address: UpstreamAddress
    """Where it listens."""
    mode: Mode | None = None
    """observe or enforce. Left out: the root's."""
    timeout_s: Annotated[float, seconds("1ms", "5m")] = Field(default=0.5, alias="timeout")
    """Seconds it has to answer. Later is inconclusive."""
    fail: Literal["open", "closed"] = "open"
    """What an inconclusive verdict means where it is enforced: open lets the call pass, closed refuses it."""
    tls: UpstreamTls | None = None
    """TLS towards it. Left out: plain text."""
    breaker: Breaker = Breaker()
    """When it is skipped, so that calls do not wait for a verifier that is away."""


class Quarantine(Section):
    """Edges that are held back because a verifier failed an answer after it had gone on."""

    cooldown_s: Annotated[float, seconds("1s", "7d")] = Field(default=600.0, alias="cooldown")
    """Seconds without another fail after which an edge is let go by itself."""


class Loops(Section):
    """When work is going round in circles."""

    window_s: Annotated[float, seconds("1s", "7d")] = Field(default=600.0, alias="window")
    """Seconds over which requests are compared."""
    repeats: Annotated[int, count(1, 200)] = 5
    """Identical requests allowed on one edge of one conversation. A retry with its key does not count."""
    drifts: Annotated[int, count(1, 200)] = 8
    """Nearly equal requests allowed on one edge while no answer adds anything."""
    cycles: Annotated[int, count(1, 60)] = 3
    """Times that a pattern of edges may come round without new information."""
    reads: Annotated[int, count(1, 200)] = 50
    """Identical reads (Get*, List*, Subscribe*, or what a spec says only reads) allowed in 10 seconds."""
    hops: Annotated[int, count(1, 1024)] = 16
    """Agents in one chain of calls."""
    reentry: Literal["allow", "observe", "enforce"] = "observe"
    """What becomes of a call to an agent that still waits in the same chain. Callbacks are legitimate."""
    slow_s: Annotated[float, seconds("0s", "30s")] = Field(default=1.0, alias="slow")
    """Seconds by which the last call allowed is delayed, where that is enforced; the one before it waits half of it."""
    cooldown_s: Annotated[float, seconds("1s", "7d")] = Field(default=600.0, alias="cooldown")
    """Seconds until a broken loop may go on by itself."""
    mode: Mode | None = None
    """observe or enforce. Left out: the root's."""


class Idempotency(Section):
    """What is kept of calls whose spec says that they must not run twice."""

    record_bytes: Annotated[int, size("0B", "64MiB")] = Field(default=1 << 20, alias="record")
    """Largest answer that is kept to be given again. A larger one counts as done, and its duplicates are told so."""
    wait_s: Annotated[float, seconds("0s", "1h")] = Field(default=30.0, alias="wait")
    """Seconds that a duplicate waits for the first answer, at most; its own deadline may be nearer."""


class Tasks(Section):
    """When work has come to a stop without an end."""

    stuck_after_s: Annotated[float, seconds("1s", "30d")] = Field(default=600.0, alias="stuck_after")
    """Seconds without progress after which an open task counts as stuck."""


PerMtok = Annotated[Decimal, BeforeValidator(parse_usd)]


class ModelPrice(Section):
    """What a model costs, where no list knows it or a contract says otherwise."""

    name: ModelName
    """As callees report it; upper and lower case are one."""
    input_usd_per_mtok: PerMtok
    """US dollars per million input tokens."""
    output_usd_per_mtok: PerMtok
    """US dollars per million output tokens."""
    cache_read_usd_per_mtok: PerMtok | None = None
    """US dollars per million input tokens that are read from a cache. Left out: as any input."""
    cache_write_usd_per_mtok: PerMtok | None = None
    """US dollars per million input tokens that are written to one. Left out: as any input."""


class Prices(Section):
    """What models cost. Written at all, even as `{}`, usage is counted where no budget asks for it."""

    file: ReadableFile | None = None
    """A newer list as genai-prices publishes it; read again when it changes. Left out: the one that is installed."""
    models: Annotated[tuple[ModelPrice, ...], entries()] = ()
    """Prices of one's own. They come before any list."""

    @field_validator("models")
    @classmethod
    def _unique(cls, models: tuple[ModelPrice, ...]) -> tuple[ModelPrice, ...]:
        refuse_repeated([model.name.lower() for model in models], "name")
        return models


class Budget(Section):
    """Money that may be spent."""

    name: PlainName
    """Label in metrics and refusals."""
    scope: Literal["conversation", "agent", "edge", "global"]
    """What each has an account of its own; `agent` is the callee."""
    limit_usd: Usd
    """US dollars per account and window."""
    window: Literal["none", "hour", "day", "month"] = "none"
    """When the account starts anew (UTC)."""
    warn_at: Annotated[float, ratio()] = 0.8
    """Share of the limit from which a finding warns."""
    hold_usd: Usd = Decimal("0.01")
    """US dollars held for a call that nobody estimates. Never zero, else such calls would be free until they end."""
    mode: Mode | None = None
    """observe or enforce. Left out: the root's."""

    @field_validator("hold_usd")
    @classmethod
    def _never_free(cls, hold_usd: Decimal) -> Decimal:
        if not hold_usd:
            raise BadValue("more than 0 US dollars")
        return hold_usd

    @property
    def limit_micro_usd(self) -> int:
        return int(self.limit_usd * MICRO_USD)

    @property
    def hold_micro_usd(self) -> int:
        return int(self.hold_usd * MICRO_USD)
