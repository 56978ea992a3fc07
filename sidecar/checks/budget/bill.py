"""A bill: one exchange's money under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jsonpath_rfc9535.exceptions import JSONPathError

from sidecar.checks.budget.till import Receipt
from sidecar.engine.costs import Cost, Prices, Source
from sidecar.engine.exchange import Metadata
from sidecar.engine.message import JSON, Message
from sidecar.engine.specs.path import Path
from sidecar.engine.specs.promises import CostTerms
from sidecar.engine.state.ledger import Hold
from sidecar.engine.usage import NO_USAGE, Meter, Usage
from sidecar.engine.usage.shapes import model_name, tokens_of
from sidecar.errors import MalformedMessage


@dataclass(slots=True, eq=False)
class Bill:
    """What is held for an exchange, and what its answers say that it cost."""

    holds: Sequence[Hold]
    """Every purse that it draws on."""
    estimate_micro_usd: int | None
    """What to hold; 0 holds nothing, None says nothing of money at all."""
    terms: CostTerms | None = None
    receipt: Receipt | None = None
    is_slice: bool = False
    """Whether this is money handed down, and not what the call itself costs."""
    meter: Meter = field(default_factory=Meter)
    seen: Message | None = None
    """The last answer that was read."""
    was_turned_away: bool = False
    """Whether the callee's own sidecar said that the callee has not seen the request."""
    is_settled: bool = False
    is_counted: bool = True
    """Whether the ledger took what we settled: of two sidecars that keep one charge, one settles it."""
    cost: Cost | None = None
    """Once it is settled: what the call cost; None where it cost nothing that anybody knows of."""

    def see(self, message: Message) -> None:
        """One answer of the callee's, refused or not."""
        if message is self.seen or not message.is_readable:
            return
        self.seen = message
        try:
            document = message.document
        except MalformedMessage:
            return  # the spec check says so, if a spec cares
        self.meter.see_document(document)
        if self.terms is not None and (declared := usage_at(self.terms, document)) != NO_USAGE:
            self.meter.see(declared)

    def see_metadata(self, metadata: Metadata) -> None:
        self.meter.see_metadata(metadata)

    def priced(self, usage: Usage, prices: Prices) -> Cost | None:
        """What the usage costs. None where nothing was reported and nobody estimates."""
        held = self.receipt.held_micro_usd if self.receipt else self.estimate_micro_usd
        if usage.cost_micro_usd is not None:
            return Cost(usage.cost_micro_usd, Source.REPORTED, usage)
        if usage.is_empty:
            return None if held is None else Cost(held, Source.ESTIMATED, usage)
        price = prices.price(usage)
        return Cost(held or 0, Source.UNKNOWN, usage) if price is None else Cost(price, Source.REPORTED, usage)


def usage_at(terms: CostTerms, document: JSON) -> Usage:
    """What stands where the spec says that usage does."""
    return Usage(
        model_name(first_at(terms.model, document)),
        tokens_of(first_at(terms.input_tokens, document)),
        tokens_of(first_at(terms.output_tokens, document)),
    )


def first_at(path: Path | None, document: JSON) -> JSON:
    if path is None:
        return None
    try:
        return next((value for _, value in path.select(document, 1)), None)
    except JSONPathError:
        return None
