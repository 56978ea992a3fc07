"""The configuration: what is read, what is refused and how, and what is said about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from sidecar.config import Config, LineageKey, Section, from_flags, load, parse
from sidecar.config.section import keyed_fields, section_in
from sidecar.engine.exchange import Mode, Side
from sidecar.errors import ConfigError
from sidecar.units import Address, parse_duration, parse_size
from tests.transparency.certs import TlsFiles, make_tls_files

ROOT = Path(__file__).parent.parent
ROUTE = '{listen: "127.0.0.1:1", upstream: "127.0.0.1:2"}'
GOOD = f"agent: researcher\nroutes: [{ROUTE}]\n"
BASE = Path("/base")


def config(text: str, base: Path = BASE, **environ: str) -> Config:
    return parse(text, name="s.yaml", base=base, environ=environ)


def mistakes(text: str, base: Path = BASE, **environ: str) -> list[str]:
    """Every mistake as the operator reads it; none where the text is right."""
    try:
        config(text, base, **environ)
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


def with_route(extra: str) -> str:
    return f'agent: researcher\nroutes: [{{listen: "127.0.0.1:1", upstream: "127.0.0.1:2", {extra}}}]\n'


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls_files(tmp_path_factory.mktemp("tls"))


def test_two_keys_are_enough() -> None:
    """Every other key has a default, and the defaults are the careful ones."""
    small = config(GOOD)
    (route,) = small.routes
    assert (route.name, route.caller, route.callee, route.side) == ("inbound", "_unknown", "researcher", Side.INBOUND)
    assert small.mode_of(route) is Mode.OBSERVE
    assert (route.deadline_s, route.connect_timeout_s, route.channels) == (None, 5.0, 2)
    assert (route.limits.message_bytes, route.limits.buffered_total_bytes) == (64 << 20, 512 << 20)
    assert (route.limits.streams, route.limits.metadata_bytes) == (1000, 16 << 10)
    assert (small.join.mode, small.join.window_s, small.join.max_exchanges) == ("full", 600.0, 10_000)
    assert small.metrics is not None
    assert (str(small.metrics.listen), small.metrics.max_series) == ("127.0.0.1:9464", 2000)
    assert (small.store.scheme, small.journal, small.drain.timeout_s) == ("memory", None, 30.0)
    assert (small.tracing.exporter, small.tracing.queue, small.tracing.batch) == ("otlp", 8192, 512)


def test_the_tree_is_frozen() -> None:
    """What was validated stays what it is."""
    small = config(GOOD)
    with pytest.raises(ValidationError):
        small.agent = "writer"
    with pytest.raises(ValidationError):
        small.routes[0].limits.streams = 1


def test_the_documented_example_of_the_design_is_read() -> None:
    """Both directions, derived names, and the parts that are not served yet."""
    both = config(
        """
        agent: researcher
        mode: enforce
        routes:
          - {listen: ":50051", upstream: ":50052"}
          - {listen: "127.0.0.1:15001", upstream: "writer:50051", caller: researcher, callee: writer, deadline: 30s}
        verifiers:
          - {name: grounding, address: "127.0.0.1:7101", mode: observe, timeout: 500ms, fail: open}
        store: "sqlite:///var/lib/sidecar/state.db"
        journal: "sqlite:///var/lib/sidecar/journal.db"
        metrics: {listen: 127.0.0.1:9464}
        admin: {listen: 127.0.0.1:9465}
        tracing: {exporter: none}
        loops: {mode: observe}
        budgets:
          - {name: per-conversation, scope: conversation, limit_usd: 2.10, warn_at: 0.8, mode: enforce}
        """
    )
    inbound, outbound = both.routes
    assert (str(inbound.listen), str(inbound.upstream)) == ("0.0.0.0:50051", "127.0.0.1:50052")
    assert (outbound.name, outbound.side, outbound.deadline_s) == ("to-writer", Side.OUTBOUND, 30.0)
    assert both.verifiers[0].timeout_s == 0.5
    assert both.budgets[0].limit_micro_usd == 2_100_000
    assert both.budgets[0].hold_micro_usd == 10_000
    assert both.store.path == Path("/var/lib/sidecar/state.db")
    assert both.journal is not None
    assert [str(each) for each in both.journal.to] == ["sqlite:///var/lib/sidecar/journal.db"]


@pytest.mark.parametrize(
    ("root", "route", "holds"),
    [
        ("", "", Mode.OBSERVE),
        ("mode: enforce", "", Mode.ENFORCE),
        ("mode: enforce", "mode: enforce", Mode.ENFORCE),
        ("mode: enforce", "mode: observe", Mode.OBSERVE),
        ("mode: observe", "mode: enforce", Mode.OBSERVE),
        ("", "mode: enforce", Mode.OBSERVE),
    ],
)
def test_the_weaker_mode_holds(root: str, route: str, holds: Mode) -> None:
    """The root's mode is a ceiling, and it is observe where nobody says otherwise."""
    read = config(with_route(route) + root)
    assert read.mode_of(read.routes[0]) is holds
    assert read.engine_route(read.routes[0]).mode is holds


