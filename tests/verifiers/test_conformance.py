"""The conformance check: a good verifier keeps every claim, and each claim is broken by a verifier made to break it."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from sidecar.v1 import common_pb2, verifier_pb2, verifier_pb2_grpc
from sidecar.verifier_check import CLAIMS, MAX_SENT_BYTES, Claim, check, evidence
from tests.process.programs import Program
from verifiers import arithmetic, base, grounding, judge, rules, schema, secrets
from verifiers.base.server import serving

LIMIT_S = 20.0
SHORT_LIMIT_S = 0.3
DECLARED_BYTES = 100_000
FINDING = common_pb2.Finding(rule="odd", message="It is odd.")
SERVING = b"\x08\x01"
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


class Good(verifier_pb2_grpc.VerifierServicer):
    """Keeps every claim. Each class below breaks some and says which."""

    breaks: frozenset[str] = frozenset()
    limit_s = LIMIT_S

    def said(self) -> Any:
        sees, blind_to = ["Something."], ["All else."]
        limit = DECLARED_BYTES
        return verifier_pb2.Description(
            name="good", version="1", sees=sees, blind_to=blind_to, max_evidence_bytes=limit
        )

    async def judged(self, given: Any) -> Any:
        passed = verifier_pb2.Verdict.PASS
        return verifier_pb2.Verdict(exchange_id=given.exchange_id, value=passed, score=1, verifier="good", version="1")

    def checked(self, given: Any) -> tuple[grpc.StatusCode, str] | None:
        """Why it is refused, or None."""
        if given.ByteSize() > DECLARED_BYTES:
            return grpc.StatusCode.RESOURCE_EXHAUSTED, "too large"
        return None if is_json(given.response_json) else (grpc.StatusCode.INVALID_ARGUMENT, "no JSON")

    def health(self) -> bytes:
        return SERVING

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802 the generated base has these names
        return self.said()

    async def Verify(self, request: Any, context: Any) -> Any:  # noqa: N802
        if refused := self.checked(request):
            await context.abort(*refused)
        return await self.judged(request)

    async def VerifyStream(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        async for given in request_iterator:
            yield await self.judged(given)


def is_json(payload: bytes) -> bool:
    try:
        json.loads(payload or b"null")
    except (ValueError, RecursionError):
        return False
    return True


class Unnamed(Good):
    breaks = frozenset({"Its name is"})

    def said(self) -> Any:
        return changed(super().said(), name="Good One")

    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), verifier="Good One")


class Unversioned(Good):
    breaks = frozenset({"It says its version"})

    def said(self) -> Any:
        return changed(super().said(), version="")

    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), version="")


class Boastful(Good):
    """Blind to nothing, it says."""

    breaks = frozenset({"It says what it sees"})

    def said(self) -> Any:
        said = super().said()
        said.ClearField("blind_to")
        return said


class Sick(Good):
    breaks = frozenset({"Its health"})

    def health(self) -> bytes:
        return b"\x08\x02"


class Forgetful(Good):
    """Mixes up whom it answers, so no answer of it can be used for anything."""

    breaks = frozenset(
        {
            "It answers with",
            "Evidence without",
            "50 calls",
            "A stream gets",
            "A stream that is cancelled",
            "A call that is cancelled",
        }
    )

    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), exchange_id="somebody else's")


class Inventive(Good):
    """A value from a later version of the protocol, or from nowhere. Nobody may read it as a pass."""

    breaks = frozenset({"Its values", "Evidence without", "50 calls"})

    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), value=7)


class Unspecified(Inventive):
    """The value that a message has before anybody has thought about it."""

    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), value=0)


class Enthusiastic(Good):
    breaks = frozenset({"Its scores"})

    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), score=1.5)


class Numberless(Enthusiastic):
    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), score=float("nan"))


class Impostor(Good):
    breaks = frozenset({"It signs"})

    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), verifier="somebody-else")


class Curt(Good):
    """Fails without a reason."""

    breaks = frozenset({"Each FAIL"})

    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), value=verifier_pb2.Verdict.FAIL)


class Fickle(Good):
    breaks = frozenset({"The same evidence"})

    def __init__(self) -> None:
        self._turn = itertools.cycle([verifier_pb2.Verdict.PASS, verifier_pb2.Verdict.INCONCLUSIVE])

    async def judged(self, given: Any) -> Any:
        return changed(await super().judged(given), value=next(self._turn))


class Frank(Fickle):
    """As fickle, and says so."""

    breaks = frozenset()

    def said(self) -> Any:
        return changed(super().said(), non_deterministic=True)


class Fragile(Good):
    """Falls over where there is nothing to judge."""

    breaks = frozenset({"Evidence without"})

    async def judged(self, given: Any) -> Any:
        assert given.response_json
        return await super().judged(given)


class Credulous(Good):
    """Passes what it could not read."""

    breaks = frozenset({"Garbage"})

    def checked(self, given: Any) -> Any:
        refused = super().checked(given)
        return None if refused and refused[1] == "no JSON" else refused


class Greedy(Good):
    """Takes more than it says."""

    breaks = frozenset({"Evidence past"})

    def checked(self, given: Any) -> Any:
        refused = super().checked(given)
        return None if refused and refused[1] == "too large" else refused


class Boundless(Good):
    """Its limit limits nothing."""

    breaks = frozenset({"Evidence past"})

    def said(self) -> Any:
        return changed(super().said(), max_evidence_bytes=MAX_SENT_BYTES + 1)


class Unwilling(Good):
    """Says nothing of a limit, which is allowed."""

    def said(self) -> Any:
        return changed(super().said(), max_evidence_bytes=0)


class Crowded(Good):
    """Turns away callers that a panel may well send at once."""

    breaks = frozenset({"50 calls"})

    def __init__(self) -> None:
        self._inside = 0

    async def Verify(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._inside += 1
        try:
            if self._inside > 20:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")
            await asyncio.sleep(0.05)
            return await super().Verify(request, context)
        finally:
            self._inside -= 1


class Lossy(Good):
    """Answers every other evidence of a stream, and each of those twice: the number is right, the verdicts are not."""

    breaks = frozenset({"A stream gets", "A stream that is cancelled"})

    async def VerifyStream(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        given = [each async for each in request_iterator]
        for each in given[::2] * 2:
            yield await self.judged(each)


class Muddled(Good):
    """Answers the evidence of a stream one late: each id gets the verdict of the one before."""

    breaks = frozenset({"A stream gets"})

    async def judged(self, given: Any) -> Any:
        failed = {"value": verifier_pb2.Verdict.FAIL, "findings": [FINDING]}
        return changed(await super().judged(given), **(failed if b"968" in given.response_json else {}))

    async def VerifyStream(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        before = None
        async for given in request_iterator:
            yield changed(await self.judged(before or given), exchange_id=given.exchange_id)
            before = given


class Clogged(Good):
    """A stream that is left takes the only key along."""

    breaks = frozenset({"A stream that is cancelled"})
    limit_s = 2.0

    def __init__(self) -> None:
        self._key = asyncio.Semaphore(1)

    async def VerifyStream(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        await self._key.acquire()
        async for given in request_iterator:
            if given.exchange_id.startswith("abandoned"):
                await asyncio.Event().wait()
            yield await self.judged(given)
        self._key.release()


class Streamless(Good):
    breaks = frozenset({"A stream gets", "A stream that is cancelled"})

    async def VerifyStream(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no streams")


class Jammed(Good):
    """A caller who leaves takes the only key along."""

    breaks = frozenset({"A call that is cancelled", "A stream that is cancelled"})
    limit_s = 2.0

    def __init__(self) -> None:
        self._key = asyncio.Semaphore(1)

    async def judged(self, given: Any) -> Any:
        await self._key.acquire()
        if given.exchange_id.startswith("abandoned"):
            await asyncio.Event().wait()
        self._key.release()
        return await super().judged(given)


class Crashing(Good):
    """Every question ends in a status, which is no verdict."""

    breaks = frozenset(
        {"It answers with", "Its values", "Its scores", "It signs", "Each FAIL", "The same evidence"}
        | {
            "Evidence without",
            "Garbage",
            "Evidence past",
            "50 calls",
            "A stream gets",
            "A stream that is cancelled",
            "A call that is cancelled",
        }
    )

    async def Verify(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise RuntimeError("it crashed")

    async def VerifyStream(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        raise RuntimeError("it crashed")


class Mute(Good):
    """Takes the call and never answers."""

    breaks = frozenset({"It describes itself"})
    limit_s = SHORT_LIMIT_S

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802
        await asyncio.Event().wait()


BAD = [
    *(Unnamed, Unversioned, Boastful, Sick, Forgetful, Inventive, Unspecified, Enthusiastic, Numberless, Impostor),
    *(Curt, Fickle, Fragile, Credulous, Greedy, Boundless, Crowded, Lossy, Muddled, Clogged),
    *(Streamless, Jammed, Crashing, Mute),
]
GOOD = [Good, Frank, Unwilling]


def changed(message: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        message.ClearField(name)
        message.MergeFrom(type(message)(**{name: value}))
    return message


class Health(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    def __init__(self, verifier: Good) -> None:
        self._verifier = verifier

    def service(self, details: Any) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            return self._verifier.health()

        is_asked = details.method == "/grpc.health.v1.Health/Check"
        return grpc.unary_unary_rpc_method_handler(answer) if is_asked else None


class Babbling(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Answers everything, with bytes that are nothing."""

    def service(self, details: Any) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            return b"\xff\xff\xff"

        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def served(verifier: Good) -> AsyncIterator[str]:
    server = aio.server(options=[("grpc.max_receive_message_length", -1)])
    verifier_pb2_grpc.add_VerifierServicer_to_server(verifier, server)  # type: ignore[no-untyped-call]
    async with started(server, Health(verifier)) as address:
        yield address


