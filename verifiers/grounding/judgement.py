"""From evidence to verdict: what the answer claims, how much of it the sources hold, and what they do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from verifiers.base import Evidence, Finding, Value, Verdict
from verifiers.grounding import mentions, passages, settings
from verifiers.grounding.alignment import Alignment, Clash
from verifiers.grounding.claim import Claim, Standing
from verifiers.grounding.claims import Reader
from verifiers.grounding.derivation import Derivation
from verifiers.grounding.passages import Parts, Passage
from verifiers.grounding.settings import BadParameter, Settings
from verifiers.grounding.sources import Sources

SENTENCE_RULES = frozenset(("contradicts-source", "negation-flipped"))
"""These fail whatever `min_score` allows: the source says otherwise."""

_MESSAGES = {
    "contradicts-source": "the source sentence with these words states another figure than {}",
    "negation-flipped": "a source sentence says this with its negation ({}) the other way",
}


def judge(evidence: Evidence) -> Verdict:
    """FAIL where too little of what the answer states is in its sources; INCONCLUSIVE where that cannot be seen."""
    try:
        wanted = settings.read(evidence.parameters)
    except BadParameter as error:
        return _inconclusive("bad-parameter", str(error))
    if evidence.response is None:
        return _inconclusive("no-answer", "there is no response to judge")
    parts = passages.separate(evidence.request, evidence.response, wanted.trust_response, wanted.sources)
    return _judge(parts, wanted)


def _judge(parts: Parts, wanted: Settings) -> Verdict:
    answer, is_answer_cut = _bounded(parts.answer or parts.earlier, settings.MAX_ANSWER_CHARS)
    material, is_material_cut = _bounded(parts.sources, settings.MAX_SOURCE_CHARS)
    if not answer:
        return Verdict(Value.PASS, 1.0)
    known = Sources(material, parts.listed)
    if not wanted.sources and not known.is_material:
        return _inconclusive("no-sources", "the evidence holds no source material, only a question or an order")
    derivation = Derivation(known)
    claims = list(_claims(answer, known, derivation))
    is_cut = is_answer_cut or known.searches_left < 0 or derivation.tries_left < 0
    return _verdict(claims, wanted, is_cut, is_material_cut)


def _bounded(found: Sequence[Passage], limit_chars: int) -> tuple[list[Passage], bool]:
    """As many whole passages as fit, and the beginning of the one that does not."""
    kept: list[Passage] = []
    for passage in found:
        if limit_chars <= 0:
            return kept, True
        cut = Passage(passage.pointer, passage.text[:limit_chars], passage.row, passage.key, passage.is_number)
        kept.append(cut)
        limit_chars -= len(passage.text) + 1
    return kept, limit_chars < -1


def _claims(answer: list[Passage], known: Sources, derivation: Derivation) -> Iterator[Claim]:
    readings = [(passage, mentions.read(passage.text)) for passage in answer]
    reader, alignment = Reader(known, derivation, readings), Alignment(known)
    for passage, reading in readings:
        claims = list(reader.read(passage, reading))
        computed = {claim.at for claim in claims if claim.standing is Standing.DERIVED}
        clashes = [] if passage.is_number else [c for c in alignment.clashes(reading) if not _is_excused(c, computed)]
        places = {clash.start for clash in clashes if clash and clash.rule == "contradicts-source"}
        yield from (claim for claim in claims if claim.at not in places or not _is_figure(claim))
        yield from (_sentence_claim(clash, passage) for clash in clashes)


def _is_excused(clash: Clash | None, computed: set[int]) -> bool:
    """A figure that follows from the sources was computed: it is not the one of the source sentence made false."""
    return clash is not None and clash.rule == "contradicts-source" and clash.start in computed


def _is_figure(claim: Claim) -> bool:
    return claim.rule in ("number-not-in-sources", "date-not-in-sources", "unit-not-in-sources")


def _sentence_claim(clash: Clash | None, passage: Passage) -> Claim:
    if clash is None:
        return Claim("negation-flipped", "", passage.pointer, Standing.GROUNDED, "")
    message = _MESSAGES[clash.rule].format(clash.token)
    return Claim(clash.rule, clash.token, passage.pointer, Standing.UNGROUNDED, message, clash.start)


def _verdict(claims: Sequence[Claim], wanted: Settings, is_cut: bool, is_material_cut: bool) -> Verdict:
    if not claims:
        return _inconclusive("nothing-checkable", "the answer states no figure, date, name, quotation or reference")
    open_claims = [claim for claim in claims if not _holds(claim, wanted)]
    score = 1.0 - len(open_claims) / len(claims)
    value = _value(open_claims, score, wanted, is_cut, is_material_cut)
    return Verdict(value, score, tuple(_findings(open_claims, is_cut or is_material_cut)))


def _holds(claim: Claim, wanted: Settings) -> bool:
    return claim.standing is Standing.GROUNDED or (claim.standing is Standing.DERIVED and wanted.allow_derived)


def _value(open_claims: Sequence[Claim], score: float, wanted: Settings, is_cut: bool, is_material_cut: bool) -> Value:
    """Sources that were cut off can prove nothing missing; an answer that was cut off cannot be cleared."""
    is_bad = score < wanted.min_score or any(claim.rule in SENTENCE_RULES for claim in open_claims)
    if is_material_cut:
        return Value.INCONCLUSIVE
    if is_bad:
        return Value.FAIL
    return Value.INCONCLUSIVE if is_cut else Value.PASS


def _findings(open_claims: Iterable[Claim], is_cut: bool) -> Iterator[Finding]:
    if is_cut:
        yield Finding(
            "too-much-to-check", "the evidence is longer than this verifier's limits; the rest was not looked at"
        )
    seen: set[tuple[str, str]] = set()
    for claim in open_claims:
        if (claim.rule, claim.token) not in seen and len(seen) < settings.MAX_FINDINGS - is_cut:
            seen.add((claim.rule, claim.token))
            yield Finding(claim.rule, _sentence(claim), claim.pointer)


def _sentence(claim: Claim) -> str:
    if claim.rule in SENTENCE_RULES:
        return claim.message
    token = " ".join(claim.token.split())[:120]
    return f"{token} {claim.message}"


def _inconclusive(rule: str, message: str) -> Verdict:
    return Verdict(Value.INCONCLUSIVE, 0.0, (Finding(rule, message),))
