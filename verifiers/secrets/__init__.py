"""Secrets: do credentials or personal data leave an agent?

A *suspect* is a piece of text with the shape of a secret. It becomes a finding only if it passes what a real one must
pass (a check digit, a decodable body, enough entropy) and is not a *placeholder*. A finding names the kind and the
place, never the secret.
"""

from __future__ import annotations

from verifiers.base import Description
from verifiers.secrets.judging import judge

DESCRIPTION = Description(
    name="secrets",
    version="1.0.0",
    sees=(
        "Keys and tokens of well-known issuers, JSON Web Tokens, private keys.",
        "Passwords and keys beside a name that says so, in headers, settings and URLs.",
        "Payment card numbers and IBANs, by their check digits.",
        "With `personal: on`, e-mail addresses and telephone numbers; with `ssn: on`, US social security numbers.",
    ),
    blind_to=(
        "Whether a credential is still valid.",
        "Secrets that are encoded, encrypted, split over several fields, or inside images and archives.",
        "Short passwords in prose, and tokens of issuers without a prefix that stand without a name.",
        "Names, postal addresses and health data.",
    ),
)

__all__ = ["DESCRIPTION", "judge"]
