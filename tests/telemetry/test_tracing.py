"""OTEL_* variables and our own settings, settled into one."""

from __future__ import annotations

import pytest

from sidecar.errors import ConfigError
from sidecar.telemetry.otlp import GrpcExporter, HttpExporter
from sidecar.telemetry.span_record import limits_of
from sidecar.telemetry.tracing import TracingSettings, build_exporter, resolve, resource_of

NOTHING = TracingSettings()


@pytest.mark.parametrize(
    ("settings", "environ", "expected"),
    [
        (NOTHING, {}, "otlp"),
        (NOTHING, {"OTEL_TRACES_EXPORTER": "console"}, "console"),
        (NOTHING, {"OTEL_TRACES_EXPORTER": "None"}, "none"),
        (NOTHING, {"OTEL_TRACES_EXPORTER": ""}, "otlp"),
        (TracingSettings(exporter="otlp"), {"OTEL_TRACES_EXPORTER": "none"}, "otlp"),
        (TracingSettings(exporter="otlp"), {"OTEL_SDK_DISABLED": "TRUE"}, "none"),
        (NOTHING, {"OTEL_SDK_DISABLED": "1"}, "otlp"),
    ],
)
def test_the_file_wins_over_the_environment_and_disabled_over_both(
    settings: TracingSettings, environ: dict[str, str], expected: str
) -> None:
    """Empty is unset, and only `true` is true (OpenTelemetry specification)."""
    assert resolve(settings, environ).exporter == expected


@pytest.mark.parametrize(
    ("settings", "environ", "expected"),
    [
        (NOTHING, {}, ("http/protobuf", "http://localhost:4318/v1/traces")),
        (NOTHING, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ("grpc", "http://localhost:4317")),
        (NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, ("grpc", "http://c:4317")),
        (NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317"}, ("grpc", "c:4317")),
        (NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ("http/protobuf", "http://c:4318/v1/traces")),
        (NOTHING, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c/x/"}, ("http/protobuf", "http://c/x/v1/traces")),
        (NOTHING, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/t"}, ("http/protobuf", "http://c:4318/t")),
        (TracingSettings(endpoint="http://c:4318"), {}, ("http/protobuf", "http://c:4318/v1/traces")),
        (TracingSettings(endpoint="http://c:4318/t"), {}, ("http/protobuf", "http://c:4318/t")),
        (
            TracingSettings(endpoint="http://c:9"),
            {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            ("grpc", "http://c:9"),
        ),
    ],
)
def test_protocol_and_endpoint_are_settled_together(
    settings: TracingSettings, environ: dict[str, str], expected: tuple[str, str]
) -> None:
    """The general endpoint is a base over HTTP, the traces one is exact; port 4317 without a protocol means gRPC."""
    tracing = resolve(settings, environ)
    assert (tracing.protocol, tracing.endpoint) == expected


@pytest.mark.parametrize(
    ("environ", "expected_s"),
    [
        ({}, 10.0),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "2500"}, 2.5),
        ({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "500", "OTEL_EXPORTER_OTLP_TIMEOUT": "2500"}, 0.5),
        ({"OTEL_BSP_EXPORT_TIMEOUT": "3000"}, 3.0),
        ({"OTEL_BSP_EXPORT_TIMEOUT": "30000", "OTEL_EXPORTER_OTLP_TIMEOUT": "2500"}, 2.5),
    ],
)
def test_time_outs_are_milliseconds(environ: dict[str, str], expected_s: float) -> None:
    """As the specification has it; Python's SDK reads OTEL_EXPORTER_OTLP_TIMEOUT as seconds."""
    assert resolve(NOTHING, environ).export_timeout_s == expected_s


def test_the_exporter_is_given_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the SDK would read the variable itself and wait 10,000 s."""
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "10000"}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "10000")
    over_grpc = build_exporter(TracingSettings(protocol="grpc"), environ)
    over_http = build_exporter(TracingSettings(protocol="http/protobuf"), environ)
    assert isinstance(over_grpc, GrpcExporter)
    assert isinstance(over_http, HttpExporter)
    assert (over_grpc._timeout, over_http._client._timeout) == (10.0, 10.0)
    over_grpc.shutdown()
    over_http.shutdown()


def test_a_time_out_that_was_meant_in_seconds_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """`10` is ten milliseconds; obeyed, but not silently."""
    assert resolve(NOTHING, {"OTEL_EXPORTER_OTLP_TIMEOUT": "10"}).export_timeout_s == 0.01
    assert "milliseconds" in caplog.text


@pytest.mark.parametrize(
    ("queue", "batch", "expected"), [("10", "", 10), ("10", "11", 10), ("10", "10", 10), ("10", "9", 9)]
)
def test_a_batch_is_never_larger_than_the_queue(queue: str, batch: str, expected: int) -> None:
    """The SDK refuses to start on that; a smaller queue is what was meant."""
    environ = {"OTEL_BSP_MAX_QUEUE_SIZE": queue, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": batch}
    tracing = resolve(NOTHING, environ)
    assert (tracing.queue, tracing.batch) == (10, expected)


def test_every_mistake_is_said_at_once() -> None:
    """Each with its variable, what was found and what is allowed."""
    environ = {
        "OTEL_TRACES_EXPORTER": "zipkin",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "collector",
        "OTEL_BSP_MAX_QUEUE_SIZE": "many",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "0",
        "OTEL_BSP_SCHEDULE_DELAY": "-1",
    }
    with pytest.raises(ConfigError) as caught:
        resolve(NOTHING, environ)
    assert [mistake.where for mistake in caught.value.mistakes] == [
        "OTEL_TRACES_EXPORTER",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "the OTLP endpoint",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_BSP_SCHEDULE_DELAY",
    ]
    assert "otlp, console, none" in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "sidecar-researcher"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, "a"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, "b"),
    ],
)
def test_the_service_is_the_sidecar_unless_named(environ: dict[str, str], expected: str) -> None:
    """The agent may trace itself under its own name."""
    resource = resource_of("researcher", environ)
    assert resource.attributes["service.name"] == expected
    assert resource.attributes["sidecar.agent"] == "researcher"


def test_resource_attributes_are_percent_decoded() -> None:
    """Commas and spaces travel encoded."""
    resource = resource_of("a", {"OTEL_RESOURCE_ATTRIBUTES": "team=search%2C%20ranking,service.instance.id=pod-1"})
    assert resource.attributes["team"] == "search, ranking"
    assert resource.attributes["service.instance.id"] == "pod-1"


def test_each_start_is_another_instance() -> None:
    """Two replicas must not write one time series."""
    one, other = resource_of("a", {}), resource_of("a", {})
    assert one.attributes["service.instance.id"] != other.attributes["service.instance.id"]


def test_resource_attributes_without_a_key_are_a_mistake() -> None:
    """The SDK skips them with a warning nobody sees."""
    with pytest.raises(ConfigError):
        resource_of("a", {"OTEL_RESOURCE_ATTRIBUTES": "team"})


@pytest.mark.parametrize(("value", "expected"), [("", 128), ("0", 0), ("1", 1), ("129", 129)])
def test_span_limits_may_be_zero(value: str, expected: int) -> None:
    """Zero is a limit, not unset."""
    assert limits_of({"OTEL_SPAN_LINK_COUNT_LIMIT": value}).links == expected
