"""Lineage end to end: these headers came in on this route, these go out, and this is what was inherited."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.entry import ENTRY_KEY, ENTRY_MAX_BYTES, HOPS_MAX, Entries, Rejected
from sidecar.engine.exchange import Arrival, Exchange, Metadata, Peer, Route, Side, Status
from sidecar.engine.lineage import (
    PATH_MAX_CHARS,
    JoinMode,
    JoinSource,
    Lineage,
    LineageKeeper,
    LineageSettings,
    bounded_path,
    caller_of,
    renamed,
)
from sidecar.engine.message import NO_NAMES, Names
from sidecar.engine.state import Naming
from sidecar.errors import DependencyError, StoreUnavailable
from sidecar.stores.memory import MemoryConversations
from sidecar.v1.lineage_pb2 import LineageBody, LineageEntry

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
TRACEPARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")
LOCAL = Peer("ipv4:127.0.0.1:4242")
REMOTE = Peer("ipv4:10.0.0.7:4242")
KEY = ("k1", b"0123456789abcdef")
KEYED = LineageSettings(keys=(KEY,))
OK = Status("OK")
NOW_MS = 1_000_000_000


@dataclass
class HandClock:
    """Time that moves when told."""

    now_s: float = NOW_MS / 1000

    def monotonic_ns(self) -> int:
        return int(self.now_s * 1e9)

    def unix_ns(self) -> int:
        return int(self.now_s * 1e9)


class CountedIds:
    """1, 2, 3 ... in every kind."""

    def __init__(self) -> None:
        self._traces, self._spans, self._exchanges = itertools.count(1), itertools.count(1), itertools.count(1)

    def trace_id(self) -> str:
        return f"{next(self._traces):032x}"

    def span_id(self) -> str:
        return f"{next(self._spans):016x}"

    def exchange_id(self) -> str:
        return f"exchange-{next(self._exchanges)}"


class RecordingSampler:
    """Samples what its parent sampled, roots if told, and remembers what it was asked."""

    def __init__(self, samples_roots: bool = True) -> None:
        self.samples_roots = samples_roots
        self.asked: list[tuple[str, bool | None, str, Side]] = []

    def is_sampled(self, trace_id: str, parent_is_sampled: bool | None, method: str, side: Side) -> bool:
        self.asked.append((trace_id, parent_is_sampled, method, side))
        return self.samples_roots if parent_is_sampled is None else parent_is_sampled


class CountingStore(MemoryConversations):
    """Remembers each claim."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: list[list[str]] = []

    async def name_conversation(self, aliases: Sequence[str], proposed: str) -> Naming:
        self.claims.append(list(aliases))
        return await super().name_conversation(aliases, proposed)


class AbsentStore(MemoryConversations):
    async def name_conversation(self, aliases: Sequence[str], proposed: str) -> Naming:
        raise StoreUnavailable("no route to store")


class Sidecar:
    """The sidecar beside one agent: calls come in to it and go out from it."""

    def __init__(
        self, agent: str, settings: LineageSettings | None = None, store: MemoryConversations | None = None
    ) -> None:
        self.agent = agent
        self.clock = HandClock()
        self.sampler = RecordingSampler()
        self.complaints: list[DependencyError] = []
        self.keeper = LineageKeeper(
            clock=self.clock,
            ids=CountedIds(),
            sampler=self.sampler,
            store=store or MemoryConversations(),
            settings=settings,
            complain=self.complaints.append,
        )

    async def asked(
        self,
        *metadata: tuple[str, str | bytes],
        peer: Peer = LOCAL,
        names: Names = NO_NAMES,
        is_dispatched: bool = True,
    ) -> Exchange:
        route = Route("inbound", Side.INBOUND, "_unknown", self.agent)
        return await self._begin(Arrival(route, "/a.A/Do", metadata, peer), names, is_dispatched)

    async def calls(
        self, callee: str, *metadata: tuple[str, str | bytes], names: Names = NO_NAMES, route: str = "outbound"
    ) -> Exchange:
        arrival = Arrival(Route(route, Side.OUTBOUND, self.agent, callee), "/b.B/Do", metadata, LOCAL)
        return await self._begin(arrival, names, is_dispatched=False)

    async def saw(self, exchange: Exchange, names: Names) -> None:
        exchange.names = exchange.names.merged(names)
        await self.keeper.saw(exchange, names)

    def sends(self, exchange: Exchange) -> list[tuple[str, str | bytes]]:
        return self.keeper.stamp(exchange)

    def answered(self, exchange: Exchange) -> None:
        self.keeper.ended(exchange, OK)

    async def _begin(self, arrival: Arrival, names: Names, is_dispatched: bool) -> Exchange:
        lineage, naming = self.keeper.foresee(arrival, arrival.route.callee, names)
        if naming is not None:
            lineage = renamed(lineage, await naming)
        exchange = Exchange(arrival, lineage, caller_of(arrival, lineage), started_ns=0, started_unix_ns=0)
        if is_dispatched:
            self.keeper.stamp(exchange)
        return exchange