def test_an_empty_section_is_its_defaults() -> None:
    """`admin: {}` asks for the service as it is by itself."""
    assert config(GOOD + "admin: {}\nbudgets: []\nverifiers: []").admin == config(GOOD).admin


def test_sections_can_be_turned_off() -> None:
    """`false` is the word for metrics, admin and loops."""
    off = config(GOOD + "metrics: false\nadmin: false\nloops: false", OTEL_EXPORTER_PROMETHEUS_PORT="1234")
    assert (off.metrics, off.admin, off.loops) == (None, None, None)


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    """Whatever folder the command runs in."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "types.binpb").write_bytes(b"")
    path = tmp_path / "s.yaml"
    route = '{listen: "unix:run/a.sock", upstream: "unix:/run/b.sock"}'
    path.write_text(
        f"agent: a\nroutes: [{route}]\nspecs: [specs]\ndescriptors: [types.binpb, reflection, sidecar.errors]\n"
        "store: sqlite:state.db\nlineage: {keys: [{id: k, secret_file: k.secret}]}"
    )
    read = load(path, {})
    assert read.specs == (tmp_path / "specs",)
    assert [str(each) for each in read.descriptors] == [str(tmp_path / "types.binpb"), "reflection", "sidecar.errors"]
    assert read.routes[0].listen.path == str(tmp_path / "run/a.sock")
    assert read.routes[0].upstream.path == "/run/b.sock"
    assert read.store.path == tmp_path / "state.db"
    assert read.lineage.keys[0].secret_file == tmp_path / "k.secret"


def test_variables_are_filled_in() -> None:
    """In text and in numbers alike."""
    text = 'agent: ${NAME}\nroutes:\n- listen: ${HOST:-127.0.0.1}:1\n  upstream: ":2"\n  channels: ${CHANNELS}'
    read = config(text, NAME="researcher", CHANNELS="4")
    assert (read.agent, str(read.routes[0].listen), read.routes[0].channels) == ("researcher", "127.0.0.1:1", 4)


ADDRESS = "allowed: host:port, :port, [ipv6]:port, unix:/path or unix-abstract:name"

MISTAKES: Mapping[str, tuple[str, str]] = {
    "an empty file": ("", "s.yaml:1: found an empty file; allowed: a mapping"),
    "a syntax error": ("agent: [", "s.yaml:1: found a YAML error"),
    "a list for a root": ("- agent: x", "s.yaml:1: found a list; allowed: a mapping with agent, mode, routes"),
    "text for a root": ("agent", "s.yaml:1: found 'agent'; allowed: a mapping with agent"),
    "no agent": (f"routes: [{ROUTE}]", "s.yaml:1 agent: found nothing; allowed: a value (the agent that"),
    "an agent with a space": (f"agent: a b\nroutes: [{ROUTE}]", "s.yaml:1 agent: found 'a b'; allowed: a name of 1 to"),
    "an agent in our own namespace": (f"agent: _x\nroutes: [{ROUTE}]", "s.yaml:1 agent: found '_x'; allowed: a name"),
    "a number for an agent": (f"agent: 5\nroutes: [{ROUTE}]", "s.yaml:1 agent: found 5; allowed: a name"),
    "no routes": ("agent: a", "s.yaml:1 routes: found nothing; allowed: a value (the addresses that"),
    "an empty list of routes": ("agent: a\nroutes: []", "s.yaml:2 routes: found 0 entries; allowed: 1 to 64 entries"),
    "too many specs": (f"{GOOD}specs: [{', '.join('x' * 65)}]", "s.yaml:3 specs: found 65 entries; allowed: 0 to 64"),
    "a mapping for routes": (f"agent: a\nroutes: {ROUTE}", "s.yaml:2 routes: found a mapping; allowed: a list"),
    "a route that is text": (
        "agent: a\nroutes: [x]",
        "s.yaml:2 routes[0]: found 'x'; allowed: a mapping with name, li",
    ),
    "no listen": (
        'agent: a\nroutes:\n- {upstream: ":1"}',
        "s.yaml:3 routes[0].listen: found nothing; allowed: a value",
    ),
    "a misspelled key": (
        with_route("upstraem: x"),
        "s.yaml:2 routes[0].upstraem: found an unknown key (meant upstream?)",
    ),
    "a key nobody knows": (f"{GOOD}xyz: 1", "s.yaml:3 xyz: found an unknown key; allowed: agent, mode, routes"),
    "a doubled key": (
        f"{GOOD}agent: b",
        "s.yaml:3 agent: found the key again (first on line 1); allowed: each key once",
    ),
    "an unset variable": (f"{GOOD}mode: ${{MODE}}", "s.yaml:3 mode: found ${MODE}, which is not set"),
    "a mode of another word": (f"{GOOD}mode: on", "s.yaml:3 mode: found 'on'; allowed: observe or enforce"),
    "a mode that is true": (f"{GOOD}mode: true", "s.yaml:3 mode: found true; allowed: observe or enforce"),
    "a port alone": (
        "agent: a\nroutes: [{listen: 1, upstream: ':2'}]",
        f"s.yaml:2 routes[0].listen: found 1; {ADDRESS}",
    ),
    "a scheme": (
        "agent: a\nroutes: [{listen: ':1', upstream: 'http://x:2'}]",
        "s.yaml:2 routes[0].upstream: found 'htt",
    ),
    "port 0 upstream": (
        "agent: a\nroutes: [{listen: ':1', upstream: 'x:0'}]",
        "s.yaml:2 routes[0].upstream: found 'x:0'",
    ),
    "a route into itself": (
        "agent: a\nroutes: [{listen: ':1', upstream: ':1'}]",
        "s.yaml:2 routes[0].upstream: found 127",
    ),
    "an address twice": (
        "agent: a\nroutes:\n- {name: x, listen: ':1', upstream: ':2'}\n"
        "- {name: y, listen: 'localhost:1', upstream: ':2'}",
        "s.yaml:4 routes[1].listen: found localhost:1, which routes[0] listens on; allowed: another address",
    ),
    "a name twice": (
        "agent: a\nroutes:\n- {listen: ':1', upstream: ':2'}\n- {listen: ':3', upstream: ':2'}",
        "s.yaml:4 routes[1].name: found 'inbound' again (first in entry 0); allowed: another name for each entry",
    ),
    "a route past our agent": (
        with_route("caller: x, callee: y"),
        "s.yaml:2 routes[0]: found caller x, callee y; allow",
    ),
    "only a foreign callee": (
        with_route("callee: y"),
        "s.yaml:2 routes[0]: found caller left out, callee y; allowed: our",
    ),
    "our agent on both sides": (
        with_route("caller: researcher, callee: researcher"),
        "s.yaml:2 routes[0]: found caller r",
    ),
    "no callee": (
        with_route("caller: researcher"),
        "s.yaml:2 routes[0]: found no callee; allowed: a callee, since 'rese",
    ),
    "a deadline without unit": (
        with_route("deadline: 30"),
        "s.yaml:2 routes[0].deadline: found 30; allowed: a number wi",
    ),
    "a deadline of no length": (
        with_route("deadline: 0s"),
        "s.yaml:2 routes[0].deadline: found '0s'; allowed: a duration",
    ),
    "a deadline of years": (
        with_route("deadline: 8d"),
        "s.yaml:2 routes[0].deadline: found '8d'; allowed: a duration f",
    ),
    "no channels": (
        with_route("channels: 0"),
        "s.yaml:2 routes[0].channels: found 0; allowed: a whole number from 1 to 64",
    ),
    "too many channels": (
        with_route("channels: 65"),
        "s.yaml:2 routes[0].channels: found 65; allowed: a whole number fr",
    ),
    "half a channel": (with_route("channels: 1.5"), "s.yaml:2 routes[0].channels: found 1.5; allowed: a whole number"),
    "a quoted number": (with_route("channels: '2'"), "s.yaml:2 routes[0].channels: found '2'; allowed: a whole number"),
    "true for a number": (
        with_route("channels: true"),
        "s.yaml:2 routes[0].channels: found true; allowed: a whole numb",
    ),
    "a size without unit": (
        with_route("limits: {message: 5}"),
        "s.yaml:2 routes[0].limits.message: found 5; allowed: a nu",
    ),
    "a size too large": (
        with_route("limits: {message: 2GiB}"),
        "s.yaml:2 routes[0].limits.message: found '2GiB'; allowed",
    ),
    "less room than a message": (
        with_route("limits: {buffered_total: 1MiB}"),
        "s.yaml:2 routes[0].limits: found buffered_",
    ),
    "limits that are a list": (
        with_route("limits: [1]"),
        "s.yaml:2 routes[0].limits: found a list; allowed: a mapping with",
    ),
    "limits without content": (
        with_route("limits: "),
        "s.yaml:2 routes[0].limits: found nothing; allowed: a mapping with m",
    ),
    "another compression": (
        with_route("compression: {upstream: br}"),
        "s.yaml:2 routes[0].compression.upstream: found 'br'",
    ),
    "a word for a flag": (
        with_route("lineage: {attach: yes}"),
        "s.yaml:2 routes[0].lineage.attach: found 'yes'; allowed: t",
    ),
    "a missing certificate": (
        with_route("listen_tls: {cert: x, key: /etc/hosts}"),
        "s.yaml:2 routes[0].listen_tls.cert: found 'x'",
    ),
    "a certificate without key": (
        with_route("listen_tls: {cert: /etc/hosts}"),
        "s.yaml:2 routes[0].listen_tls.key: found n",
    ),
    "a folder for a certificate": (
        with_route("upstream_tls: {ca: /etc}"),
        "s.yaml:2 routes[0].upstream_tls.ca: found '/et",
    ),
    "an authority that is no PEM": (
        with_route("upstream_tls: {ca: /etc/hosts}"),
        "s.yaml:2 routes[0].upstream_tls.ca: fou",
    ),
    "a client key alone": (
        with_route("upstream_tls: {key: /etc/hosts}"),
        "s.yaml:2 routes[0].upstream_tls: found only one",
    ),
    "TLS that is true": (
        with_route("upstream_tls: true"),
        "s.yaml:2 routes[0].upstream_tls: found true; allowed: a mapping",
    ),
    "text for descriptors": (f"{GOOD}descriptors: x", "s.yaml:3 descriptors: found 'x'; allowed: a list"),
    "a module that is not there": (
        f"{GOOD}descriptors: [no.such]",
        "s.yaml:3 descriptors[0]: found 'no.such'; allowed: a mod",
    ),
    "a set that is not there": (
        f"{GOOD}descriptors: [x.binpb]",
        "s.yaml:3 descriptors[0]: found 'x.binpb'; allowed: a file",
    ),
    "another kind of file": (
        f"{GOOD}descriptors: [x.proto-file]",
        "s.yaml:3 descriptors[0]: found 'x.proto-file'; allowed: an",
    ),
    "specs that are not there": (
        f"{GOOD}specs: [nope]",
        "s.yaml:3 specs[0]: found 'nope'; allowed: a file or folder that ex",
    ),
    "a path with a zero byte": (
        f'{GOOD}specs: ["a\\0b"]',
        "s.yaml:3 specs[0]: found 'a\\x00b'; allowed: a file or folder",
    ),
    "another store": (
        f"{GOOD}store: postgres://x",
        "s.yaml:3 store: found 'postgres://x'; allowed: memory://, sqlite:///a",
    ),
    "memory with a name": (f"{GOOD}store: memory://x", "s.yaml:3 store: found 'memory://x'; allowed: memory://"),
    "sqlite with a host": (
        f"{GOOD}store: sqlite://var/x",
        "s.yaml:3 store: found 'sqlite://var/x'; allowed: sqlite:///absol",
    ),
    "redis without a host": (
        f"{GOOD}store: 'redis://:6379/0'",
        "s.yaml:3 store: found 'redis://:6379/0'; allowed: redis://",
    ),
    "a journal on the web": (
        f"{GOOD}journal: http://x",
        "s.yaml:3 journal.to[0]: found 'http://x'; allowed: sqlite:///absolute",
    ),
    "another way to join": (
        f"{GOOD}join: {{mode: on}}",
        "s.yaml:3 join.mode: found 'on'; allowed: full, ids_only or off",
    ),
    "an inline secret": (
        f"{GOOD}lineage: {{keys: [{{id: k, secret: hunter2, secret_env: X}}]}}",
        "s.yaml:3 lineage.keys[0].secret: found an inline secret; allowed: secret_file or secret_env",
    ),
    "a key without a secret": (
        f"{GOOD}lineage: {{keys: [{{id: k}}]}}",
        "s.yaml:3 lineage.keys[0]: found neither of them",
    ),
    "a key with two": (
        f"{GOOD}lineage: {{keys: [{{id: k, secret_env: X, secret_file: y}}]}}",
        "s.yaml:3 lineage.keys[0]: found both of them; allowed: exactly one of secret_file and secret_env",
    ),
    "a key twice": (
        f"{GOOD}lineage: {{keys: [{{id: k, secret_env: X}}, {{id: k, secret_env: Y}}]}}",
        "s.yaml:3 lineage.keys[1].id: found 'k' again (first in entry 0)",
    ),
    "metrics that are true": (
        f"{GOOD}metrics: true",
        "s.yaml:3 metrics: found true; allowed: a mapping, or false to turn",
    ),
    "metrics without content": (
        f"{GOOD}metrics:",
        "s.yaml:3 metrics: found nothing; allowed: a mapping, or false to turn",
    ),
    "metrics on a unix socket": (
        f"{GOOD}metrics: {{listen: 'unix:/x'}}",
        "s.yaml:3 metrics.listen: found 'unix:/x'; allow",
    ),
    "metrics on a route's address": (
        f"{GOOD}metrics: {{listen: ':1'}}",
        "s.yaml:3 metrics.listen: found 127.0.0.1:1, the a",
    ),
    "admin beside metrics": (
        f"{GOOD}admin: {{listen: ':9464'}}",
        "s.yaml:3 admin.listen: found 127.0.0.1:9464, the address",
    ),
    "another exporter": (
        f"{GOOD}tracing: {{exporter: zipkin}}",
        "s.yaml:3 tracing.exporter: found 'zipkin'; allowed: otlp, ",
    ),
    "an endpoint without scheme": (
        f"{GOOD}tracing: {{endpoint: 'x:1'}}",
        "s.yaml:3 tracing.endpoint: found 'x:1'; allowed: a",
    ),
    "an endpoint without a good port": (
        f"{GOOD}tracing: {{endpoint: 'http://x:y'}}",
        "s.yaml:3 tracing.endpoint: found 'ht",
    ),
    "a batch above the queue": (
        f"{GOOD}tracing: {{queue: 1, batch: 2}}",
        "s.yaml:3 tracing: found a batch of 2; allowed: a b",
    ),
    "a quarantine that ends at once": (
        f"{GOOD}quarantine: {{cooldown: 0s}}",
        "s.yaml:3 quarantine.cooldown: found '0s'; allowed: a duration from 1s to 7d",
    ),
    "loops without repeats": (
        f"{GOOD}loops: {{repeats: 0}}",
        "s.yaml:3 loops.repeats: found 0; allowed: a whole number fr",
    ),
    "a budget without limit": (
        f"{GOOD}budgets: [{{name: b, scope: global}}]",
        "s.yaml:3 budgets[0].limit_usd: found nothing; allowed: a value (US dollars per account and window)",
    ),
    "a budget finer than a micro-USD": (
        f"{GOOD}budgets: [{{name: b, scope: global, limit_usd: 0.0000001}}]",
        "s.yaml:3 budgets[0].limit_usd: found 1e-07; allowed: US dollars from 0 to 100000000, at most six decimals",
    ),
    "a hold of nothing": (
        f"{GOOD}budgets: [{{name: b, scope: global, limit_usd: 1, hold_usd: 0}}]",
        "s.yaml:3 budgets[0].hold_usd: found 0; allowed: more than 0 US dollars",
    ),
    "a warning past the limit": (
        f"{GOOD}budgets: [{{name: b, scope: global, limit_usd: 1, warn_at: 1.1}}]",
        "s.yaml:3 budgets[0].warn_at: found 1.1; allowed: a number from 0 to 1",
    ),
    "a verifier twice": (
        f"{GOOD}verifiers: [{{name: v, address: 'x:1'}}, {{name: v, address: 'x:2'}}]",
        "s.yaml:3 verifiers[1].name: found 'v' again (first in entry 0)",
    ),
    "another log level": (
        f"{GOOD}log: {{level: loud}}",
        "s.yaml:3 log.level: found 'loud'; allowed: debug, info, warning or",
    ),
    "a drain without end": (
        f"{GOOD}drain: {{timeout: .inf}}",
        "s.yaml:3 drain.timeout: found inf; allowed: a number with",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_says_where_what_was_found_and_what_is_allowed(case: str) -> None:
    """Exactly one mistake for one slip, in the operator's words."""
    text, beginning = MISTAKES[case]
    found = mistakes(text)
    assert [one[: len(beginning)] for one in found] == [beginning], found


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    """An operator mends them in one go."""
    text = (
        "agnt: x\nmode: ${MODE}\nroutes:\n  - {listen: 1, upstream: 2}\n"
        "  - {listen: ':1', upstream: ':2', chanels: 3}\nspecs: [nope]\nstore: x\nstore: y\nlog: {level: loud}\n"
    )
    places = [found.split(": found")[0] for found in mistakes(text, OTEL_TRACES_EXPORTER="x")]
    assert places[-1] == "s.yaml:9 log.level"
    assert set(places) == {
        "s.yaml:1 agent",
        "s.yaml:1 agnt",
        "s.yaml:2 mode",
        "s.yaml:4 routes[0].listen",
        "s.yaml:4 routes[0].upstream",
        "s.yaml:5 routes[1].chanels",
        "s.yaml:6 specs[0]",
        "s.yaml:8 store",
        "s.yaml:9 log.level",
        "environment OTEL_TRACES_EXPORTER",
    }
    lines = [int(place.split(":")[1].split()[0]) for place in places if place.startswith("s.yaml")]
    assert lines == sorted(lines)


