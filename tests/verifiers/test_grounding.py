"""Grounding: a pair of documents in, a verdict out. Each faithful answer stands beside the same answer made false."""

from __future__ import annotations

import time
from typing import Any

import pytest

from verifiers.base import Evidence, Value, Verdict
from verifiers.grounding import judge

BRIDGE = (
    "The Harbour Bridge in Sydney opened on 19 March 1932 after eight years of work. Its steel arch"
    " spans 503 metres and"
    " contains 52,800 tonnes of steel. The chief engineer, John Bradfield, had proposed a crossing as early as 1912."
    " Paul Hogan later worked there as a rigger. The contract was won by Dorman Long of Middlesbrough for £4.2 million."
)
LAGOS = (
    "Lagos counted 13,387,512 residents in the survey of 2021, according to the State Bureau of Statistics (SBS). Kano"
    " counted 4,103,000. Of the households in Lagos, 61.5 percent had piped water. The report said: “The city grows"
    " faster than its pipes can follow.” It is published at https://stats.example.org/lagos/2021/households and has the"
    " DOI 10.5555/lagos.2021.77. Contact Amara Okafor at amara.okafor@stats.example.org."
)
RELEASE = (
    "Version 4.2.1 of the Kestrel scheduler was released on 2024-03-12. It fixes ticket KES-1182, in which a restarted"
    " worker could run one job twice, and lowers memory use from 840 MB to 610 MB. The release does not change the"
    " configuration format. The commit is 9f3c2ab81d. Support for Python 3.9 ends on 31 October 2025."
)
LEAFLET = (
    "Adults take one tablet of 500 mg every six hours, and no more than 4 g in a day. Children under 12 years must not"
    " take this medicine. Store it below 25 °C. In a trial of 1,240 patients, 37 reported a headache. The trial was led"
    " by Dr Ines Carvalho at the University of Porto and ran from 3 May 2022 to 10 June 2023."
)
MATCH = (
    "Norwich beat Ipswich 3-1 at Carrow Road on Saturday in front of 26,912 people. Josh Sargent scored"
    " twice, in the 14th"
    " and 58th minutes, and Gabriel Sara added a third. Kick-off was at 15:00. Ipswich had 61% of the ball."
)
INVOICE: dict[str, Any] = {
    "invoice": "INV-20417",
    "issued": "2024-03-01",
    "termsDays": 30,
    "currency": "EUR",
    "items": [
        {"name": "Pallet jack", "quantity": 4, "amount": 1196.0},
        {"name": "Cargo strap", "quantity": 120, "amount": 738.0},
    ],
}
RIVERS: dict[str, Any] = {
    "sources": [
        {"river": "Danube", "length_km": 2850, "mouth": "Black Sea"},
        {"river": "Rhine", "length_km": 1233, "mouth": "North Sea"},
    ]
}
PAPER = (
    "The Atlantic overturning circulation weakened by about 15% since 1950, write Caesar and colleagues"
    " in Nature (2018)."
    " The estimate rests on sea surface temperatures south of Greenland. The authors do not find that"
    " the circulation will"
    " stop in this century. The World Meteorological Organization cites the study."
)
RAIL = (
    "The night train leaves Vienna at 21:10 and arrives in Venice at 8:35 the next morning. It carries at most 254"
    " passengers in 11 coaches. Reservations cost 24.90 euros. No dogs are allowed in the sleeping"
    " coaches. The route over"
    " the Semmering was opened in 1854 and was designed by Carl von Ghega."
)