def value_of(metadata: Metadata, key: str) -> str | bytes | None:
    return dict(metadata).get(key)


# Trace context


async def test_call_without_context_begins_a_trace():
    """A root: no parent, a random id of our own that says so, sampled as the sampler likes."""
    lineage = (await Sidecar("researcher").asked()).lineage
    assert (lineage.source, lineage.parent_span_id, lineage.hops) == (JoinSource.ROOT, "", 0)
    assert lineage.traceparent == f"00-{1:032x}-{1:016x}-03"


async def test_inbound_context_is_continued_under_a_new_span():
    """The caller's span is our parent, and our span is the parent of what follows."""
    sidecar = Sidecar("researcher")
    exchange = await sidecar.asked(TRACEPARENT, ("tracestate", "a=1"))
    assert (exchange.lineage.source, exchange.lineage.parent_span_id) == (JoinSource.PROPAGATED, SPAN)
    assert sidecar.sends(exchange) == [("traceparent", f"00-{TRACE}-{1:016x}-01"), ("tracestate", "a=1")]


async def test_agent_that_keeps_its_context_is_obeyed():
    """Whatever we know of it, headers come first."""
    sidecar = Sidecar("researcher")
    await sidecar.asked(names=Names(context_id="c"))
    lineage = (await sidecar.calls("writer", TRACEPARENT, names=Names(context_id="c"))).lineage
    assert (lineage.source, lineage.trace_id, lineage.parent_span_id) == (JoinSource.PROPAGATED, TRACE, SPAN)