@asynccontextmanager
async def started(server: aio.Server, handler: grpc.GenericRpcHandler) -> AsyncIterator[str]:
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def broken(claims: list[Claim]) -> dict[str, str]:
    return {claim.sentence: claim.observed for claim in claims if not claim.ok}


@pytest.mark.parametrize("kind", GOOD)
async def test_a_good_verifier_keeps_every_claim(kind: type[Good]) -> None:
    """One that is written from the proto alone, varies and says so, or says nothing of a limit."""
    async with served(kind()) as address:
        claims = await check(address, LIMIT_S)
    assert broken(claims) == {}
    assert len(claims) == len(CLAIMS) + 1


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_verifier_breaks_the_claims_that_it_was_made_to_break(kind: type[Good]) -> None:
    """Those and no others, so that a person is sent to the right place."""
    async with served(kind()) as address:
        found = broken(await check(address, kind.limit_s))
    expected = {sentence for sentence in found if sentence.startswith(tuple(kind.breaks))}
    assert set(found) == expected, found
    assert len(found) == len(kind.breaks), found


def test_every_claim_is_seen_to_break() -> None:
    """A claim that no verifier breaks may be one that none can break."""
    beginnings = tuple(set().union(*(kind.breaks for kind in BAD)))
    sentences = ["It describes itself within the limit.", *(sentence for sentence, _ in CLAIMS)]
    assert [sentence for sentence in sentences if not sentence.startswith(beginnings)] == []