PAIRS: dict[str, tuple[Any, str, str, str]] = {
    "year": (BRIDGE, "The bridge opened in 1932.", "The bridge opened in 1937.", "date-not-in-sources"),
    "full date": (
        BRIDGE,
        "Opened on March 19, 1932, it spans 503 m.",
        "Opened on March 29, 1932, it spans 503 m.",
        "date-not-in-sources",
    ),
    "digits": (
        BRIDGE,
        "The arch holds 52,800 tonnes of steel.",
        "The arch holds 58,200 tonnes of steel.",
        "contradicts-source",
    ),
    "unit": (BRIDGE, "Its arch spans 503 metres.", "Its arch spans 503 kilometres.", "unit-not-in-sources"),
    "name": (
        BRIDGE,
        "The engineer in charge was John Bradfield, whose idea dates from 1912.",
        "The engineer in charge was Edward Whitlam, whose idea dates from 1912.",
        "name-not-in-sources",
    ),
    "money": (BRIDGE, "Dorman Long bid £4.2m.", "Dorman Long bid £4.8m.", "number-not-in-sources"),
    "year of other event": (
        BRIDGE,
        "John Bradfield had proposed a crossing as early as 1912.",
        "John Bradfield had proposed a crossing as early as 1932.",
        "contradicts-source",
    ),
    "rounded": (
        LAGOS,
        "Lagos has about 13.4 million residents.",
        "Lagos has about 14.9 million residents.",
        "number-not-in-sources",
    ),
    "percent": (
        LAGOS,
        "Some 61.5% of households had piped water.",
        "Some 65.1% of households had piped water.",
        "number-not-in-sources",
    ),
    "quotation": (
        LAGOS,
        'It warned: "The city grows faster than its pipes can follow".',
        'It warned: "The city shrinks faster than its pipes can follow".',
        "quote-not-in-sources",
    ),
    "url": (
        LAGOS,
        "See https://stats.example.org/lagos/2021/households.",
        "See https://stats.example.org/lagos/2022/water-report.",
        "url-not-in-sources",
    ),
    "doi": (
        LAGOS,
        "The report (doi:10.5555/lagos.2021.77) has the details.",
        "The report (doi:10.5555/lagos.2021.99) has the details.",
        "identifier-not-in-sources",
    ),
    "mail": (
        LAGOS,
        "Write to amara.okafor@stats.example.org for the tables.",
        "Write to a.okafor@lagos.example.org for the tables.",
        "identifier-not-in-sources",
    ),
    "acronym": (
        LAGOS,
        "The figures come from the SBS.",
        "The figures come from the NPC.",
        "name-not-in-sources",
    ),
    "row": (
        RIVERS,
        "The Rhine is 1,233 km long.",
        "The Rhine is 2,850 km long.",
        "contradicts-source",
    ),
    "version": (
        RELEASE,
        "Kestrel 4.2.1 came out on 12 March 2024.",
        "Kestrel 4.3.0 came out on 12 March 2024.",
        "identifier-not-in-sources",
    ),
    "numeric date": (
        RELEASE,
        "It came out on 12/03/2024 and fixes KES-1182.",
        "It came out on 13/03/2024 and fixes KES-1182.",
        "date-not-in-sources",
    ),
    "ticket": (
        RELEASE,
        "The duplicate run was tracked as KES-1182.",
        "The duplicate run was tracked as KES-1128.",
        "identifier-not-in-sources",
    ),
    "hash": (
        RELEASE,
        "The fix is in commit 9f3c2ab81d.",
        "The fix is in commit 9f3c2ab18d.",
        "identifier-not-in-sources",
    ),
    "memory": (
        RELEASE,
        "Memory use went from 840 MB to 610 MB, a drop of 230 MB.",
        "Memory use went from 840 MB to 510 MB.",
        "number-not-in-sources",
    ),
    "negation dropped": (
        RELEASE,
        "The release does not change the configuration format.",
        "The release changes the configuration format.",
        "negation-flipped",
    ),
    "dose": (
        LEAFLET,
        "An adult takes 500 mg every 6 hours and at most 4 g a day.",
        "An adult takes 800 mg every 6 hours and at most 4 g a day.",
        "number-not-in-sources",
    ),
    "small number with a unit": (
        LEAFLET,
        "An adult takes a tablet every six hours.",
        "An adult takes a tablet every two hours.",
        "contradicts-source",
    ),
    "negated leaflet": (
        LEAFLET,
        "Children under 12 years must not take this medicine.",
        "Children under 12 years must take this medicine.",
        "negation-flipped",
    ),
    "temperature": (
        LEAFLET,
        "Keep it under 25 °C, which is 77 °F.",
        "Keep it under 35 °C.",
        "number-not-in-sources",
    ),
    "share of patients": (
        LEAFLET,
        "Headache was reported by 37 of 1,240 patients, or 3%.",
        "Headache was reported by 73 of 1,240 patients.",
        "number-not-in-sources",
    ),
    "institution": (
        LEAFLET,
        "The trial, led by Dr Ines Carvalho of the University of Porto, ended on 10 June 2023.",
        "The trial, led by Dr Ines Carvalho of the University of Uppsala, ended on 10 June 2023.",
        "name-not-in-sources",
    ),
    "attendance": (
        MATCH,
        "Nearly 27,000 people saw Josh Sargent score twice.",
        "Nearly 29,000 people saw Josh Sargent score twice.",
        "number-not-in-sources",
    ),
    "time": (MATCH, "It kicked off at 3 pm.", "It kicked off at 5 pm.", "time-not-in-sources"),
    "scorer": (
        MATCH,
        "Goals came from Josh Sargent and Gabriel Sara.",
        "Goals came from Josh Sargent and Marcelino Nunez.",
        "name-not-in-sources",
    ),
    "invoice total": (
        INVOICE,
        "Invoice INV-20417 comes to a total of 1,934 euros and is due on 31 March 2024.",
        "Invoice INV-20417 comes to a total of 2,134 euros and is due on 31 March 2024.",
        "number-not-in-sources",
    ),
    "due date": (
        INVOICE,
        "With terms of 30 days it falls due on 31 March 2024.",
        "With terms of 30 days it falls due on 15 April 2024.",
        "date-not-in-sources",
    ),
    "data": (RIVERS, "The Danube is 2,850 km long.", "The Danube is 2,580 km long.", "number-not-in-sources"),
    "conversion": (
        RIVERS,
        "The Rhine runs for 766 miles to the North Sea.",
        "The Rhine runs for 866 miles to the North Sea.",
        "number-not-in-sources",
    ),
    "difference": (
        RIVERS,
        "The Danube is 1,617 km longer than the Rhine.",
        "The Danube is 1,917 km longer than the Rhine.",
        "number-not-in-sources",
    ),
    "citation": (
        RIVERS,
        "The Rhine ends in the North Sea [2].",
        "The Rhine ends in the North Sea [5].",
        "citation-missing",
    ),
    "author": (
        PAPER,
        "The circulation has weakened (Caesar et al., 2018).",
        "The circulation has weakened (Rahmstorf et al., 2018).",
        "citation-missing",
    ),
    "expanded acronym": (
        PAPER,
        "The study, cited by the WMO, puts the decline at 15 percent.",
        "The study, cited by the IPCC, puts the decline at 15 percent.",
        "name-not-in-sources",
    ),
    "negation added": (
        PAPER,
        "The estimate rests on sea surface temperatures south of Greenland.",
        "The estimate does not rest on sea surface temperatures south of Greenland.",
        "negation-flipped",
    ),
    "departure": (
        RAIL,
        "Trains leave Vienna at 9:10 p.m. and reach Venice at 08:35.",
        "Trains leave Vienna at 9:40 p.m. and reach Venice at 08:35.",
        "time-not-in-sources",
    ),
    "price": (RAIL, "A reservation costs €24.90.", "A reservation costs €29.40.", "number-not-in-sources"),
    "coaches": (
        RAIL,
        "The train has eleven coaches for 254 passengers.",
        "The train has twelve coaches for 254 passengers.",
        "number-not-in-sources",
    ),
    "dogs": (
        RAIL,
        "No dogs are allowed in sleeping coaches.",
        "Dogs are allowed in sleeping coaches.",
        "negation-flipped",
    ),
}