@pytest.mark.parametrize(("flags", "sent"), [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03")])
async def test_random_bit_stays_with_its_trace_id(flags: str, sent: str):
    """Only who made the id knows how it was made."""
    sidecar = Sidecar("researcher")
    exchange = await sidecar.asked(("traceparent", f"00-{TRACE}-{SPAN}-{flags}"))
    assert exchange.lineage.traceparent.endswith(f"-{sent}")
    assert exchange.lineage.trace_flags == int(sent, 16)


async def test_sampler_is_asked_with_what_the_parent_decided():
    """And it alone decides, for a root as for a continued trace."""
    sidecar = Sidecar("researcher")
    sidecar.sampler.samples_roots = False
    exchanges = [await sidecar.asked(), await sidecar.asked(TRACEPARENT)]
    assert [exchange.lineage.is_sampled for exchange in exchanges] == [False, True]
    assert sidecar.sampler.asked == [
        (f"{1:032x}", None, "/a.A/Do", Side.INBOUND),
        (TRACE, True, "/a.A/Do", Side.INBOUND),
    ]


async def test_everything_else_of_the_callers_metadata_is_untouched():
    """Baggage and binary values too; in observe and enforce alike."""
    sidecar = Sidecar("researcher")
    metadata = [("a", "1"), ("baggage", "k=v;p , j=%20"), ("b-bin", b"\x00\xff"), ("a", "2")]
    stamped = sidecar.sends(await sidecar.asked(*metadata))
    assert [pair for pair in stamped if pair[0] != "traceparent"] == metadata


# Joining


async def test_joined_call_goes_on_in_the_trace_of_its_cause():
    """As if the agent had passed on what we gave it, tracestate included."""
    sidecar = Sidecar("researcher")
    inbound = await sidecar.asked(TRACEPARENT, ("tracestate", "a=1"))
    outbound = await sidecar.calls("writer", ("x", "1"), ("tracestate", "stray=1"))
    assert outbound.lineage.source is JoinSource.SOLE_INFLIGHT
    assert outbound.lineage.parent_span_id == inbound.lineage.span_id
    assert sidecar.sends(outbound)[:3] == [
        ("x", "1"),
        ("tracestate", "a=1"),
        ("traceparent", f"00-{TRACE}-{2:016x}-01"),
    ]


async def test_two_calls_in_flight_are_joined_by_context_id_and_never_guessed_without():
    """The promise that matters most: a wrong join is worse than none."""
    sidecar = Sidecar("planner")
    first = await sidecar.asked(names=Names(context_id="c1", message_id="m1"))
    second = await sidecar.asked(names=Names(context_id="c2", message_id="m2"))
    for cause, context_id in ((second, "c2"), (first, "c1")):
        call = (await sidecar.calls("writer", names=Names(context_id=context_id, message_id="new"))).lineage
        assert (call.source, call.trace_id) == (JoinSource.IDS, cause.lineage.trace_id)
        assert (call.parent_span_id, call.conversation) == (cause.lineage.span_id, cause.lineage.conversation)
    lost = (await sidecar.calls("writer", names=Names(message_id="new"))).lineage
    assert (lost.source, lost.parent_span_id, lost.hops) == (JoinSource.AMBIGUOUS, "", 0)
    assert [link.span_id for link in lost.links] == [second.lineage.span_id, first.lineage.span_id]
    assert lost.trace_id not in {first.lineage.trace_id, second.lineage.trace_id}
    assert lost.conversation not in {first.lineage.conversation, second.lineage.conversation}


async def test_ids_seen_in_responses_join_later_calls():
    """The agent makes up a contextId, says it in its stream, and uses it towards others."""
    sidecar = Sidecar("planner")
    first, _ = await sidecar.asked(), await sidecar.asked()
    await sidecar.saw(first, Names(context_id="made-up"))
    call = await sidecar.calls("writer", names=Names(context_id="made-up"))
    assert call.lineage.trace_id == first.lineage.trace_id


async def test_ended_exchange_is_joined_only_while_its_task_goes_on():
    """Background work of an agent that answered "working" belongs to the request that began it."""
    sidecar = Sidecar("planner")
    inbound = await sidecar.asked()
    await sidecar.saw(inbound, Names(task_id="t", task_state="TASK_STATE_WORKING"))
    sidecar.answered(inbound)
    assert (await sidecar.calls("writer")).lineage.trace_id == inbound.lineage.trace_id
    sidecar.clock.now_s += 600
    assert (await sidecar.calls("writer")).lineage.source is JoinSource.ROOT


async def test_refused_exchange_never_causes_a_call():
    """What was not dispatched cannot have made our agent do anything."""
    sidecar = Sidecar("planner")
    await sidecar.asked(is_dispatched=False)
    assert (await sidecar.calls("writer")).lineage.source is JoinSource.ROOT


async def test_ids_of_a_streamed_request_join_once_it_is_dispatched():
    """They were seen between the start and the dispatch."""
    sidecar = Sidecar("planner")
    early = await sidecar.asked(is_dispatched=False)
    await sidecar.saw(early, Names(context_id="c"))
    sidecar.sends(early)
    await sidecar.asked()
    assert (await sidecar.calls("writer", names=Names(context_id="c"))).lineage.trace_id == early.lineage.trace_id


async def test_what_one_agent_was_asked_causes_no_call_of_another():
    """One process may stand beside two agents."""
    sidecar = Sidecar("planner")
    await sidecar.asked()
    sidecar.agent = "critic"
    assert (await sidecar.calls("writer")).lineage.source is JoinSource.ROOT


@pytest.mark.parametrize(
    ("mode", "source"), [(JoinMode.IDS_ONLY, JoinSource.AMBIGUOUS), (JoinMode.OFF, JoinSource.ROOT)]
)
async def test_join_mode_limits_joining(mode: JoinMode, source: JoinSource):
    """An operator may ask for evidence only, or for none of it."""
    sidecar = Sidecar("planner", LineageSettings(join=mode))
    await sidecar.asked()
    assert (await sidecar.calls("writer")).lineage.source is source


async def test_propagated_call_in_the_trace_of_its_cause_inherits_its_account():
    """An instrumented agent keeps the trace; hops, path and conversation still come from us."""
    sidecar = Sidecar("planner")
    inbound = await sidecar.asked(TRACEPARENT, names=Names(context_id="c"))
    lineage = (await sidecar.calls("writer", ("traceparent", f"00-{TRACE}-{'5' * 16}-01"))).lineage
    assert (lineage.source, lineage.parent_span_id) == (JoinSource.PROPAGATED, "5" * 16)
    assert (lineage.hops, lineage.path) == (1, ("planner", "writer"))
    assert lineage.conversation == inbound.lineage.conversation


async def test_propagated_call_in_a_trace_of_its_own_is_charged_by_ids():
    """An agent that begins its own trace cannot run away from its budget, nor is it guessed whose it is."""
    sidecar = Sidecar("planner")
    inbound = await sidecar.asked(names=Names(context_id="c"))
    by_ids = (await sidecar.calls("writer", TRACEPARENT, names=Names(context_id="c"))).lineage
    assert (by_ids.trace_id, by_ids.hops, by_ids.conversation) == (TRACE, 1, inbound.lineage.conversation)
    stranger = (await sidecar.calls("writer", ("traceparent", f"00-{'7' * 32}-{SPAN}-01"))).lineage
    assert (stranger.hops, stranger.conversation) == (0, "7" * 32)


async def test_authority_is_never_inherited():
    """The cause's caller may be anyone; our agent calls in its own name."""
    sidecar = Sidecar("planner")
    await sidecar.asked(peer=replace(LOCAL, identity="spiffe://example.org/boss"))
    call = await sidecar.calls("writer")
    assert (call.caller, call.lineage.caller) == ("planner", None)


# The lineage entry


async def handed_over(
    settings: LineageSettings | None = KEYED, *, caller: Sidecar | None = None
) -> tuple[Exchange, list[tuple[str, str | bytes]]]:
    """A call from the planner to the writer, as it leaves the planner's sidecar."""
    planner = caller or Sidecar("planner", settings)
    await planner.asked()
    call = await planner.calls("writer")
    return call, planner.sends(call)


def with_entry(metadata: Sequence[tuple[str, str | bytes]], entry: bytes) -> list[tuple[str, str | bytes]]:
    return [(key, entry if key == ENTRY_KEY else value) for key, value in metadata]


async def test_callees_sidecar_sees_the_same_exchange():
    """Id, conversation, depth and path cross the wire; the spans differ, the callee's under the caller's."""
    call, metadata = await handed_over()
    seen = (await Sidecar("writer", KEYED).asked(*metadata, peer=REMOTE)).lineage
    assert seen.exchange_id == call.lineage.exchange_id
    assert (seen.conversation, seen.trace_id) == (call.lineage.conversation, call.lineage.trace_id)
    assert seen.parent_span_id == call.lineage.span_id
    assert (seen.hops, seen.path) == (1, ("planner", "writer"))
    assert (seen.was_seen_by_caller, seen.caller, seen.rejected) == (True, "planner", None)


async def test_entry_is_stripped_before_our_agent():
    """Agents see nothing of it; the sidecar holds it and attaches it to what the agent calls."""
    _, metadata = await handed_over()
    writer = Sidecar("writer", KEYED)
    inbound = await writer.asked(*metadata, peer=REMOTE)
    assert value_of(writer.sends(inbound), ENTRY_KEY) is None
    outbound = await writer.calls("printer")
    printed = (await Sidecar("printer", KEYED).asked(*writer.sends(outbound), peer=REMOTE)).lineage
    assert (printed.hops, printed.path) == (2, ("planner", "writer", "printer"))
    assert printed.conversation == inbound.lineage.conversation


async def test_entry_is_attached_only_where_it_is_wanted():
    """Where no sidecar answers for the callee, nobody would strip it."""
    off = Sidecar("planner", LineageSettings(attach=False))
    assert value_of(off.sends(await off.calls("writer")), ENTRY_KEY) is None
    some = Sidecar("planner", LineageSettings(unattached_routes=frozenset({"to-stranger"})))
    assert value_of(some.sends(await some.calls("stranger", route="to-stranger")), ENTRY_KEY) is None
    assert value_of(some.sends(await some.calls("writer")), ENTRY_KEY) is not None


async def test_remainder_of_a_budget_travels_down_and_zero_is_not_none():
    """Nothing left is not the same as no budget."""
    entries = Entries((KEY,), expires_s=300)
    call, _ = await handed_over()
    for remainder in (None, 0, 1_500_000, -20):
        sealed = entries.seal(replace(call.lineage, remainder_micro_usd=remainder), "planner", "writer", NOW_MS)
        metadata = [("traceparent", call.lineage.traceparent), (ENTRY_KEY, sealed)]
        seen = await Sidecar("writer", KEYED).asked(*metadata, peer=REMOTE)
        assert seen.lineage.remainder_micro_usd == remainder


async def rejection(
    metadata: Metadata,
    *,
    settings: LineageSettings = KEYED,
    agent: str = "writer",
    peer: Peer = REMOTE,
    later_s: float = 0,
) -> Rejected | None:
    """What the callee's sidecar says of the entry. A rejected one leaves nothing behind but the trace."""
    sidecar = Sidecar(agent, settings)
    sidecar.clock.now_s += later_s
    lineage = (await sidecar.asked(*metadata, peer=peer)).lineage
    assert lineage.was_seen_by_caller is (lineage.rejected is None)
    if lineage.rejected is not None:
        assert (lineage.caller, lineage.hops, lineage.path) == (None, 0, (agent,))
        assert lineage.remainder_micro_usd is None
        assert lineage.exchange_id == "exchange-1"
    return lineage.rejected


async def test_every_bit_of_an_entry_is_protected():
    """One flipped bit anywhere, in key id, body or MAC, and nothing of it is believed."""
    _, metadata = await handed_over()
    entry = value_of(metadata, ENTRY_KEY)
    assert isinstance(entry, bytes)
    assert await rejection(metadata) is None
    for position in range(len(entry)):
        flipped = entry[:position] + bytes([entry[position] ^ 1]) + entry[position + 1 :]
        assert await rejection(with_entry(metadata, flipped)) is not None, position


async def test_truncated_entry_is_rejected_wherever_it_breaks_off():
    """Protobuf reads many a prefix without complaint; the MAC does not."""
    _, metadata = await handed_over()
    entry = value_of(metadata, ENTRY_KEY)
    assert isinstance(entry, bytes)
    for length in range(len(entry)):
        assert await rejection(with_entry(metadata, entry[:length])) is not None, length


async def test_entry_made_with_another_secret_is_forged():
    """Knowing the format and the key's id is not enough."""
    _, metadata = await handed_over(LineageSettings(keys=(("k1", b"another secret!!"),)))
    assert await rejection(metadata) is Rejected.FORGED


async def test_entry_under_an_unknown_key_id_is_forged():
    """Nobody here can vouch for it."""
    _, metadata = await handed_over(LineageSettings(keys=(("k9", KEY[1]),)))
    assert await rejection(metadata) is Rejected.FORGED


async def test_key_id_is_part_of_what_is_signed():
    """One secret under two ids: an entry of one is none of the other."""
    _, metadata = await handed_over()
    entry = LineageEntry.FromString(value_of(metadata, ENTRY_KEY))
    entry.key_id = "k2"
    both = LineageSettings(keys=(KEY, ("k2", KEY[1])))
    assert await rejection(with_entry(metadata, entry.SerializeToString()), settings=both) is Rejected.FORGED


async def test_keys_rotate_without_a_gap():
    """The first key signs and all verify: new key second everywhere, then first, then the old one goes."""
    old, new = KEY, ("k2", b"fedcba9876543210")
    before, during = LineageSettings(keys=(old, new)), LineageSettings(keys=(new, old))
    for sender, receiver in ((KEYED, before), (before, KEYED), (before, during), (during, before)):
        _, metadata = await handed_over(sender)
        assert await rejection(metadata, settings=receiver) is None
    _, metadata = await handed_over(during)
    assert await rejection(metadata) is Rejected.FORGED


@pytest.mark.parametrize(
    ("later_s", "expected"),
    [(0, None), (-30, None), (-30.001, Rejected.EXPIRED), (329.999, None), (330, Rejected.EXPIRED)],
)
async def test_entry_is_good_for_its_time_and_30_seconds_of_skew(later_s: float, expected: Rejected | None):
    """Expired ones are replays, ones from the future are a broken clock."""
    _, metadata = await handed_over()
    assert await rejection(metadata, later_s=later_s) is expected


async def test_entry_for_another_callee_is_rejected():
    """A callee may not use what it was given to call somebody else as its caller."""
    _, metadata = await handed_over()
    assert await rejection(metadata, agent="bank") is Rejected.OTHER_CALLEE


async def test_entry_of_another_trace_is_rejected():
    """It belongs to the call that it came with, not to the next one."""
    _, metadata = await handed_over()
    moved = [TRACEPARENT, (ENTRY_KEY, dict(metadata)[ENTRY_KEY])]
    assert await rejection(moved) is Rejected.TRACE_MISMATCH
    assert await rejection(moved[1:]) is Rejected.TRACE_MISMATCH


async def test_two_entries_are_malformed():
    """Even if both are good, nobody knows which one holds."""
    _, metadata = await handed_over()
    assert await rejection([*metadata, metadata[-1]]) is Rejected.MALFORMED


@pytest.mark.parametrize("value", [b"\xff", b"\x12\x05abc", b"\x00" * (ENTRY_MAX_BYTES + 1), "text"])
async def test_entry_that_is_none_is_malformed(value: str | bytes):
    """Junk, too much of it, or text where bytes belong."""
    assert await rejection([TRACEPARENT, (ENTRY_KEY, value)]) is Rejected.MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        {"exchange_id": ""},
        {"conversation": ""},
        {"conversation": "c" * 257},
        {"exchange_id": "line\nbreak"},
        {"caller": "x" * 257},
        {"path": []},
    ],
)
async def test_entry_with_names_that_we_would_not_write_is_malformed(change: dict[str, object]):
    """Also on this machine, where it needs no MAC: its names go into logs and stores."""
    good = {
        "exchange_id": "e",
        "conversation": "c",
        "trace_id": TRACE,
        "caller": "a",
        "callee": "writer",
        "path": ["writer"],
    }
    body = LineageBody(**{**good, **change}, issued_unix_ms=NOW_MS, expires_unix_ms=NOW_MS + 1)
    entry = LineageEntry(body=body.SerializeToString()).SerializeToString()
    assert (
        await rejection([TRACEPARENT, (ENTRY_KEY, entry)], settings=LineageSettings(), peer=LOCAL) is Rejected.MALFORMED
    )