async def test_where_nobody_answers_there_is_one_claim(tmp_path: Path) -> None:
    """A list of sixteen failures would hide the one that matters."""
    claims = await check(f"unix:{tmp_path}/nobody", SHORT_LIMIT_S)
    assert [claim.ok for claim in claims] == [False]
    assert "UNAVAILABLE" in claims[0].observed or "DEADLINE_EXCEEDED" in claims[0].observed


async def test_bytes_that_are_no_message_break_claims_and_not_the_check() -> None:
    """Whatever a stranger's server sends, there is a list of claims in the end."""

    async with started(aio.server(), Babbling()) as address:
        claims = await check(address, LIMIT_S)
    assert [(claim.ok, claim.observed) for claim in claims] == [(False, "3 bytes that are no Description")]


async def test_what_a_verifier_says_cannot_play_tricks_on_a_terminal() -> None:
    """Its words are a stranger's: no control characters, no endless lines."""

    class Painter(Good):
        def said(self) -> Any:
            return changed(super().said(), name="\x1b[2J" + "x" * 10_000)

    async with served(Painter()) as address:
        observed = [claim.observed for claim in await check(address, LIMIT_S)]
    assert all(text.isprintable() and len(text) <= 200 for text in observed)


async def test_samples_of_the_users_own_are_judged_too() -> None:
    """A verifier that never fails on ours can be shown to give reasons on theirs."""

    class Choosy(Good):
        async def judged(self, given: Any) -> Any:
            verdict = await super().judged(given)
            return changed(verdict, value=verifier_pb2.Verdict.FAIL) if given.exchange_id == "theirs" else verdict

    async with served(Choosy()) as address:
        assert broken(await check(address, LIMIT_S)) == {}
        found = broken(await check(address, LIMIT_S, samples=[evidence("theirs")]))
    assert list(found.values()) == ["1 of 1 fails have no finding with a rule and a sentence"]