FAITHFUL = {
    "plain prose": (BRIDGE, "Dorman Long, of Middlesbrough, built the bridge; the arch alone weighs 52 800 tonnes."),
    "headings and lists": (
        BRIDGE,
        "# Key Findings\n\n1. The bridge opened in 1932.\n2. It spans 503 m.\n\n## Next Steps\n\n- Ask Dorman Long.",
    ),
    "counts of one's own": (BRIDGE, "Two points stand out. First, 1912 came twenty years before 1932."),
    "span": (BRIDGE, "It opened 20 years after John Bradfield had first proposed it."),
    "decimal comma": (LAGOS, "Lagos: 61,5 % of the households have piped water."),
    "another subject": (LAGOS, "Kano counted 4,103,000 residents in the survey."),
    "scaled": (LAGOS, "Kano's population is 4.1 million, and that of Lagos 13.39 million."),
    "elided quotation": (LAGOS, "The report finds that “the city grows faster ... can follow”."),
    "link": (LAGOS, "Details are in [the report](https://stats.example.org/lagos/2021/households)."),
    "short month": (RELEASE, "Released on 12 Mar 2024; Python 3.9 is supported until October 2025."),
    "percent drop": (RELEASE, "Memory use fell by 27%, from 840 to 610 MB."),
    "not only": (RELEASE, "It not only fixes KES-1182 but also lowers memory use."),
    "range": (LEAFLET, "The trial ran from 3 May 2022 until 10 June 2023 and had 1240 patients."),
    "title": (LEAFLET, "Professor Carvalho's team followed 1,240 people in Porto."),
    "ordinal": (MATCH, "Sargent struck on the 14th and the 58th minute."),
    "score": (MATCH, "Norwich won 3-1 on Saturday."),
    "mean": (RIVERS, "The mean length of the two rivers is 2,041.5 km."),
    "sum": (RIVERS, "Together they are 4,083 km long."),
    "hedged": (RAIL, "The train takes just over 250 passengers, and its line is from the 1850s."),
    "von": (RAIL, "The line was the work of Carl von Ghega."),
    "adjective": (PAPER, "Off the Greenlandic coast the sea has cooled since 1950."),
}

