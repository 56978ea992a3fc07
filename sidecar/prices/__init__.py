"""Prices: what models cost, from genai-prices' list, a newer copy of it, and prices of one's own.

The list ships with the package of that name; a data file in the form that it publishes replaces it and is read again
when it changes; prices of one's own come before both.
"""

from sidecar.prices.book import PriceBook
from sidecar.prices.own import OwnPrice
from sidecar.prices.source import PriceSource

__all__ = ["OwnPrice", "PriceBook", "PriceSource"]
