"""One question over the wire that most model servers speak: `POST {endpoint}/chat/completions`.

httpx, because it keeps connections, is asynchronous and reads a body as it comes: the standard library's client does
none of the three, so a slow model would hold a thread and an endless answer the memory.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from verifiers.judge.settings import Settings

MAX_REPLY_BYTES = 1 << 18
MAX_ATTEMPTS = 3
_TOO_MANY_REQUESTS = 429
_FIRST_WAIT_MS = 200
_MAX_WAIT_MS = 10_000


class Unanswered(Exception):
    """No usable reply came; `rule` is for the finding, the message for people."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class _Transient(Exception):
    """Asking again can help, not before `wait_ms` if the server named a time."""

    def __init__(self, message: str, wait_ms: int | None = None) -> None:
        super().__init__(message)
        self.wait_ms = wait_ms


class Client:
    """Keeps its connections between questions. Made inside the event loop that will use it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        headers = {"authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(settings.timeout_ms / 1000),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8),
            trust_env=False,
            follow_redirects=False,
        )

    async def ask(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """The reply as the server sent it. Raises `Unanswered`. The caller sets the limit on time for all of it."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return await self._ask_once(messages)
            except _Transient as transient:
                if attempt == MAX_ATTEMPTS:
                    raise Unanswered("endpoint-unavailable", str(transient)) from transient
                await asyncio.sleep(_wait_ms(attempt, transient.wait_ms) / 1000)
        raise AssertionError("the last attempt returns or raises")

    async def _ask_once(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        try:
            async with self._http.stream("POST", self._url(), json=self._question(messages)) as response:
                _check_status(response)
                body = await _read(response)
        except httpx.HTTPError as error:
            raise _Transient(f"The model's endpoint could not be reached: {type(error).__name__}.") from error
        return _reply(body)

    def _url(self) -> str:
        return f"{self._settings.endpoint}/chat/completions"

    def _question(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        question: dict[str, Any] = {
            "model": self._settings.model,
            "messages": list(messages),
            "temperature": 0,
            "max_tokens": self._settings.max_answer_tokens,
        }
        return question | ({"response_format": {"type": "json_object"}} if self._settings.is_json_mode else {})

    async def close(self) -> None:
        await self._http.aclose()


def _check_status(response: httpx.Response) -> None:
    """Bodies of errors are not read: they may repeat the question, and with it the evidence."""
    if response.is_success:
        return
    message = f"The model's endpoint answered with status {response.status_code}."
    if response.status_code == _TOO_MANY_REQUESTS or response.is_server_error:
        raise _Transient(message, _retry_after_ms(response))
    raise Unanswered("endpoint-refused", message)


def _retry_after_ms(response: httpx.Response) -> int | None:
    """Retry-After in seconds (RFC 9110, section 10.2.3). A date there is left out: it depends on two clocks."""
    text = response.headers.get("retry-after", "").strip()
    return int(text) * 1000 if text.isdecimal() and len(text) < 8 else None


def _wait_ms(attempt: int, asked_ms: int | None) -> float:
    if asked_ms is not None and asked_ms > _MAX_WAIT_MS:
        raise Unanswered("endpoint-unavailable", f"The model's endpoint asks us to wait {asked_ms} ms.")
    own = _FIRST_WAIT_MS << (attempt - 1)
    return max(own, asked_ms or 0) * random.uniform(1.0, 1.25)  # noqa: S311 spreads retries, guards nothing


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise Unanswered("unparsable", f"The reply is longer than {MAX_REPLY_BYTES} bytes.")
    return bytes(body)


def _reply(body: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unanswered("unparsable", "The endpoint's reply is not JSON.") from error
    if not isinstance(reply, dict):
        raise Unanswered("unparsable", "The endpoint's reply is not an object.")
    return reply