QUEUES: dict[str, Any] = {
    "results": [
        {"system": "Heron", "messages_per_second": 182000, "p99_ms": 4.1},
        {"system": "Osprey", "messages_per_second": 91000, "p99_ms": 9.7},
    ]
}
SOLAR: dict[str, Any] = {"plant": "Sierra Solar", "output_gwh": {"2021": 312.0, "2022": 327.6, "2023": 321.4}}
MARKET: dict[str, Any] = {
    "lots": [
        {"fish": "cod", "kg": 1200, "price_per_kg_dkk": 34.0},
        {"fish": "plaice", "kg": 800, "price_per_kg_dkk": 22.5},
    ]
}
HEATING: dict[str, Any] = {"consumption_kwh": 14200, "price_per_kwh_eur": 0.11, "base_fee_eur_per_month": 18.5}
BLOOD = "184 people registered; 23 were turned away and the others gave 450 ml each. It was open from 09:00 to 15:30."
WATER = "Water boils at 373.15 K. Heating it takes 4,186 J. Turning it to steam takes 2,257 kJ per kilogram."
ROUTE = (
    "He left Graz at 05:20, reached Maribor, 68 km away, at 06:35 and left at 07:10. The lorry used 54 l for 180 km."
)
TRIP = "Class 8b: 25 pupils and 2 teachers, hostel 31 EUR per person and night, coach 1,150 EUR, grant 300 EUR."
FLAT = "The flat has 72 m² and costs 1,080 EUR plus 210 EUR charges a month. The wall is 5 m by 2.4 m. A tip is 10%."
FIRM = (
    "The firm has 3 shops in Poland and 5 in Germany. Bergen has 291,940 people. The kit serves 4 with 500 g of flour."
)
BILL = (
    "Keyboards at 49.99 USD, 2 of them, and a monitor at 219.00 USD. Shipping is 12.50 USD. The discount is 31.90 USD."
)
VOTE = "Salaries 1.2 million, travel 85,000, equipment 240,000, other 75,000 euros. Sales: Jan 120, Feb 150, Mar 90."
BOOKED = "The room is booked from 3 June to 7 June. The lease ends on 30 June 2026. The notice is three months."