def test_two_comparisons_fail_at_once() -> None:
    """One clash between routes does not hide another."""
    text = "agent: a\nroutes:\n- {listen: ':1', upstream: ':2'}\n- {listen: ':1', upstream: ':2', callee: b}"
    assert len(mistakes(text)) == 2


def test_secrets_are_never_shown() -> None:
    """Not inline ones, not those in variables, not those in URLs, neither in mistakes nor in the tree's own text."""
    text = (
        f"{GOOD}store: 'redis://user:hunter2@cache:x/0'\njournal: ${{SECRET}}\n"
        "lineage: {keys: [{id: k, secret: hunter2}]}\ntracing: {endpoint: 'ftp://user:hunter2@x'}\n"
        "log: {level: 'redis:hunter2@x'}"
    )
    found = "\n".join(mistakes(text, SECRET="hunter2"))
    assert found.count("s.yaml") == 5
    assert "hunter2" not in found
    assert "'${SECRET}' (variables filled in)" in found
    good = config(f"{GOOD}store: 'redis://user:${{SECRET}}@cache:6379/0'", SECRET="hunter2")
    assert good.store.url == "redis://user:hunter2@cache:6379/0"
    assert "hunter2" not in f"{good} {good!r} {good.store} {' '.join(good.describe())}"


