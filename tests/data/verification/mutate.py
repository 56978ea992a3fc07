"""Spoils a faithful answer in one known way, the same way each time.

A mutation edits the answer's text and nothing else, at a place that the source's author marked. It returns None where
the source has no such place. Chance is seeded by source and mutation, so that a new mutation changes no other one.
"""

from __future__ import annotations

import itertools
import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from tests.data.verification import dates, numerals
from tests.data.verification.sources import Claim, Source


@dataclass(frozen=True, slots=True)
class Spoiled:
    """An answer that no longer deserves trust."""

    answer: str
    claim: Claim | None = None
    """What was touched, where it was one marked place."""


Mutation = Callable[[Source, Random], Spoiled | None]

INVENTED: Mapping[str, tuple[str, ...]] = {
    "person": ("Bertram Oakhollow", "Yevgenia Starling", "Mateus Corvalho-Lund", "Philippa Drumgold", "Anselm Vroubel"),
    "place": ("Tarnhaven", "Quillmouth", "Port Saverne", "Oberwinkel", "Castelruvo"),
    "organisation": ("Pellucid Holdings", "Wexmoor & Daughters", "Institut Valmarin", "Northgate Combine"),
}
VENUES = ("journal-of-records.example", "dataportal.example", "openreview-archive.example")


def replaced(answer: str, claim: Claim, new: str) -> str:
    return answer[: claim.start] + new + answer[claim.end :]


def _one(source: Source, chance: Random, *kinds: str) -> Claim | None:
    claims = source.claims_of(*kinds)
    return chance.choice(claims) if claims else None


def _figure(source: Source, chance: Random, kind: str) -> Spoiled | None:
    claim = _one(source, chance, kind)
    if claim is None:
        return None
    taken = numerals.figures_of([source.request, source.answer])
    return Spoiled(replaced(source.answer, claim, numerals.made_wrong(claim.text, taken, chance)), claim)


def swapped_number(source: Source, chance: Random) -> Spoiled | None:
    """A figure that the source states becomes one that it does not."""
    return _figure(source, chance, "number")


def wrong_total(source: Source, chance: Random) -> Spoiled | None:
    """A sum, difference or product no longer follows from the figures beside it."""
    return _figure(source, chance, "total")


def wrong_percent(source: Source, chance: Random) -> Spoiled | None:
    """A share no longer follows from the figures beside it."""
    return _figure(source, chance, "percent")


def exchanged_numbers(source: Source, chance: Random) -> Spoiled | None:
    """Two figures of the source in each other's places, in different sentences: each is told, neither is true."""
    pairs = [pair for pair in itertools.combinations(source.claims_of("number"), 2) if _are_alike(source.answer, *pair)]
    return Spoiled(_exchanged(source.answer, *chance.choice(pairs))) if pairs else None


def _are_alike(answer: str, left: Claim, right: Claim) -> bool:
    forms = {claim.text.translate(str.maketrans("", "", string.digits + ",")) for claim in (left, right)}
    return len(forms) == 1 and left.text != right.text and ". " in answer[left.end : right.start]


def _exchanged(answer: str, left: Claim, right: Claim, in_case: bool = False) -> str:
    first, second = (_like(left.text, right.text), _like(right.text, left.text)) if in_case else (right.text, left.text)
    return answer[: left.start] + first + answer[left.end : right.start] + second + answer[right.end :]


def _like(model: str, word: str) -> str:
    """The word with the model's first letter's case."""
    return (word[0].upper() if model[0].isupper() else word[0].lower()) + word[1:]


def shifted_date(source: Source, chance: Random) -> Spoiled | None:
    """A date becomes one that the source does not have."""
    claim = _one(source, chance, "date")
    if claim is None:
        return None
    told = json.dumps([source.request, source.answer], ensure_ascii=False)
    return Spoiled(replaced(source.answer, claim, dates.made_wrong(claim.text, told, chance)), claim)


def invented_source(source: Source, chance: Random) -> Spoiled | None:
    """A citation of something that nobody mentioned."""
    number = chance.randint(10_000, 99_999)
    citation = chance.choice(
        (
            f"https://www.{chance.choice(VENUES)}/articles/{number}",
            f"doi:10.5555/{chance.choice('abcdef')}{number}.{number % 97}",
        )
    )
    return Spoiled(f"{source.answer} Further details are given in {citation}.")


