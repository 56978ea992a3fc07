"""The verdict on one exchange: every suspect of every text, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from verifiers.base import Evidence, Finding, Value, Verdict
from verifiers.secrets.assignments import assignments, connections
from verifiers.secrets.library import known
from verifiers.secrets.numbers import cards, ibans
from verifiers.secrets.personal import emails, phones, social_security_numbers
from verifiers.secrets.suspect import Suspect
from verifiers.secrets.tokens import basics, bearers, jwts, private_keys, shapes
from verifiers.secrets.walk import texts

TEXT_CHARACTERS = 250_000
"""Of one document are read; a longer one is judged so far and never passed."""
TEXTS = 10_000
"""Of one document are read, for the same reason."""
FINDINGS = 20

Detector = Callable[[str], Iterator[Suspect]]
CREDENTIALS: tuple[Detector, ...] = (
    private_keys,
    jwts,
    known,
    shapes,
    connections,
    basics,
    bearers,
    assignments,
    ibans,
    cards,
)
"""In this order, because a value is reported once, by the first that knows it: the most exact names it."""


def judge(evidence: Evidence) -> Verdict:
    detectors = _detectors(evidence.parameters)
    asked = evidence.parameters.get("judge", "response")
    if asked not in ("response", "request", "both"):
        message = "the parameter `judge` is response, request or both"
        return Verdict(Value.INCONCLUSIVE, 0.0, (Finding("bad-parameter", message),))
    documents = [(evidence.request, True)] if asked != "response" else []
    documents += [(evidence.response, False)] if asked != "request" else []
    return _verdict([finding for document in documents for finding in _findings(*document, detectors)])


def _detectors(parameters: Mapping[str, str]) -> tuple[Detector, ...]:
    personal: tuple[Detector, ...] = (emails, phones) if parameters.get("personal") == "on" else ()
    return (*CREDENTIALS, *personal, *((social_security_numbers,) if parameters.get("ssn") == "on" else ()))


_UNSEEN = frozenset(("no-document", "too-long", "unread-file"))
"""Rules that say what was not read, rather than what was found."""


def _verdict(findings: list[Finding]) -> Verdict:
    found = [finding for finding in findings if finding.rule not in _UNSEEN]
    if found:
        return Verdict(Value.FAIL, 0.0, tuple(found[:FINDINGS]))
    return Verdict(Value.INCONCLUSIVE, 0.0, tuple(findings[:FINDINGS])) if findings else Verdict(Value.PASS, 1.0)


def _findings(document: object, in_request: bool, detectors: tuple[Detector, ...]) -> Iterator[Finding]:
    if document is None:
        yield Finding("no-document", "there is nothing to read", in_request=in_request)
        return
    left = TEXT_CHARACTERS
    for index, text in enumerate(texts(document)):
        if left <= 0 or index >= TEXTS:
            message = f"only {TEXT_CHARACTERS} characters in {TEXTS} texts were read"
            yield Finding("too-long", message, text.pointer, in_request)
            return
        if not text.is_readable:
            yield Finding("unread-file", "an attached file is not text", text.pointer, in_request)
        for suspect in _suspects(text.text[:left], detectors):
            yield Finding(suspect.rule, suspect.message, text.pointer, in_request)
        left -= len(text.text)
        if left < 0:
            yield Finding("too-long", f"only {TEXT_CHARACTERS} characters were read", text.pointer, in_request)


def _suspects(text: str, detectors: tuple[Detector, ...]) -> Iterator[Suspect]:
    """Each value once: a value inside one that is known already is a part of it."""
    seen: list[str] = []
    for detector in detectors:
        for suspect in detector(text):
            if not any(suspect.value in value or value in suspect.value for value in seen[:FINDINGS]):
                seen.append(suspect.value)
                yield suspect
            if len(seen) >= FINDINGS:
                return