def test_a_key_is_read_when_it_is_needed(tmp_path: Path) -> None:
    """From a file without its last newline, or from a variable."""
    (tmp_path / "secret").write_bytes(b"0123456789abcdef\n")
    keys = config(f"{GOOD}lineage: {{keys: [{{id: f, secret_file: secret}}, {{id: e, secret_env: KEY}}]}}", tmp_path)
    by_file, by_variable = keys.lineage.keys
    assert by_file.read({}) == b"0123456789abcdef"
    assert by_variable.read({"KEY": "k" * 4096}) == b"k" * 4096


@pytest.mark.parametrize("length", [0, 15, 4097, 5000])
def test_a_secret_of_the_wrong_length_is_refused_without_being_shown(tmp_path: Path, length: int) -> None:
    """Sixteen bytes is the least that signs."""
    (tmp_path / "secret").write_bytes(b"x" * length)
    file_key = LineageKey.model_validate({"id": "k", "secret_file": str(tmp_path / "secret")})
    variable_key = LineageKey.model_validate({"id": "k", "secret_env": "KEY"})
    for key in (file_key, variable_key):
        with pytest.raises(ConfigError, match="allowed: 16 to 4096 bytes") as refused:
            key.read({"KEY": "x" * length})
        assert "xxx" not in str(refused.value)


