"""Redaction: what is masked in whatever leaves the process.

- *detector*: finds a kind of secret in any text by its form: credentials, e-mail addresses, card numbers.
- *key*: a name of a field whose value is masked whatever it is.
- *path*: a place of a document that is masked.
- *mask*: what stands in its place; it says which of them spoke, and nothing of what was there.

What cannot be looked at, because it is too deep or too large, is masked as well.
"""

from sidecar.engine.redaction.detectors import DETECTORS
from sidecar.engine.redaction.redactor import DEFAULT_KEYS, MASK, UNREAD, Redactor

__all__ = ["DEFAULT_KEYS", "DETECTORS", "MASK", "UNREAD", "Redactor"]
