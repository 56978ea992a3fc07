"""OTEL_TRACES_SAMPLER behind the engine's Sampler port, by the SDK's own samplers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from sidecar.engine.exchange import Side
from sidecar.telemetry import names
from sidecar.telemetry.environ import Environ
from sidecar.telemetry.methods import bare

DEFAULT = "parentbased_always_on"

SAMPLERS: Mapping[str, Callable[[float], sampling.Sampler]] = {
    "always_on": lambda _: sampling.ALWAYS_ON,
    "always_off": lambda _: sampling.ALWAYS_OFF,
    "traceidratio": sampling.TraceIdRatioBased,
    "parentbased_always_on": lambda _: sampling.DEFAULT_ON,
    "parentbased_always_off": lambda _: sampling.DEFAULT_OFF,
    "parentbased_traceidratio": sampling.ParentBasedTraceIdRatio,
}

ANY_SPAN_ID = 1
"""Samplers look at a parent's flags, never at its span id, but an invalid context is no parent."""


class ParentElseAlways:
    """`parentbased_always_on` without a detour: what the parent says, and yes for a root."""

    def is_sampled(self, trace_id: str, parent_is_sampled: bool | None, method: str, side: Side) -> bool:  # noqa: ARG002
        return parent_is_sampled is not False


class SdkSampler:
    """Any sampler of the SDK's."""

    def __init__(self, sampler: sampling.Sampler) -> None:
        self._sampler = sampler

    def is_sampled(self, trace_id: str, parent_is_sampled: bool | None, method: str, side: Side) -> bool:
        number = int(trace_id, 16)
        result = self._sampler.should_sample(
            None if parent_is_sampled is None else set_span_in_context(parent(number, parent_is_sampled)),
            number,
            bare(method),
            SpanKind.SERVER if side is Side.INBOUND else SpanKind.CLIENT,
            {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: bare(method)},
        )
        return result.decision is sampling.Decision.RECORD_AND_SAMPLE


def parent(trace_id: int, is_sampled: bool) -> NonRecordingSpan:
    flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
    return NonRecordingSpan(SpanContext(trace_id, ANY_SPAN_ID, is_remote=True, trace_flags=flags))


def build_sampler(environ: Mapping[str, str]) -> ParentElseAlways | SdkSampler:
    """From OTEL_TRACES_SAMPLER and its _ARG (a ratio, 1 if unset). ConfigError for any other name or number."""
    variables = Environ(environ)
    name = variables.one_of(tuple(SAMPLERS), "OTEL_TRACES_SAMPLER") or DEFAULT
    ratio = variables.ratio("OTEL_TRACES_SAMPLER_ARG") if name.endswith("ratio") else None
    variables.refuse_mistakes()
    if name == DEFAULT:
        return ParentElseAlways()
    return SdkSampler(SAMPLERS[name](1.0 if ratio is None else ratio))