def test_a_secret_that_is_nowhere_is_a_mistake(tmp_path: Path) -> None:
    """The message names the file or the variable."""
    file_key = LineageKey.model_validate({"id": "k", "secret_file": str(tmp_path / "nope")})
    with pytest.raises(ConfigError, match=r"lineage key k secret_file: found .*nope: No such file"):
        file_key.read({})
    with pytest.raises(ConfigError, match="lineage key k secret_env: found KEY, which is not set"):
        LineageKey.model_validate({"id": "k", "secret_env": "KEY"}).read({})


def test_good_certificates_pass(tls: TlsFiles) -> None:
    """Ours for callers, ours for the upstream, and the authorities of both."""
    listen, upstream = tls.listen_options(wants_client=True), tls.upstream_options(wants_client=True)
    (route,) = config(with_route(f"listen_tls: {listen}, upstream_tls: {upstream}")).routes
    assert route.listen_tls is not None
    assert route.upstream_tls is not None
    assert (route.listen_tls.client_ca, route.upstream_tls.server_name) == (tls.ca, upstream["server_name"])


def test_an_empty_upstream_tls_is_tls_all_the_same() -> None:
    """It trusts the public authorities."""
    assert config(with_route("upstream_tls: {}")).routes[0].upstream_tls is not None