async def test_without_keys_an_entry_is_trusted_on_this_machine_only():
    """Loopback and unix sockets are as far as an unsigned word goes."""
    keyless = LineageSettings()
    _, metadata = await handed_over(keyless)
    for address in ("ipv4:127.0.0.1:1", "ipv6:%5B::1%5D:1", "unix:/run/a.sock"):
        assert await rejection(metadata, settings=keyless, peer=Peer(address)) is None
    for address in ("ipv4:10.0.0.7:1", "ipv6:%5B2001:db8::1%5D:1", ""):
        assert await rejection(metadata, settings=keyless, peer=Peer(address)) is Rejected.UNSIGNED


async def test_signed_entry_is_not_trusted_from_afar_by_a_sidecar_without_keys():
    """It cannot tell a good MAC from a bad one."""
    _, metadata = await handed_over()
    assert await rejection(metadata, settings=LineageSettings()) is Rejected.UNSIGNED


async def test_with_keys_an_unsigned_entry_is_never_trusted():
    """Not from this machine either: who configures a key wants it used."""
    _, metadata = await handed_over(LineageSettings())
    assert await rejection(metadata, peer=LOCAL) is Rejected.UNSIGNED
    assert await rejection(metadata) is Rejected.UNSIGNED


async def test_entry_from_our_own_agent_is_never_believed_nor_passed_on():
    """Agents have none to send: it is made up, or taken from another call."""
    _, metadata = await handed_over()
    writer = Sidecar("writer", KEYED)
    outbound = await writer.calls("printer", *metadata)
    assert outbound.lineage.rejected is Rejected.FORGED
    assert (outbound.lineage.hops, outbound.lineage.exchange_id) == (0, "exchange-1")
    assert len([key for key, _ in writer.sends(outbound) if key == ENTRY_KEY]) == 1


