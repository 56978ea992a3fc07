"""A seat: one verifier as the panel knows it. Whatever the verifier does, asking it ends in an opinion, in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace

import grpc
from grpc import aio

from sidecar.engine.exchange import Mode
from sidecar.engine.ports import Clock, PanelReporter
from sidecar.engine.verdict import Failure, Opinion, Value
from sidecar.panel.breaker import Breaker
from sidecar.panel.description import SCHEMA, Description, Descriptions
from sidecar.panel.question import Answer, Question, Unusable
from sidecar.panel.settings import VerifierSettings, open_channel
from sidecar.tls import ClientTls

log = logging.getLogger(__name__)

VERIFY = "/sidecar.v1.Verifier/Verify"
HEALTHY = frozenset({None, Failure.DECLINED, Failure.CUT_OFF})
"""What is no failure of the verifier's."""
DESCRIBED_WITHIN = 0.25
"""Share of the time for a question that may pass before it is sent, where it depends on the description."""

FAILURES = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Failure.TIMED_OUT,
    grpc.StatusCode.UNAVAILABLE: Failure.UNREACHABLE,
    grpc.StatusCode.INVALID_ARGUMENT: Failure.DECLINED,
    grpc.StatusCode.OUT_OF_RANGE: Failure.DECLINED,
    grpc.StatusCode.FAILED_PRECONDITION: Failure.DECLINED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Failure.DECLINED,
}
"""Any other status is a crash."""