def test_a_key_of_another_certificate_is_a_mistake(tls: TlsFiles) -> None:
    """It would fail at the first handshake; it is said before the first bind."""
    pair = {"cert": str(tls.server.cert), "key": str(tls.client.key)}
    (found,) = mistakes(with_route(f"listen_tls: {pair}"))
    assert found.startswith("s.yaml:2 routes[0].listen_tls: found this pair; allowed: a PEM certificate and its key")
    assert "key values mismatch" in found


def test_an_encrypted_key_is_a_mistake_and_asks_nobody(tls: TlsFiles, tmp_path: Path) -> None:
    """OpenSSL would prompt for the password on the terminal."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(tls.server.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"password")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    (tmp_path / "locked.pem").write_bytes(pem)
    pair = {"cert": str(tls.server.cert), "key": str(tmp_path / "locked.pem")}
    (found,) = mistakes(with_route(f"listen_tls: {pair}"))
    assert "not encrypted" in found


def test_a_module_whose_package_crashes_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what its import said."""
    for name, code in [("crashing", "1 / 0"), ("needy", "import not_installed_anywhere")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    found = mistakes(f"{GOOD}descriptors: [crashing.x_pb2, needy.x_pb2]")
    assert "ZeroDivisionError: division by zero" in found[0]
    assert "No module named 'not_installed_anywhere'" in found[1]


def test_the_environment_stands_in_for_what_the_file_leaves_out() -> None:
    """OpenTelemetry's own variables, in OpenTelemetry's own units."""
    environ = {
        "OTEL_TRACES_EXPORTER": " Console ",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        "OTEL_BSP_SCHEDULE_DELAY": "250",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "::1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "9999",
        "OTEL_LOG_LEVEL": "warn",
    }
    read = config(GOOD, BASE, **environ)
    assert (read.tracing.exporter, read.tracing.protocol) == ("console", "http/protobuf")
    assert (read.tracing.queue, read.tracing.batch, read.tracing.schedule_delay_s) == (100, 100, 0.25)
    assert read.metrics is not None
    assert (str(read.metrics.listen), read.log.level) == ("[::1]:9999", "warning")


def test_the_file_wins_over_the_environment() -> None:
    """Key by key: what it leaves out is still the environment's."""
    text = f"{GOOD}tracing: {{exporter: none}}\nmetrics: {{listen: ':1111'}}\nlog: {{level: error}}"
    read = config(text, OTEL_TRACES_EXPORTER="otlp", OTEL_BSP_MAX_QUEUE_SIZE="600", OTEL_LOG_LEVEL="debug")
    assert (read.tracing.exporter, read.tracing.queue, read.log.level) == ("none", 600, "error")
    assert config(text, OTEL_EXPORTER_PROMETHEUS_PORT="2222").metrics == read.metrics


def test_an_empty_variable_is_as_good_as_none() -> None:
    """So says OpenTelemetry's specification."""
    assert config(GOOD, OTEL_TRACES_EXPORTER="", OTEL_EXPORTER_PROMETHEUS_PORT=" ") == config(GOOD)


@pytest.mark.parametrize(
    ("queue", "batch", "fits"), [("10", "20", 10), ("20", "10", 10), ("", "9000", 8192), ("10", "", 10)]
)
def test_a_batch_from_the_environment_shrinks_to_the_queue(queue: str, batch: str, fits: int) -> None:
    """OpenTelemetry's SDK would fail at the start; the variables may well come from different hands."""
    assert config(GOOD, OTEL_BSP_MAX_QUEUE_SIZE=queue, OTEL_BSP_MAX_EXPORT_BATCH_SIZE=batch).tracing.batch == fits


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1s"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "99999"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "a b"),
        ("OTEL_LOG_LEVEL", "loud"),
    ],
)
def test_a_variable_that_makes_no_sense_is_a_mistake_of_its_own(variable: str, value: str) -> None:
    """The message names the variable and what stands in it, not a line of the file."""
    (found,) = mistakes(GOOD, BASE, **{variable: value})
    assert found.startswith(f"environment {variable}: found {value!r}; allowed: ")