@given(st.binary(max_size=300), st.booleans())
def test_no_entry_whatsoever_crashes_us(value: bytes, is_local: bool):
    """Its bytes are a stranger's, signed or not."""
    for keys in ((), (KEY,)):
        for entry in (value, LineageEntry(body=value).SerializeToString()):
            opened = Entries(keys, 300).open(
                [entry], callee="writer", trace_id=TRACE, is_local=is_local, now_unix_ms=NOW_MS
            )
            assert isinstance(opened, Rejected)


names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=50)


@given(
    names,
    names,
    names,
    st.lists(names, min_size=1, max_size=64),
    st.integers(0, HOPS_MAX),
    st.integers(-(2**63), 2**63 - 1),
)
def test_what_is_sealed_can_be_opened(
    exchange_id: str, conversation: str, callee: str, path: list[str], hops: int, remainder: int
):
    """Whatever the names are."""
    lineage = Lineage(
        TRACE, SPAN, "", True, True, (), JoinSource.ROOT, (), exchange_id, conversation, hops, tuple(path), remainder
    )
    entries = Entries((KEY,), 300)
    sealed = entries.seal(lineage, "a", callee, NOW_MS)
    body = entries.open([sealed], callee=callee, trace_id=TRACE, is_local=False, now_unix_ms=NOW_MS)
    assert isinstance(body, LineageBody)
    assert (body.exchange_id, body.conversation, tuple(body.path)) == (exchange_id, conversation, tuple(path))
    assert (body.hops, body.remainder_micro_usd, body.caller) == (hops, remainder, "a")


