"""A meter: the usage of one exchange, from all the reports that pass.

A stream reports more than once, and providers differ: OpenAI's last chunk has all of it, Anthropic's `message_start`
has the input and each `message_delta` the output so far. Reports are therefore cumulative within one response: what a
later one says replaces what an earlier one said, figure by figure. Responses that bear different ids are different
work, and add up. So the last report of a stream settles it, and one that is broken off settles on the last that came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sidecar.engine.message import JSON
from sidecar.engine.usage.search import report_of
from sidecar.engine.usage.shapes import OTEL, micro_usd_of, model_in, read_flat
from sidecar.engine.usage.usage import NO_USAGE, Usage

RESPONSES_MAX: Final = 64
"""Responses of one exchange that are told apart. Past that the oldest counts as complete."""

LITELLM_COST: Final = "x-litellm-response-cost"

Metadata = Iterable[tuple[str, "str | bytes"]]


class Meter:
    """Adds up what one exchange reports."""

    __slots__ = ("_by_response", "_complete", "_latest")

    def __init__(self) -> None:
        self._by_response: dict[str, Usage] = {}
        self._complete = NO_USAGE
        self._latest = ""
        """The response that reports without an id belong to: Anthropic's deltas bear none."""

    @property
    def usage(self) -> Usage:
        """What was reported so far."""
        total = self._complete
        for usage in self._by_response.values():
            total = total.plus(usage)
        return total

    def see_document(self, document: JSON) -> None:
        """One message of the callee's."""
        for usage, response_id in report_of(document):
            self.see(usage, response_id)

    def see_metadata(self, metadata: Metadata) -> None:
        """Headers or trailers: `gen_ai.usage.*` with `gen_ai.response.model`, and LiteLLM's cost in US dollars."""
        texts = {key: value for key, value in metadata if isinstance(value, str) and is_telling(key)}
        if not texts:
            return
        usage = read_flat(texts).updated(Usage(model_in(texts), cost_micro_usd=micro_usd_of(texts.get(LITELLM_COST))))
        if not usage.is_empty:
            self.see(usage)

    def see(self, usage: Usage, response_id: str = "") -> None:
        """One report."""
        response_id = response_id or self._latest
        if response_id and "" in self._by_response:
            # What came before the first id was the beginning of this response.
            self._by_response[response_id] = self._by_response.pop("")
        self._latest = response_id
        self._by_response[response_id] = self._by_response.get(response_id, NO_USAGE).updated(usage)
        if len(self._by_response) > RESPONSES_MAX:
            oldest = next(iter(self._by_response))
            self._complete = self._complete.plus(self._by_response.pop(oldest))


def is_telling(key: str) -> bool:
    return key.startswith((OTEL, "gen_ai.response.", "gen_ai.request.")) or key == LITELLM_COST