def test_one_agent_needs_no_file(tmp_path: Path) -> None:
    """Flags make the same tree as a file would."""
    (tmp_path / "specs").mkdir()
    flags = from_flags(
        agent="researcher",
        listen="127.0.0.1:1",
        upstream="127.0.0.1:2",
        specs=["specs"],
        mode="enforce",
        metrics=":0",
        environ={},
        base=tmp_path,
    )
    assert flags == config(f"{GOOD}mode: enforce\nspecs: [specs]\nmetrics: {{listen: ':0'}}", tmp_path)
    assert from_flags(agent="researcher", listen="127.0.0.1:1", upstream="127.0.0.1:2", environ={}) == config(GOOD)


def test_a_mistake_in_a_flag_names_the_flag() -> None:
    """There is no file whose line could be named."""
    with pytest.raises(ConfigError) as refused:
        from_flags(agent="a b", listen="1", upstream="x", specs=["nope"], mode="on", metrics="y", environ={}, base=BASE)
    flags = {mistake.where for mistake in refused.value.mistakes}
    assert flags == {"--agent", "--listen", "--upstream", "--specs", "--mode", "--metrics"}


def test_the_description_says_what_will_run() -> None:
    """Word for word, as `sidecar check` prints it."""
    text = """
agent: researcher
mode: enforce
routes:
  - {listen: "127.0.0.1:50051", upstream: "127.0.0.1:50052", caller: planner, callee: researcher}
  - {listen: "127.0.0.1:15001", upstream: "unix:/run/writer.sock", caller: researcher, callee: writer, mode: observe}
descriptors: [reflection]
lineage: {keys: [{id: k2, secret_env: A}, {id: k1, secret_env: B}]}
tracing: {endpoint: "http://user:hunter2@collector:4317", protocol: grpc}
journal: "sqlite:journal.db"
store: redis://cache:6379/0
verifiers: [{name: grounding, address: "127.0.0.1:7101", mode: observe}]
"""
    assert config(text).describe() == [
        "agent       researcher",
        "mode        enforce",
        "routes      inbound    127.0.0.1:50051 → 127.0.0.1:50052",
        "                       (planner → researcher, enforce)",
        "            to-writer  127.0.0.1:15001 → unix:/run/writer.sock",
        "                       (researcher → writer, observe)",
        "types       reflection",
        "specs       none",
        "lineage     signed with k2, k1 verified too",
        "verifiers   grounding  127.0.0.1:7101, observe, within 500ms, fail open",
        "store       redis://cache:6379/0",
        "loops       5 repeats, 3 cycles, 16 hops within 10m, mode of the root",
        "tasks       stuck after 10m without progress",
        f"journal     sqlite://{BASE.absolute()}/journal.db",
        "metrics     http://127.0.0.1:9464/metrics",
        "traces      otlp → http://***@collector:4317 (grpc)",
        "admin       127.0.0.1:9465; without a credential: read",
    ]