class Seat:
    """Asks one verifier. The channel opens with the first question and is reused by all others."""

    def __init__(self, settings: VerifierSettings, clock: Clock, reporter: PanelReporter) -> None:
        self.settings = settings
        self._configured_mode = settings.mode
        self._clock = clock
        self._reporter = reporter
        self._breaker = Breaker(
            clock,
            failures=settings.breaker_failures,
            cooldown_s=settings.breaker_cooldown_s,
            changed=self._breaker_changed,
        )
        self._blank = Opinion(settings.name, Value.INCONCLUSIVE, mode=settings.mode, fail=settings.fail)
        self._channel: aio.Channel | None = None
        self._descriptions: Descriptions | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def change_mode(self, mode: Mode | None) -> None:
        """What an operator put in the place of the configured mode, from the next question on; None takes it back."""
        effective = mode or self._configured_mode
        self.settings = replace(self.settings, mode=effective)
        self._blank = replace(self._blank, mode=effective)

    @property
    def is_skipped(self) -> bool:
        """Whether it keeps failing, so that nobody asks it for a while."""
        return self._breaker.is_open

    async def ask(self, question: Question, limit_s: float | None) -> Opinion:
        """The verifier's opinion within `limit_s` and its own time-out, whichever is shorter. Raises nothing."""
        began_ns = self._clock.monotonic_ns()
        opinion = await self._guarded(question, shorter(limit_s, self.settings.timeout_s))
        opinion = replace(opinion, duration_s=(self._clock.monotonic_ns() - began_ns) / 1e9)
        self._reporter.opinion_given(opinion)
        return opinion

    def abstain(self, failure: Failure) -> Opinion:
        """Its opinion where it is not asked."""
        opinion = replace(self._blank, failure=failure)
        self._reporter.opinion_given(opinion)
        return opinion

    def renew(self, tls: ClientTls) -> None:
        """Dial with these certificates from the next question on. What is being asked may still be answered."""
        self.settings = replace(self.settings, tls=tls)
        if self._channel is not None and self._descriptions is not None:
            retiring = asyncio.create_task(closed(self._channel, self._descriptions, self.settings.timeout_s))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
        self._channel = self._descriptions = None

    async def close(self) -> None:
        for retiring in self._retiring:
            retiring.cancel()
        if self._channel is not None and self._descriptions is not None:
            await closed(self._channel, self._descriptions)

    async def _guarded(self, question: Question, limit_s: float) -> Opinion:
        """Past the breaker, and with its report. What a verifier will not judge says nothing about its health."""
        if not self._breaker.admits():
            return replace(self._blank, failure=Failure.BREAKER_OPEN)
        try:
            opinion = await self._settled(question, limit_s)
        except asyncio.CancelledError:
            self._breaker.abandoned()
            if is_cancelled():
                raise
            return replace(self._blank, failure=Failure.UNREACHABLE)  # the connection was closed under the question
        if opinion.failure in HEALTHY:
            self._breaker.succeeded()
        else:
            self._breaker.failed()
        return opinion

    async def _settled(self, question: Question, limit_s: float) -> Opinion:
        """An opinion, whatever happens in the time that there is."""
        try:
            async with asyncio.timeout(limit_s):
                return await self._opinion(question, limit_s)
        except TimeoutError:
            failure = Failure.TIMED_OUT
        except aio.AioRpcError as error:
            failure = FAILURES.get(error.code(), Failure.CRASHED)
        except Unusable as unusable:
            failure = unusable.failure
        except Exception:
            # Ours or grpc's mistake. A panel that raises would leave the call without any verdict.
            log.exception("asking verifier %s failed", self.settings.name)
            failure = Failure.CRASHED
        return replace(self._blank, failure=failure)

    async def _opinion(self, question: Question, limit_s: float) -> Opinion:
        channel, descriptions = self._connected()
        judges_schemas = question.has_schemas and await self._judges_schemas(descriptions, limit_s)
        payload = question.payload(self.settings.name, judges_schemas=judges_schemas)
        known = descriptions.known
        if known is not None and 0 < known.max_evidence_bytes < len(payload):
            return replace(self._blank, failure=Failure.DECLINED)
        descriptions.ask()  # beside the question, so that knowing the family costs no round trip
        answer = question.answer(await channel.unary_unary(VERIFY)(payload, timeout=limit_s))
        opinion = self._signed(answer, await self._description(answer, descriptions))
        if judges_schemas and not question.is_told(self.settings.name):
            return replace(opinion, judged_schemas=True)  # of the last message, which is never cut off
        is_blind = question.is_cut_off and opinion.value is Value.PASS
        return replace(self._blank, failure=Failure.CUT_OFF) if is_blind else opinion

    async def _judges_schemas(self, descriptions: Descriptions, limit_s: float) -> bool:
        """By its configured name at once; else by its description, for which the first question waits a little.

        A verifier that keeps its description to itself must not use up the time for its verdict.
        """
        if self.settings.name == SCHEMA:
            return True
        if descriptions.known is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s * DESCRIBED_WITHIN):
                    await descriptions.wait()
        known = descriptions.known
        return known is not None and known.judges_schemas

    async def _description(self, answer: Answer, descriptions: Descriptions) -> Description | None:
        """Only a pass needs its family, for a quorum; nothing else waits."""
        known = descriptions.known
        if known is not None or answer.value is not Value.PASS:
            return known
        try:
            return await descriptions.wait()
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return None  # the connection was closed while we waited

    def _signed(self, answer: Answer, description: Description | None) -> Opinion:
        if description is None and answer.value is Value.PASS:
            return replace(self._blank, failure=Failure.UNDESCRIBED)
        who = description or Description()
        return replace(
            self._blank,
            value=answer.value,
            version=answer.version or who.version,
            family=who.family or who.name or self.settings.name,
            score=answer.score,
            findings=answer.findings,
            cost=answer.cost,
        )

    def _connected(self) -> tuple[aio.Channel, Descriptions]:
        if self._channel is None or self._descriptions is None:
            self._channel = open_channel(self.settings)
            self._descriptions = Descriptions(self._channel, self.settings.name)
        return self._channel, self._descriptions

    def _breaker_changed(self, is_open: bool) -> None:
        if is_open:
            log.warning("verifier %s keeps failing and is skipped for a while", self.settings.name)
        else:
            log.info("verifier %s answers again", self.settings.name)
        self._reporter.breaker_changed(self.settings.name, is_open)


async def closed(channel: aio.Channel, descriptions: Descriptions, grace_s: float | None = None) -> None:
    await descriptions.close()
    await channel.close(grace_s)


def is_cancelled() -> bool:
    """Whether somebody cancelled us. grpc raises the same error where only its channel was closed."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def shorter(limit_s: float | None, timeout_s: float) -> float:
    return timeout_s if limit_s is None else min(limit_s, timeout_s)