def test_keys_do_not_show_when_settings_are_printed():
    """Settings end up in logs."""
    assert "0123456789abcdef" not in repr(KEYED)


# Depth and path


@pytest.mark.parametrize(
    ("length", "kept"),
    [
        (1, ["0"]),
        (3, ["0", "1", "2"]),
        (4, ["0", "1", "2", "3"]),
        (5, ["0", "2", "3", "4"]),
        (9, ["0", "6", "7", "8"]),
    ],
)
def test_path_keeps_its_root_and_its_newest_names(length: int, kept: list[str]):
    """Where a call began and how it got here tell most; the middle of a long path is the loop that made it long."""
    assert bounded_path(tuple(f"{number}" for number in range(length)), 4) == tuple(kept)


@pytest.mark.parametrize("max_names", [0, 1])
def test_path_keeps_at_least_its_root(max_names: int):
    """A path without names would say nothing."""
    assert bounded_path(("a", "b"), max_names) == ("a",)


def test_path_of_long_names_is_bounded_too():
    """An entry must leave room for the caller's own metadata."""
    path = bounded_path(tuple("x" * 200 for _ in range(64)), 64)
    assert len(path) == PATH_MAX_CHARS // 200


async def test_hops_go_on_counting_when_the_path_is_full():
    """The depth is what a loop check needs."""
    settings = LineageSettings(max_hops=2)
    metadata: list[tuple[str, str | bytes]] = []
    for _ in range(4):
        sidecar = Sidecar("echo", settings)
        await sidecar.asked(*metadata)
        metadata = sidecar.sends(await sidecar.calls("echo"))
    lineage = (await Sidecar("echo", settings).asked(*metadata)).lineage
    assert (lineage.hops, lineage.path) == (4, ("echo", "echo"))


