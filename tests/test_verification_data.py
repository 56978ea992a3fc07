"""The labelled set is what it says: true to its sources where it is called good, and false where it is called bad."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random

import pytest

from bench.verifiers import FAIL, PASS, Scorecard, misses, save
from tests.data.verification import dates, numerals
from tests.data.verification.cases import CATCHERS, FIGURES, Case, cases
from tests.data.verification.formula import Formula, is_figure
from tests.data.verification.mutate import MUTATIONS, card_number, iban
from tests.data.verification.relations import WEEKDAYS, breaks_a_relation
from tests.data.verification.rewrite import REWRITES
from tests.data.verification.sources import FOLDER, Source, leaves, sources
from verifiers import grounding
from verifiers.base.scores import read

SOURCES = {source.name: source for source in sources()}
CASES = tuple(cases())
each_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())


def answer_of(case: Case) -> str:
    parts = [part for artifact in case.response["task"]["artifacts"] for part in artifact["parts"]]
    return str(parts[0]["text"]) if parts else ""


def told(source: Source) -> str:
    return " ".join(str(leaf) for leaf in leaves(source.request))


def cases_of(kind: str) -> list[Case]:
    return [case for case in CASES if case.kind == kind]


def test_there_are_at_least_forty_sources_on_ten_subjects():
    """Fewer would say little about how good a verifier is."""
    assert len(SOURCES) >= 40
    assert len({source.subject for source in sources()}) >= 10


def test_every_file_is_named_for_its_source_and_written_in_one_way():
    """So that a change shows as the change that it is."""
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        entry = json.loads(text)
        assert path.name == f"{entry['name']}.json"
        assert text == json.dumps(entry, indent=2, ensure_ascii=False) + "\n"


@each_source
def test_documents_are_a_question_and_its_answer(source: Source):
    """Both are A2A documents of one conversation."""
    message, task = source.request["message"], source.response["task"]
    assert message["role"] == "ROLE_USER"
    assert len(message["parts"]) == 2
    assert message["contextId"] == task["contextId"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"


@each_source
def test_claims_lie_where_they_say_and_do_not_overlap(source: Source):
    """A mutation edits by offset, so offsets must be right."""
    ordered = sorted(source.claims, key=lambda claim: claim.start)
    assert all(source.answer[claim.start : claim.end] == claim.text for claim in ordered)
    assert all(left.end <= right.start for left, right in itertools.pairwise(ordered))


@each_source
def test_figures_called_told_are_told(source: Source):
    """Else a control would hold an invented figure."""
    figures = numerals.figures_of(source.request)
    stated = [claim.text for claim in source.claims_of("number") if ":" not in claim.text]
    assert [text for text in stated if numerals.value_of(text).normalize() not in figures] == []


@each_source
def test_dates_called_told_are_told(source: Source):
    """Every part of a date stands in the request, in words or as ISO 8601."""
    for claim in source.claims_of("date"):
        *day, month, year = claim.text.split()
        iso = f"{year}-{dates.MONTHS.index(month):02d}" + (f"-{int(day[0]):02d}" if day else "")
        assert iso in told(source) or all(word in told(source) for word in claim.text.split()), claim.text


@each_source
def test_names_and_quotes_called_told_are_told(source: Source):
    """Word for word."""
    claims = source.claims_of("person", "place", "organisation", "quote")
    assert [claim.text for claim in claims if claim.text not in told(source)] == []


@each_source
def test_totals_and_shares_follow_from_their_formula(source: Source):
    """With the rounding that the answer shows, and no more."""
    for claim in source.claims_of("total", "percent"):
        share = 100 if claim.kind == "percent" else 1
        value = numerals.value_of(claim.text)
        assert value == (Formula(claim.follows_from).value() * share).quantize(value, ROUND_HALF_UP), claim.text


@each_source
def test_terms_of_a_formula_are_figures_of_the_documents(source: Source):
    """A sum of figures that nobody stated would prove nothing."""
    known = numerals.figures_of([source.request, source.answer]) | set(map(Decimal, range(len(numerals.WORDS))))
    for claim in source.claims_of("total", "percent"):
        terms = Formula(claim.follows_from).terms
        assert {Decimal(term).normalize() for term in terms if is_figure(term)} <= known, claim.text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(640-500)/500", "0.28"),
        ("mean(4, 5)", "4.5"),
        ("days('2024-02-28', '2024-03-01') + 1", "3"),
        ("minutes('22:15', '03:45') / 60", "5.5"),
    ],
)
def test_formulas_are_worked_out(text: str, value: str):
    """What an answer can follow from: figures, days and times."""
    assert Formula(text).value() == Decimal(value)


def test_terms_of_a_formula_leave_out_what_nobody_states():
    """Minutes of an hour and parts of a hundred need not stand in the answer."""
    assert Formula("161*450/1000").terms == {"161", "450"}
    assert Formula("days('2024-05-22','2024-05-24')+1").terms == {"2024-05-22", "2024-05-24"}


def test_every_weekday_is_that_of_its_day():
    """Else a control would contradict itself."""
    weekdays = [claim for source in sources() for claim in source.claims_of("weekday")]
    assert len(weekdays) >= 3
    assert all(WEEKDAYS[date.fromisoformat(claim.follows_from).weekday()] == claim.text for claim in weekdays)


@each_source
def test_an_untouched_answer_breaks_no_relation_that_it_states(source: Source):
    """Controls agree with themselves, for the labels as well."""
    assert not breaks_a_relation(source, source.answer)


BOOKING = SOURCES["hotel-booking"]


@pytest.mark.parametrize(
    ("old", "new", "is_broken"),
    [
        ("528 EUR", "582 EUR", True),
        ("at 132", "at 133", True),
        ("538 EUR in all", "548 EUR in all", True),
        ("4 nights", "five nights", True),
        ("11 October", "12 October", False),
        ("Marseille", "Tarnhaven", False),
    ],
)
def test_only_what_the_answer_states_itself_is_in_the_scope_of_arithmetic(old: str, new: str, is_broken: bool):
    """Its total, its terms; not a date that nothing in the answer follows from."""
    assert breaks_a_relation(BOOKING, BOOKING.answer.replace(old, new)) is is_broken


def test_a_total_whose_terms_the_answer_keeps_to_itself_is_not_in_the_scope_of_arithmetic():
    """The tax of 10 EUR is 4 nights at 2.50, but the answer does not say 2.50; that the sum then is wrong, it says."""
    told_alone = replace(BOOKING, claims=tuple(c for c in BOOKING.claims if c.follows_from == "4*2.5"))
    assert not breaks_a_relation(told_alone, BOOKING.answer.replace("adds 10", "adds 14"))


def test_arithmetic_is_asked_of_broken_relations_alone():
    """In some cases of a kind, and in none of the others."""
    asked = Counter(case.kind for case in CASES if "arithmetic" in case.catchers)
    assert set(asked) == set(FIGURES)
    assert asked["shifted-date"] < len(cases_of("shifted-date")) / 4


def test_two_readings_give_the_same_cases():
    """Figures of two runs can be compared."""
    assert tuple(cases()) == CASES


def test_another_seed_gives_other_mutations_of_the_same_sources():
    """So that a verifier tuned to one seed can be tried on another."""
    other = tuple(cases(seed=2))
    assert {case.source for case in other} == set(SOURCES)
    assert [answer_of(case) for case in other if case.kind == "swapped-number"] != [
        answer_of(case) for case in cases_of("swapped-number")
    ]


def test_controls_are_untouched():
    """One for each source, and the very documents of its file."""
    controls = cases_of("control")
    assert [case.source for case in controls] == list(SOURCES)
    assert all(case.response == SOURCES[case.source].response for case in controls)


def test_requests_are_never_touched():
    """The facts stay; only the answers change."""
    assert all(case.request == SOURCES[case.source].request for case in CASES)


def test_every_mutation_and_rewrite_changes_its_answer():
    """No case is a control under another name."""
    changed = [case for case in CASES if case.group != "control"]
    assert all(case.response != SOURCES[case.source].response for case in changed)


def test_only_the_text_of_the_answer_is_mutated():
    """What lies about it is the same, so that nothing else gives a mutation away."""
    for case in CASES:
        if case.kind in MUTATIONS or case.kind in REWRITES:
            assert SOURCES[case.source].answering(answer_of(case)) == case.response


def test_every_kind_occurs():
    """A mutation that no source has a place for would be measured by nobody."""
    counts = Counter(case.kind for case in CASES)
    assert set(counts) == set(CATCHERS) | set(REWRITES) | {"control"}
    assert min(counts.values()) >= 4


def test_every_mutation_names_who_should_catch_it_and_nothing_else_does():
    """The label and the catchers agree."""
    assert all(bool(case.catchers) == case.is_bad for case in CASES)


@pytest.mark.parametrize("kind", ["swapped-number", "wrong-total", "wrong-percent"])
def test_wrong_figures_are_in_neither_request_nor_answer(kind: str):
    """A figure that happens to be told elsewhere would not be an invented one. Times of day are wrong as a whole."""
    for case in cases_of(kind):
        source = SOURCES[case.source]
        old, new = (Counter(numerals.FIGURE.findall(text)) for text in (source.answer, answer_of(case)))
        (wrong,) = new - old
        if f":{wrong}" in answer_of(case):
            assert f":{wrong}" not in told(source)
        else:
            assert numerals.value_of(wrong).normalize() not in numerals.figures_of(source.request)


def test_shifted_dates_are_not_told():
    """Neither in words nor as ISO 8601."""
    pattern = re.compile(r"(?:\d{1,2} )?(?:" + "|".join(filter(None, dates.MONTHS)) + r") \d{4}")
    for case in cases_of("shifted-date"):
        source = SOURCES[case.source]
        (wrong,) = set(pattern.findall(answer_of(case))) - set(pattern.findall(source.answer))
        assert wrong not in told(source)


def test_exchanged_figures_and_names_are_all_told():
    """That is what makes them hard: every word is from the source."""
    for case in cases_of("exchanged-numbers"):
        old, new = (sorted(numerals.FIGURE.findall(text)) for text in (SOURCES[case.source].answer, answer_of(case)))
        assert old == new
    for case in cases_of("swapped-names"):
        old, new = (sorted(re.findall(r"\w+", text.lower())) for text in (SOURCES[case.source].answer, answer_of(case)))
        assert old == new


def test_rewrites_keep_every_figure():
    """Only how figures are written may differ, and only in the rewrites that are about that."""
    for case in CASES:
        if case.group == "rewrite" and case.kind not in ("number-format", "date-format", "unit-spelling"):
            assert numerals.figures_of(answer_of(case)) == numerals.figures_of(SOURCES[case.source].answer)


@pytest.mark.parametrize(
    ("text", "otherwise"),
    [("13.4 million", "13,400,000"), ("2,500,000", "2.5 million"), ("1,240", "1240"), ("4", "four"), ("21.5", "21.5")],
)
def test_figures_can_be_written_in_two_ways(text: str, otherwise: str):
    """The rewrites that a strict reader of text stumbles over."""
    assert numerals.written_otherwise(text) == otherwise


def test_card_and_account_numbers_have_right_check_digits():
    """Detectors check them, so that wrong ones would test nothing."""
    for seed in range(50):
        digits = [int(digit) for digit in card_number(Random(seed)).replace(" ", "")]
        assert (sum(digits[1::2]) + sum(sum(divmod(digit * 2, 10)) for digit in digits[0::2])) % 10 == 0
        account = iban(Random(seed))
        assert int(account[4:] + "1314" + account[2:4]) % 97 == 1


def test_no_file_of_the_set_holds_a_secret():
    """Shapes of keys are put together at run time, so that scanners of repositories stay silent."""
    shapes = re.compile(r"AKIA[A-Z2-7]{16}|ghp_\w{36}|xoxb-\d|BEGIN RSA PRIVATE KEY")
    files = [path for path in FOLDER.parent.rglob("*") if path.suffix in (".py", ".json")]
    assert [path.name for path in files if shapes.search(path.read_text(encoding="utf-8"))] == []


def test_halves_are_of_like_size_and_share_no_source():
    """Both have enough of everything; a source is in one of them, whatever is made of it."""
    halves = {half: {case.source for case in cases(half)} for half in ("tune", "report")}
    assert not halves["tune"] & halves["report"]
    assert min(len(names) for names in halves.values()) >= len(SOURCES) * 0.4


@pytest.mark.parametrize("half", ["tune", "report"])
def test_labels_are_balanced(half: str):
    """Neither blocking all nor passing all looks good: a quarter at least is of either label, in both halves."""
    bad = [case.is_bad for case in CASES if case.half == half]
    assert 0.25 <= sum(bad) / len(bad) <= 0.75


def test_what_was_measured_is_saved_for_the_verifier_to_publish(tmp_path: Path):
    """Name, version and figures, as its `--scores` reads them; what no case shows is no figure."""
    save([scored(lambda case: case.is_bad)], tmp_path / "scores")
    saved = json.loads((tmp_path / "scores" / "grounding.json").read_text())
    assert (saved["verifier"], saved["version"]) == ("grounding", grounding.DESCRIPTION.version)
    assert (saved["figures"]["precision"], saved["figures"]["blocked_controls"]) == (1.0, 0.0)
    assert read(tmp_path / "scores" / "grounding.json", grounding.DESCRIPTION) == saved["figures"]
    save([scored(lambda case: False)], tmp_path)
    assert "precision" not in json.loads((tmp_path / "grounding.json").read_text())["figures"]


def scored(blocks: Callable[[Case], bool]) -> Scorecard:
    """The card of a verifier named grounding that blocks by this rule."""
    return Scorecard("grounding", CASES, {(case.source, case.kind): FAIL if blocks(case) else PASS for case in CASES})


def test_a_verifier_that_blocks_everything_has_caught_nothing():
    """It did not see what changed, so the bench gives it no credit."""
    card = scored(lambda case: True)
    assert card.precision == 0
    assert card.share(card.hit, card.claims) == 0


def test_a_verifier_that_blocks_nothing_has_no_precision_and_no_recall():
    """None, not one: there is nothing that could have been right."""
    card = scored(lambda case: False)
    assert card.precision is None
    assert card.share(card.hit, card.claims) == 0


def test_a_verifier_that_blocks_what_it_claims_to_see_is_perfect():
    """And has no misses to show."""
    card = scored(lambda case: "grounding" in case.catchers)
    assert (card.precision, card.share(card.hit, card.claims), misses(card)) == (1, 1, [])