FOLLOWS: dict[str, tuple[Any, str, str]] = {
    "a unit that the next figure states": (
        QUEUES,
        "At p99 they took 4.1 and 9.7 ms.",
        "At p99 they took 4.1 and 8.7 ms.",
    ),
    "a whole column": (SOLAR, "In those years it made 961.0 GWh.", "In those years it made 861.0 GWh."),
    "a price and a count": (MARKET, "The cod fetched 40,800 DKK.", "The cod fetched 48,800 DKK."),
    "lines of a bill": (MARKET, "The auction made 58,800 DKK.", "The auction made 85,800 DKK."),
    "a month and a year": (HEATING, "The base fee is 222 EUR a year.", "The base fee is 290 EUR a year."),
    "steps from steps": (
        BLOOD,
        "They gave 72.45 litres, for 161 people gave blood.",
        "They gave 74.25 litres, for 161 people gave blood.",
    ),
    "hours between times": (BLOOD, "It was open for 6.5 hours.", "It was open for 7.5 hours."),
    "minutes between times": (ROUTE, "He was there 75 minutes later.", "He was there 78 minutes later."),
    "a rate per hundred": (ROUTE, "The lorry used 30 l per 100 km.", "The lorry used 41 l per 100 km."),
    "hours and minutes": (ROUTE, "It took 1 hour and 15 minutes.", "It took 1 hour and 51 minutes."),
    "a product of three": (
        TRIP,
        "Two nights at 31 EUR for all 27 come to 1,674 EUR.",
        "Two nights at 31 EUR for all 27 come to 1,764 EUR.",
    ),
    "an area": (FLAT, "The wall has 12 m².", "The wall has 17 m²."),
    "a percentage on top": (FLAT, "With the tip it would be 1,188 EUR.", "With the tip it would be 1,388 EUR."),
    "the rule of three": (FIRM, "For 6 guests take 750 g of flour.", "For 6 guests take 790 g of flour."),
    "a count rounded without a word": (FIRM, "Bergen counts 292,000 people.", "Bergen counts 296,000 people."),
    "a balance": (
        BILL,
        "The goods are 318.98 USD. Less 31.90 USD, and with shipping of 12.50 USD, you pay 299.58 USD.",
        "The goods are 318.98 USD. Less 31.90 USD, and with shipping of 12.50 USD, you pay 289.58 USD.",
    ),
    "an enumeration": (VOTE, "The budget is 1.6 million euros.", "The budget is 1.7 million euros."),
    "a list with its sum": (
        VOTE,
        "1. January: 120\n2. February: 150\n3. March: 90\n\nSum: 360",
        "1. January: 120\n2. February: 150\n3. March: 90\n\nSum: 390",
    ),
    "nights of a year that nobody names": (BOOKED, "It is booked for 4 nights.", "It is booked for 12 nights."),
    "a month that a span leads to": (BOOKED, "Tell them by March 2026.", "Tell them by January 2026."),
    "millions of a key": (
        {"stored_million_m3": [{"day": "2023-10-01", "volume": 150}, {"day": "2024-03-01", "volume": 204}]},
        "That makes a gain of 54 million.",
        "That makes a gain of 58 million.",
    ),
    "bold figures": (WATER, "It boils at **373.15** K.", "It boils at **337.15** K."),
}
"""What follows from the sources, and the same made false. Nothing else says that it was computed."""