async def test_made_up_depth_cannot_break_the_next_call():
    """The count stops where the entry's field ends."""
    body = LineageBody(
        exchange_id="e",
        conversation="c",
        trace_id=TRACE,
        callee="writer",
        path=["writer"],
        hops=HOPS_MAX,
        issued_unix_ms=NOW_MS,
        expires_unix_ms=NOW_MS + 1,
    )
    writer = Sidecar("writer")
    await writer.asked(TRACEPARENT, (ENTRY_KEY, LineageEntry(body=body.SerializeToString()).SerializeToString()))
    call = await writer.calls("printer")
    assert call.lineage.hops == HOPS_MAX
    assert value_of(writer.sends(call), ENTRY_KEY) is not None


# Who calls


@pytest.mark.parametrize(
    ("identity", "entry_caller", "route_caller", "expected"),
    [
        ("spiffe://example.org/a", "planner", "configured", "spiffe://example.org/a"),
        (None, "planner", "configured", "planner"),
        (None, None, "configured", "configured"),
        (None, None, "_unknown", "_unknown"),
        (None, None, "", "_unknown"),
    ],
)
async def test_inbound_caller_is_whoever_proved_it_best(
    identity: str | None, entry_caller: str | None, route_caller: str, expected: str
):
    """mTLS, then a trusted entry, then what the operator wrote; a bare header never."""
    route = Route("inbound", Side.INBOUND, route_caller, "writer")
    arrival = Arrival(route, "/a.A/Do", (("caller", "me"), ("x-agent", "me")), replace(REMOTE, identity=identity))
    lineage = replace((await Sidecar("writer").asked()).lineage, caller=entry_caller)
    assert caller_of(arrival, lineage) == expected


# Conversations


async def test_root_conversation_is_named_after_its_trace():
    """The first name seen."""
    lineage = (await Sidecar("writer").asked(TRACEPARENT)).lineage
    assert lineage.conversation == TRACE


async def test_fresh_traces_with_one_context_id_are_one_conversation():
    """That is how most clients talk: the contextId is all they keep."""
    sidecar = Sidecar("writer")
    turns = [await sidecar.asked(names=Names(context_id="c", message_id=f"m{number}")) for number in range(3)]
    assert {turn.lineage.conversation for turn in turns} == {turns[0].lineage.trace_id}


async def test_one_trace_across_context_ids_is_one_conversation():
    """And from then on both contextIds name it."""
    sidecar = Sidecar("writer")
    turns = [
        await sidecar.asked(TRACEPARENT, names=Names(context_id="c1")),
        await sidecar.asked(TRACEPARENT, names=Names(context_id="c2")),
        await sidecar.asked(names=Names(context_id="c2")),
    ]
    assert {turn.lineage.conversation for turn in turns} == {TRACE}


async def test_ids_of_a_response_name_the_conversation_from_then_on():
    """The callee made up task and context; the next turn brings only those."""
    sidecar = Sidecar("writer")
    first = await sidecar.asked()
    await sidecar.saw(first, Names(context_id="c", task_id="t"))
    for names in (Names(task_id="t"), Names(context_id="c")):
        assert (await sidecar.asked(names=names)).lineage.conversation == first.lineage.conversation


