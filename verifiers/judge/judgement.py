"""The story of one judgement: compose, ask, read, ask once more if the answer was no verdict, and count the cost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from verifiers.base import Evidence, Finding, Value, Verdict
from verifiers.judge.answer import Unparsable, read_answer
from verifiers.judge.client import Client, Unanswered
from verifiers.judge.prices import Meter
from verifiers.judge.prompt import compose, shown
from verifiers.judge.settings import Settings

MAX_RUBRIC_CHARS = 16_000
ANSWERS = 2
"""One question and one repeat. A model that twice gives no verdict has none."""


class Judge:
    """One model behind one endpoint. Call it with evidence."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None

    async def __call__(self, evidence: Evidence) -> Verdict:
        """Never raises for what the model or its server does: that is a verdict of inconclusive with a finding."""
        rubric = evidence.parameters.get("rubric", self._settings.rubric).strip()
        documents = shown(evidence)
        if problem := self._problem(rubric, documents):
            return _inconclusive(*problem)
        meter = Meter(self._settings.model)
        verdict = await self._in_time(rubric, documents, meter)
        return replace(verdict, usage=meter.usage(self._settings.prices))

    def _problem(self, rubric: str, documents: str) -> tuple[str, str] | None:
        if not rubric:
            return "no-rubric", "Neither the spec nor the operator gave a rubric."
        if len(rubric) > MAX_RUBRIC_CHARS:
            return "rubric-too-long", f"The rubric is longer than {MAX_RUBRIC_CHARS} characters."
        if len(documents) > self._settings.max_evidence_chars:
            return "evidence-too-long", f"The evidence is longer than {self._settings.max_evidence_chars} characters."
        return None

    async def _in_time(self, rubric: str, documents: str, meter: Meter) -> Verdict:
        try:
            async with asyncio.timeout(self._settings.timeout_ms / 1000):
                return await self._ask(rubric, documents, meter)
        except TimeoutError:
            return _inconclusive("timed-out", f"The model gave no verdict within {self._settings.timeout_ms} ms.")
        except Unanswered as unanswered:
            return _inconclusive(unanswered.rule, str(unanswered))

    async def _ask(self, rubric: str, documents: str, meter: Meter) -> Verdict:
        reasons = []
        for _ in range(ANSWERS):
            prompt = compose(rubric, documents)
            reply = await self._connected().ask(prompt.messages)
            meter.add(reply)
            try:
                return read_answer(_content(reply), prompt.token, documents)
            except Unparsable as unparsable:
                reasons.append(str(unparsable))
        return _inconclusive("unparsable", f"The model gave no verdict in {ANSWERS} answers: {reasons[-1]}.")

    def _connected(self) -> Client:
        """Made at first use, because connections belong to the event loop that serves."""
        if self._client is None:
            self._client = Client(self._settings)
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def _content(reply: dict[str, Any]) -> str:
    """The text of the first choice. Raises `Unanswered` where the model declined, `Unparsable` where there is none."""
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise Unparsable("the reply has no message")
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        raise Unanswered("refused", "The model declined to judge this evidence.")
    if choice.get("finish_reason") == "length":
        raise Unparsable("the answer was cut off at its limit of tokens")
    if not isinstance(message.get("content"), str):
        raise Unparsable("the message has no text")
    return str(message["content"])


def _inconclusive(rule: str, message: str) -> Verdict:
    return Verdict(Value.INCONCLUSIVE, 0.0, (Finding(rule, message),))
