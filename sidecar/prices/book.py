"""A price book: one state of the list, with prices of one's own before it."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidecar.engine.usage import Usage
from sidecar.prices.own import OwnPrice

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, Provider

MODELS_KEPT: Final = 1_000
"""Names of models whose place in the list is remembered. Callees choose the names."""

FILE_MAX_BYTES: Final = 64 << 20
"""The published file has about 2 MB."""

MICRO_USD: Final = 1_000_000


class PriceBook:
    """The Prices port."""

    def __init__(self, snapshot: DataSnapshot, own: Mapping[str, OwnPrice]) -> None:
        self._snapshot = snapshot
        self._own = {name.lower(): price for name, price in own.items()}
        self._places: OrderedDict[str, tuple[Provider, ModelInfo] | None] = OrderedDict()

    @classmethod
    def bundled(cls, own: Mapping[str, OwnPrice] | None = None) -> PriceBook:
        """The list as the package ships it. Takes about 0.3 s."""
        from genai_prices.data import providers

        return cls(snapshot_of(providers), own or {})

    @classmethod
    def from_file(cls, path: Path, own: Mapping[str, OwnPrice] | None = None) -> PriceBook:
        """The list as genai-prices publishes it. Raises ValueError with what is wrong, or OSError."""
        # The reader that the package's own updater uses; there is no public one for a file.
        from genai_prices.types import _providers_from_raw

        with path.open("rb") as file:
            raw = file.read(FILE_MAX_BYTES + 1)
        if len(raw) > FILE_MAX_BYTES:
            raise ValueError(f"more than {FILE_MAX_BYTES >> 20} MiB")
        try:
            providers = _providers_from_raw(json.loads(raw))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        if not providers:
            raise ValueError("no providers in it")
        return cls(snapshot_of(providers), own or {})

    def price(self, usage: Usage) -> int | None:
        if usage.model is None:
            return None
        if (own := self._own.get(usage.model.lower())) is not None:
            return own.price(usage)
        place = self._place(usage.model)
        return None if place is None else listed(usage, *place)

    def _place(self, name: str) -> tuple[Provider, ModelInfo] | None:
        if name in self._places:
            self._places.move_to_end(name)
            return self._places[name]
        if len(self._places) >= MODELS_KEPT:
            self._places.popitem(last=False)
            # The list remembers what it was asked, and forgets nothing by itself.
            self._snapshot = snapshot_of(self._snapshot.providers)
        self._places[name] = found = self._found(name)
        return found

    def _found(self, name: str) -> tuple[Provider, ModelInfo] | None:
        """By its name; else `provider/model` in two, as gateways write it."""
        before, _, model = name.rpartition("/")
        for reference, provider in ((name, None), *(((model, before), (model, None)) if before else ())):
            try:
                return self._snapshot.find_provider_model(reference, None, provider, None)
            except LookupError:
                continue
        return None


def snapshot_of(providers: list[Provider]) -> DataSnapshot:
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers=providers, from_auto_update=False)


def listed(usage: Usage, provider: Provider, model: ModelInfo) -> int | None:
    """The price that the list gives now, in micro-USD; None where it has none for what was used."""
    from genai_prices.types import Usage as Counts

    now = datetime.now(UTC)  # prices have dates
    tokens, output = usage.input_tokens or 0, usage.output_tokens or 0
    read = min(usage.cache_read_tokens or 0, tokens)
    counts: dict[str, Any] = {
        "input_tokens": tokens,
        "output_tokens": output,
        "cache_read_tokens": read,
        "cache_write_tokens": min(usage.cache_write_tokens or 0, tokens - read),
    }
    try:
        prices = model.get_prices(now)
        if (tokens and prices.input_mtok is None) or (output and prices.output_mtok is None):
            return None
        answer = model.calc_price(Counts(**counts), provider, genai_request_timestamp=now)
    except (ValueError, LookupError, ArithmeticError):
        return None
    return int((answer.total_price * MICRO_USD).to_integral_value(ROUND_CEILING))