ALIKE: dict[str, tuple[Any, str]] = {
    "a unit that ends a sentence": (WATER, "Heating takes 4,186 J. Vaporising takes 2,257 kJ."),
    "a currency of a key above": ({"income_chf": {"tickets": 230400}}, "Tickets brought 230,400 CHF."),
    "an adjective of a country": (FIRM, "There are three Polish shops and five German ones."),
    "a country that nobody contradicts": (ROUTE, "He left the Austrian town of Graz at 05:20."),
    "names of fields": ({"revenue": {"q1": 120, "q2": 150}}, "Against Q1, revenue rose to 150 in Q2."),
    "a count of things that are listed": (MARKET, "Two lots were sold: cod and plaice, 1,200 and 800 kg."),
    "no more than": ("Uploads: max. 5 MB, PNG or JPEG.", "Upload a PNG or JPEG of no more than 5 MB."),
    "a figure that was computed": (
        "Mix 250 ml milk with 500 g flour for 4 people.",
        "For 6 guests mix 375 ml milk with 750 g flour.",
    ),
    "a price of two readings": ("The bag weighs 5 kg.", "The bag weighs 11 pounds."),
    "month and year in figures": ("Best before 07/2025.", "It is best before July 2025."),
}

FOREIGN: dict[str, tuple[Any, str]] = {
    "a currency that no source knows": (TRIP, "The 27 of them pay 837 CHF a night."),
    "kilo and mega": (HEATING, "They used 14,200 MWh."),
    "seconds for milliseconds": (QUEUES, "Heron took 4.1 s."),
    "what bare figures are": ({"rain_mm": {"spring": 180, "summer": 240}}, "It came to 420 cm: 180 and 240."),
    "weeks for days": ("It took 3 days of fighting.", "It took 3 weeks of fighting."),
}


def request(source: Any, question: str = "What does the material say?") -> dict[str, Any]:
    part = {"text": source} if isinstance(source, str) else {"data": source}
    return {"message": {"messageId": "m-1", "role": "ROLE_USER", "parts": [part, {"text": question}]}}


def task(*parts: Any) -> dict[str, Any]:
    return {"task": {"id": "t-77", "contextId": "c-9", "status": {"state": "TASK_STATE_COMPLETED"},
                     "artifacts": [{"artifactId": "a-1", "name": "answer", "parts": list(parts)}]}}  # fmt: skip


def verdict(asked: Any, answered: Any, **parameters: str) -> Verdict:
    return judge(
        Evidence("x-1", "planner", "researcher", "/a/b", "researcher/v1", asked, answered, "c-9", "", 1, parameters)
    )


def of_text(source: Any, answer: str, **parameters: str) -> Verdict:
    return verdict(request(source), task({"text": answer}), **parameters)


def rules(found: Verdict) -> set[str]:
    return {finding.rule for finding in found.findings}


@pytest.mark.parametrize("name", PAIRS)
def test_a_faithful_answer_passes(name: str) -> None:
    """The control of each pair: a false block is worse than a miss."""
    source, faithful, _, _ = PAIRS[name]
    found = of_text(source, faithful)
    assert (found.value, found.findings) == (Value.PASS, ())


@pytest.mark.parametrize("name", PAIRS)
def test_the_same_answer_made_false_fails(name: str) -> None:
    """One detail differs from the control, and the rule that is named for it says so."""
    source, _, false, rule = PAIRS[name]
    found = of_text(source, false)
    assert (found.value, rules(found)) == (Value.FAIL, {rule})
    assert found.findings[0].pointer == "/task/artifacts/0/parts/0/text"
    assert found.score < 1


@pytest.mark.parametrize("name", FAITHFUL)
def test_other_words_for_the_same_pass(name: str) -> None:
    """Rounding, conversion, arithmetic of one step, other formats and structure invent nothing."""
    source, answer = FAITHFUL[name]
    found = of_text(source, answer)
    assert (found.value, found.findings) == (Value.PASS, ())


@pytest.mark.parametrize("name", FOLLOWS)
def test_what_follows_from_the_sources_passes_and_what_does_not_fails(name: str) -> None:
    """Steps that answers really take: one figure differs, and no other step happens to lead there."""
    source, right, wrong = FOLLOWS[name]
    assert of_text(source, right).findings == ()
    assert of_text(source, wrong).value is Value.FAIL