async def test_context_id_is_shared_within_a_trust_domain_only():
    """A stranger who picks, or learns, a contextId does not get into the conversation."""
    sidecar = Sidecar("writer")
    identities = ["spiffe://a.org/x", "spiffe://a.org/y", "spiffe://b.org/x", "cn-of-a-certificate", None]
    conversations = [
        (await sidecar.asked(peer=replace(REMOTE, identity=identity), names=Names(context_id="c"))).lineage.conversation
        for identity in identities
    ]
    assert conversations[0] == conversations[1]
    assert conversations[3] == conversations[4]
    assert len(set(conversations)) == 3


async def test_task_and_context_ids_are_their_callees():
    """Two agents that count their tasks from 1 do not share a conversation."""
    sidecar = Sidecar("planner")
    ids = Names(context_id="1", task_id="1")
    first, second = await sidecar.calls("writer", names=ids), await sidecar.calls("printer", names=ids)
    assert first.lineage.conversation != second.lineage.conversation


async def test_reference_task_ids_never_name_a_conversation():
    """They point at other work on purpose."""
    sidecar = Sidecar("writer")
    first = await sidecar.asked(names=Names(task_id="t"))
    second = await sidecar.asked(names=Names(reference_task_ids=("t",)))
    assert first.lineage.conversation != second.lineage.conversation


async def test_name_of_another_conversation_takes_no_new_names_with_it():
    """A response that mentions a foreign contextId beside a new task: the task is still ours."""
    sidecar = Sidecar("writer")
    await sidecar.asked(names=Names(context_id="foreign"))
    ours = await sidecar.asked()
    await sidecar.saw(ours, Names(context_id="foreign", task_id="t"))
    later = await sidecar.asked(names=Names(task_id="t"))
    assert later.lineage.conversation == ours.lineage.conversation


async def test_names_are_claimed_once_an_exchange():
    """A stream says its ids with every message; the store hears them once."""
    store = CountingStore()
    sidecar = Sidecar("writer", store=store)
    exchange = await sidecar.asked(TRACEPARENT, names=Names(context_id="c"))
    for _ in range(3):
        await sidecar.saw(exchange, Names(context_id="c", task_id="t"))
    assert store.claims == [[f"trace:{TRACE}", "context:writer::c"], ["task:writer:t"]]


async def test_names_of_one_exchange_are_bounded():
    """A stream of ever new taskIds does not fill the store."""
    store = CountingStore()
    sidecar = Sidecar("writer", store=store)
    exchange = await sidecar.asked()
    for number in range(1000):
        await sidecar.saw(exchange, Names(task_id=f"t{number}"))
    assert len(store.claims) == 64


async def test_inherited_conversation_is_claimed_before_all_other_names():
    """What the caller's sidecar knows outweighs what a payload says."""
    _, metadata = await handed_over()
    writer = Sidecar("writer", KEYED)
    await writer.asked(names=Names(context_id="c"))
    lineage = (await writer.asked(*metadata, peer=REMOTE, names=Names(task_id="t"))).lineage
    assert lineage.conversation == f"{1:032x}"


@pytest.mark.parametrize("identifier", ["x" * 100_000, "nul\x00", "\ud800", "line\nbreak"])
async def test_hostile_id_is_kept_as_its_hash(identifier: str):
    """It still names its conversation, without its length or its control characters."""
    store = CountingStore()
    sidecar = Sidecar("writer", store=store)
    first = await sidecar.asked(names=Names(context_id=identifier))
    second = await sidecar.asked(names=Names(context_id=identifier))
    assert first.lineage.conversation == second.lineage.conversation
    assert all(alias.isprintable() and len(alias) < 100 for claim in store.claims for alias in claim)


async def test_call_goes_on_when_the_store_is_away():
    """It keeps the name that we know, and someone hears of it."""
    sidecar = Sidecar("writer", store=AbsentStore())
    exchange = await sidecar.asked(TRACEPARENT)
    await sidecar.saw(exchange, Names(context_id="c"))
    assert exchange.lineage.conversation == TRACE
    assert [str(complaint) for complaint in sidecar.complaints] == ["no route to store"] * 2


async def test_ids_after_the_end_are_nothing():
    """The exchange is over; a late message of it changes no state."""
    store = CountingStore()
    sidecar = Sidecar("writer", store=store)
    exchange = await sidecar.asked()
    sidecar.answered(exchange)
    await sidecar.saw(exchange, Names(context_id="c"))
    assert len(store.claims) == 1