def test_a_short_route_is_described_on_one_line() -> None:
    """80 columns are enough for most."""
    text = f"agent: writer\nroutes: [{ROUTE}]\nmetrics: false\ntracing: {{exporter: none}}"
    lines = config(text).describe()
    assert lines[2] == "routes      inbound  127.0.0.1:1 → 127.0.0.1:2  (any caller → writer, observe)"
    assert max(map(len, lines)) <= 80
    assert lines[-3:-1] == ["metrics     off", "traces      none"]


def test_a_route_that_cannot_have_its_mode_is_told_so() -> None:
    """Else an operator would believe that it enforces."""
    assert "asks to enforce, but the root says observe" in "\n".join(config(with_route("mode: enforce")).describe())


def walk(section: type[Section], way: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of the tree, dotted, with its field."""
    for key, described in keyed_fields(section).items():
        yield f"{way}{key}", described
        inner = section_in(described.annotation)
        if inner is not None:
            is_list = str(described.annotation).startswith("tuple")
            yield from walk(inner, f"{way}{key}{'[]' if is_list else ''}.")


TREE = dict(walk(Config))
ROW = re.compile(r"^\| `([a-z_.\[\]]+)` \| [^|]+ \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)


def test_every_key_of_the_tree_is_documented_once() -> None:
    """The reference names what exists, all of it and nothing else."""
    named = [match[1] for match in ROW.finditer((ROOT / "docs/configuration.md").read_text())]
    assert sorted(named) == sorted(TREE)


@pytest.mark.parametrize("key", TREE)
def test_a_documented_default_is_the_trees(key: str) -> None:
    """A default in the reference is what happens when the key is left out."""
    documented = {match[1]: match[2] for match in ROW.finditer((ROOT / "docs/configuration.md").read_text())}[key]
    assert spelt(TREE[key]) == meant(documented, TREE[key])


def spelt(described: FieldInfo) -> Any:
    """The tree's default, as far as a reference can spell it."""
    if described.is_required():
        return "needed"
    default = described.default
    if isinstance(default, Section):
        return "defaults"
    return "derived" if default == "" else default


def meant(documented: str, described: FieldInfo) -> Any:
    """What a cell of the reference stands for, as the value of the tree that it is compared with."""
    if not documented.startswith("`"):
        return None if documented == "none" else documented
    text, default = documented.strip("`"), described.default
    if isinstance(default, float) and text[-1].isalpha():
        return parse_duration(text)
    if isinstance(default, int) and text.endswith("B"):
        return parse_size(text)
    if isinstance(default, Decimal):
        return Decimal(text)
    if isinstance(default, Address):
        return next(address for address in [default] if str(address) == text)
    value = yaml.safe_load(text)
    return type(default)(value) if isinstance(default, tuple) else default if str(default) == value else value


def test_every_key_has_a_sentence() -> None:
    """It is what an operator reads where the key is missing."""
    assert [key for key, described in TREE.items() if not described.description] == []


def test_the_example_is_right_and_complete(tmp_path: Path) -> None:
    """The commented example validates, and names every key but those of TLS, which need files."""
    path = ROOT / "examples/sidecar.yaml"
    load(path, {})
    text = path.read_text()
    keys = {key.rpartition(".")[2] for key in TREE if "verifiers[].tls" not in key}
    assert sorted(key for key in keys if not re.search(rf"\b{key}\b *:", text)) == []


def test_the_examples_defaults_are_the_trees() -> None:
    """What the example spells out without need changes nothing."""
    example, small = load(ROOT / "examples/sidecar.yaml", {}), config(GOOD)
    for section in ("join", "metrics", "admin", "loops", "log", "drain", "store"):
        if section != "loops":
            assert getattr(example, section) == getattr(small, section), section
    assert example.loops is not None
    assert example.loops.model_copy(update={"mode": None}) == small.loops
    assert example.routes[0].limits == small.routes[0].limits


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("5s"), st.just(":1")
)
KEYS = st.sampled_from(sorted({part for key in TREE for part in re.findall(r"[a-z_]+", key)} | {"secret", "x"}))
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=30
)


@given(ANYTHING)
def test_no_data_gets_past_the_tree_or_crashes_it(data: Any) -> None:
    """Whatever is written, the answer is a tree or mistakes in our own words; pydantic's never show."""
    found = mistakes(yaml.safe_dump(data, allow_unicode=True))
    assert not any("another value (" in one for one in found), found


@given(st.text(max_size=200))
def test_no_text_crashes_the_loader(text: str) -> None:
    """Junk is a mistake of the operator's, not a failure of ours."""
    assert mistakes(text)


def test_loading_reads_the_file(tmp_path: Path) -> None:
    """Mistakes bear the file's name."""
    path = tmp_path / "my.yaml"
    path.write_text("agent: a")
    with pytest.raises(ConfigError, match=r"^my\.yaml:1 routes: found nothing"):
        load(path, {})
    path.write_text(GOOD)
    assert load(path, {}) == config(GOOD)