@pytest.mark.parametrize("name", ALIKE)
def test_what_is_only_told_otherwise_passes(name: str) -> None:
    """Each was a false block once."""
    source, answer = ALIKE[name]
    assert of_text(source, answer).findings == ()


@pytest.mark.parametrize("name", FOREIGN)
def test_a_unit_that_the_sources_do_not_give_fails(name: str) -> None:
    """The number alone is not the claim."""
    source, answer = FOREIGN[name]
    assert of_text(source, answer).value is Value.FAIL


def test_the_order_of_sentences_does_not_matter() -> None:
    """What one figure follows from may be told after it."""
    first, last = "At 450 ml each this makes 72.45 litres.", "Of 184 people 161 gave blood."
    assert of_text(BLOOD, f"{first} {last}").findings == of_text(BLOOD, f"{last} {first}").findings == ()


def test_figures_past_the_limit_of_tries_are_not_cleared_by_it() -> None:
    """The first hundred were tried, and trying again what failed does not make it pass."""
    figures = " ".join(f"It was {n * 7919 + 100_003} then." for n in range(300))
    assert of_text(BRIDGE, figures).value is Value.FAIL


def test_a_question_alone_is_inconclusive() -> None:
    """There is nothing that the answer could rest on."""
    asked = {
        "message": {"role": "ROLE_USER", "parts": [{"text": "How many people live in Lagos? Please give a figure."}]}
    }
    found = verdict(asked, task({"text": "Lagos has 13.4 million residents."}))
    assert (found.value, rules(found)) == (Value.INCONCLUSIVE, {"no-sources"})


def test_an_empty_answer_states_nothing() -> None:
    """A task under way has no claims, and that can be seen."""
    assert verdict(request(BRIDGE), {"task": {"status": {"state": "TASK_STATE_WORKING"}}}).value is Value.PASS


def test_prose_without_anything_checkable_is_inconclusive() -> None:
    """Grounding cannot see whether this is so."""
    found = of_text(BRIDGE, "Everybody was rather pleased with how it looked.")
    assert (found.value, rules(found)) == (Value.INCONCLUSIVE, {"nothing-checkable"})


def test_the_response_may_bring_its_own_sources() -> None:
    """Believed unless the spec says otherwise."""
    answer = task(
        {"text": "The mast is 214 m high."}, {"data": {"sources": [{"text": "Mast: 214 m", "source": "survey"}]}}
    )
    assert verdict(request(BRIDGE), answer).value is Value.PASS
    assert verdict(request(BRIDGE), answer, trust_response="false").value is Value.FAIL


def test_min_score_lets_some_claims_go() -> None:
    """One of two claims is grounded: the findings stay, the verdict depends on the threshold."""
    text = "Opened in 1932 for 77 trams."
    assert of_text(BRIDGE, text).value is Value.FAIL
    found = of_text(BRIDGE, text, min_score="0.5")
    assert (found.value, found.score, rules(found)) == (Value.PASS, 0.5, {"number-not-in-sources"})


def test_derived_numbers_fail_where_they_are_not_allowed() -> None:
    """A spec may want every figure as it stands in the sources."""
    assert of_text(RIVERS, "Together they are 4,083 km long.", allow_derived="false").value is Value.FAIL


def test_an_unknown_parameter_is_inconclusive() -> None:
    """A misspelt threshold must not be taken for the default."""
    assert rules(of_text(BRIDGE, "Opened in 1932.", min_scor="0.5")) == {"bad-parameter"}


@pytest.mark.parametrize(
    "unit", ["1,", "[1", "\n", "“a b c d", "A of ", "http://", "10.1234/", "a.b-", "twenty ", "Dr. "]
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    """One mebibyte of what a careless pattern would choke on; processor time, since other work shares the machine."""
    begun = time.process_time()
    found = of_text(BRIDGE, unit * ((1 << 20) // len(unit)))
    assert found.value is not Value.PASS
    assert len(found.findings) <= 20
    assert time.process_time() - begun < 4