@pytest.mark.parametrize("is_crashing", [False, True])
async def test_a_verifier_on_our_server_conforms_whatever_its_judge_does(is_crashing: bool) -> None:
    """Crashes included: the server is what keeps the claims."""

    def judged(_: base.Evidence) -> base.Verdict:
        if is_crashing:
            raise ValueError
        return base.Verdict(base.Value.PASS, 1.0)

    async with serving(base.Description("ours", "1", ("a",), ("b",)), judged) as server:
        assert broken(await check(server.address, LIMIT_S)) == {}


async def test_a_shipped_verifier_conforms_and_fails_the_sample_that_should_fail() -> None:
    """The samples must be such that a real verifier has something to say about them."""
    async with serving(grounding.DESCRIPTION, grounding.judge) as server:
        claims = await check(server.address, LIMIT_S)
    assert broken(claims) == {}
    assert "PASS, FAIL" in [claim.observed for claim in claims]


@pytest.mark.parametrize(("number", "arguments"), [(0, ["--listen", "127.0.0.1:0"]), (1, ["127.0.0.1:0"])])
async def test_the_examples_of_the_documentation_conform(number: int, arguments: list[str]) -> None:
    """What people copy must work: with our server, and with the proto alone."""
    text = (Path(__file__).parents[2] / "docs" / "verifiers.md").read_text()
    program = Program("-c", EXAMPLE.findall(text)[number], *arguments)
    try:
        address = await asyncio.to_thread(program.read_until, r"^listening (\S+)$")
        assert broken(await check(address, LIMIT_S)) == {}
    finally:
        program.close()


async def test_only_the_judge_declares_that_it_is_not_deterministic() -> None:
    """A model need not repeat itself. The declaration travels, for the check asks for it over the wire."""
    settings = judge.Settings("http://127.0.0.1:9", "m")
    async with (
        serving(judge.DESCRIPTION, judge.Judge(settings)) as server,
        aio.insecure_channel(server.address) as wire,
    ):
        said = await verifier_pb2_grpc.VerifierStub(wire).Describe(verifier_pb2.DescribeRequest())  # type: ignore[no-untyped-call]
    assert said.non_deterministic
    shipped = (arithmetic, grounding, rules, schema, secrets)
    assert not any(each.DESCRIPTION.non_deterministic for each in shipped)