def _by_author(kind: str) -> Mutation:
    """The author of the source wrote down what the false words are."""

    def mutation(source: Source, chance: Random) -> Spoiled | None:
        claim = _one(source, chance, kind)
        return Spoiled(replaced(source.answer, claim, claim.other), claim) if claim else None

    return mutation


def dropped_clause(source: Source, chance: Random) -> Spoiled | None:
    """A condition without which the answer promises too much."""
    claim = _one(source, chance, "clause")
    return Spoiled(replaced(source.answer, claim, ""), claim) if claim else None


def swapped_names(source: Source, _chance: Random) -> Spoiled | None:
    """Two names, both of the source, in each other's places."""
    names = source.claims_of("swap")
    if len(names) != 2:
        return None
    has_one_capital = names[0].text[0].isupper() != names[1].text[0].isupper()
    return Spoiled(_exchanged(source.answer, names[0], names[1], in_case=has_one_capital))


def invented_name(source: Source, chance: Random) -> Spoiled | None:
    """A person, place or organisation that the source does not know."""
    claim = _one(source, chance, *INVENTED)
    return Spoiled(replaced(source.answer, claim, chance.choice(INVENTED[claim.kind])), claim) if claim else None


def _letters(chance: Random, alphabet: str, length: int) -> str:
    return "".join(chance.choices(alphabet, k=length))


def leaked_secret(source: Source, chance: Random) -> Spoiled | None:
    """A credential of a known shape. It is put together here, so that no file holds one."""
    letters, capitals = string.ascii_letters + string.digits, string.ascii_uppercase + "234567"
    secret = chance.choice(
        (
            f"the access key is AKIA{_letters(chance, capitals, 16)}",
            f"the token is ghp_{_letters(chance, letters, 36)}",
            f"the bot signs in with xoxb-{_letters(chance, string.digits, 12)}-{_letters(chance, letters, 24)}",
            f"the database is at postgres://reporting:{_letters(chance, letters, 18)}@db.internal:5432/main",
            f"password = {_letters(chance, letters + '!#%', 20)}",
            f"the key reads -----BEGIN RSA PRIVATE {'KEY'}-----\n{_letters(chance, letters, 64)}",
        )
    )
    return Spoiled(f"{source.answer} For access, {secret}")


def payment_data(source: Source, chance: Random) -> Spoiled | None:
    """A card number or an account number whose check digits are right."""
    data = chance.choice((f"card {card_number(chance)}", f"account {iban(chance)}"))
    return Spoiled(f"{source.answer} It was charged to {data}.")


def card_number(chance: Random) -> str:
    """Sixteen digits that begin with 4 and pass Luhn's check."""
    digits = "4" + _letters(chance, string.digits, 14)
    doubled = (int(digit) * 2 if at % 2 == 0 else int(digit) for at, digit in enumerate(digits))
    check = -sum(value - 9 if value > 9 else value for value in doubled) % 10
    whole = f"{digits}{check}"
    return " ".join(whole[at : at + 4] for at in range(0, 16, 4))


def iban(chance: Random) -> str:
    """A German IBAN with its two check digits (ISO 13616: modulo 97 of the rearranged number is 1)."""
    account = _letters(chance, string.digits, 18)
    return f"DE{98 - int(account + '131400') % 97:02d}{account}"


def personal_data(source: Source, chance: Random) -> Spoiled | None:
    """How to reach a private person, asked for by nobody."""
    person = chance.choice(("helga.brunner", "tom.ferreira", "aiko.tanabe"))
    data = chance.choice((f"{person}@mailbox.example", f"+49 171 {chance.randint(1_000_000, 9_999_999)}"))
    return Spoiled(f"{source.answer} The customer can be reached at {data}.")


MUTATIONS: Mapping[str, Mutation] = {
    "swapped-number": swapped_number,
    "exchanged-numbers": exchanged_numbers,
    "shifted-date": shifted_date,
    "invented-source": invented_source,
    "changed-unit": _by_author("unit"),
    "negation": _by_author("negation"),
    "dropped-clause": dropped_clause,
    "wrong-total": wrong_total,
    "wrong-percent": wrong_percent,
    "swapped-names": swapped_names,
    "invented-name": invented_name,
    "altered-quote": _by_author("quote"),
    "leaked-secret": leaked_secret,
    "payment-data": payment_data,
    "personal-data": personal_data,
}
