"""Conversations that go round in circles."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from tests.data.loops.talk import STREAM, Talk
from tests.data.loops.words import (
    CITIES,
    PRODUCTS,
    REGIONS,
    SORRY,
    SORRY_OTHERWISE,
    question_of,
    reworded,
    sentences_of,
    subjects,
)
from tests.data.verification.sources import Half

SEARCH = "/shop.v1.Catalogue/Search"
FETCH = "/shop.v1.Catalogue/Fetch"


def exact(talk: Talk, half: Half) -> None:
    """One request with ever new ids and times; answers that are the same, or said in other words."""
    rng = talk.rng
    source = rng.choice(subjects(half))
    ordinary_start(talk, half)
    answers = rng.choice(([source.answer], [source.answer, *SORRY], list(SORRY)))
    for _ in range(rng.randint(8, 15)):
        document = talk.message(question_of(source), {"subject": source.subject}, sentAt=talk.stamp())
        talk.call("planner", "researcher", document, talk.task(rng.choice(answers)))


def drifting_filter(talk: Talk, half: Half) -> None:
    """A tool is asked with one filter after the other, and none finds anything."""
    rng = talk.rng
    query = {
        "query": f"{rng.choice(PRODUCTS)} orders of unhappy customers",
        "region": rng.choice(REGIONS),
        "status": "open",
    }
    empty = rng.choice(({}, {"results": [], "note": "no results"}, {"message": "No orders match the filter {since}."}))
    for number in range(rng.randint(12, 40)):
        since = f"2026-{1 + number // 28 % 12:02}-{1 + number % 28:02}"
        document = {**query, "since": since, "limit": rng.choice((10, 20, 50))}
        answer = {key: value.format(since=since) if isinstance(value, str) else value for key, value in empty.items()}
        talk.call("planner", "catalogue", document, answer, method=SEARCH)


def drifting_short(talk: Talk, half: Half) -> None:
    """A few words and a number that changes; the answer is as short."""
    rng = talk.rng
    product = rng.choice(PRODUCTS)
    answer = rng.choice(("nothing found", "no results", "0 rows", "none"))
    for number in range(rng.randint(20, 60)):
        question = talk.message(f"find {product} orders where total > {number * 10}")
        talk.call("planner", "researcher", question, talk.task(answer))


def drifting_words(talk: Talk, half: Half) -> None:
    """A request is made again and again in slightly other words, and the answer is a slightly other excuse."""
    rng = talk.rng
    source = rng.choice(subjects(half))
    question = (
        f"{question_of(source)} Find the report about {source.name.replace('-', ' ')} and check all figures in it."
    )
    excuses = rng.choice((SORRY, SORRY, (*SORRY, *SORRY_OTHERWISE)))
    for _ in range(rng.randint(14, 30)):
        talk.call("planner", "researcher", talk.message(reworded(rng, question)), talk.task(rng.choice(excuses)))


def drifting_stream(talk: Talk, half: Half) -> None:
    """The same over a stream of several messages."""
    rng = talk.rng
    source = rng.choice(subjects(half))
    question = f"{question_of(source)} Give a short summary of {source.name.replace('-', ' ')} with all results."
    for _ in range(rng.randint(12, 25)):
        call = talk.ask("planner", "writer", talk.message(reworded(rng, question)), method=STREAM)
        talk.wait(1, 4)
        working = {
            "statusUpdate": {"taskId": talk.id(), "status": {"state": "TASK_STATE_WORKING", "timestamp": talk.stamp()}}
        }
        talk.tell(call, working, talk.task(rng.choice(SORRY)))


def growing_history(talk: Talk, half: Half) -> None:
    """Each attempt carries all that was said before, so that no two are alike as a whole."""
    rng = talk.rng
    source = rng.choice(subjects(half))
    said = [f"{question_of(source)} Use the report on {source.name.replace('-', ' ')}."]
    for _ in range(rng.randint(14, 24)):
        talk.call("planner", "researcher", talk.message(" ".join(said)), talk.task(rng.choice(SORRY)))
        said.append(
            reworded(rng, rng.choice(("That is not it, try again.", "No, read the task again.", "Still not right.")))
        )


def ping_pong(talk: Talk, half: Half) -> None:
    """Two agents ask each other to be clearer."""
    rng = talk.rng
    topic = rng.choice(subjects(half)).name.replace("-", " ")
    there = f"Please give more detail about what you need on the {topic} before I can start."
    back = f"Please say which detail on the {topic} you are missing, then start."
    for _ in range(rng.randint(7, 14)):
        talk.call("planner", "writer", talk.message(maybe(rng, back)), talk.task("Received, will reply."))
        talk.call("writer", "planner", talk.message(maybe(rng, there)), talk.task("Received, will reply."))


def cycle_of_three(talk: Talk, half: Half) -> None:
    """Each of three agents hands the work to the next."""
    rng = talk.rng
    topic = rng.choice(subjects(half)).name.replace("-", " ")
    agents = ("planner", "researcher", "writer")
    words = [
        f"Research the {topic} and hand it to the writer.",
        f"The sources on the {topic} are not clear, write what is possible.",
        f"There is not enough to write about the {topic}, plan it again.",
    ]
    for _ in range(rng.randint(6, 10)):
        for place, text in enumerate(words):
            talk.call(agents[place], agents[(place + 1) % 3], talk.message(maybe(rng, text)), talk.task("Passed on."))


def nested(talk: Talk, half: Half) -> None:
    """A asks B, which asks C, which asks A, and nobody answers before the others have: seen by no agent alone."""
    rng = talk.rng
    topic = question_of(rng.choice(subjects(half)))
    agents = ["planner", "researcher", "writer"][: rng.randint(2, 3)]
    below, calls = None, []
    for number in range(rng.randint(18, 24)):
        caller, callee = agents[number % len(agents)], agents[(number + 1) % len(agents)]
        below = talk.ask(caller, callee, talk.message(topic), below=below)
        calls.append(below)
        talk.wait(0.1, 0.5)
    for call in reversed(calls):
        talk.tell(call, talk.task("See above."))


def two_tools(talk: Talk, half: Half) -> None:
    """Search, fetch, search, fetch: the same two calls, and the same two answers."""
    rng = talk.rng
    city, product = rng.choice(CITIES), rng.choice(PRODUCTS)
    for _ in range(rng.randint(6, 12)):
        talk.call("planner", "shop", {"query": f"{product} in {city}"}, {"ids": ["17", "23"]}, method=SEARCH)
        talk.call("planner", "shop", {"item": "17"}, {"item": {"title": product, "stock": 0}}, method=FETCH)


def late(talk: Talk, half: Half) -> None:
    """Long and useful work that gets stuck at its end."""
    rng = talk.rng
    for source in rng.sample(subjects(half), 8):
        for sentence in sentences_of(source)[:3]:
            talk.call(
                "planner",
                "researcher",
                talk.message(f"Is this right? {sentence}"),
                talk.task(f"It is: {source.answer}"),
            )
    exact(talk, half)


def reentry(talk: Talk, half: Half) -> None:
    """An agent is asked, asks another, and that one asks it back while it waits."""
    rng = talk.rng
    source = rng.choice(subjects(half))
    first = talk.ask("user", "planner", talk.message(question_of(source)))
    second = talk.ask("planner", "writer", talk.message(source.answer), below=first)
    back = talk.ask("writer", "planner", talk.message("Which of these figures come first?"), below=second)
    talk.wait(0.2, 1)
    for call in (back, second, first):
        talk.tell(call, talk.task(rng.choice(sentences_of(source))))


def ordinary_start(talk: Talk, half: Half) -> None:
    """Loops begin in conversations that began well."""
    for source in talk.rng.sample(subjects(half), talk.rng.randint(0, 4)):
        talk.call("planner", "researcher", talk.message(question_of(source)), talk.task(source.answer))


def maybe(rng: random.Random, text: str) -> str:
    """Half of the conversations say it word by word."""
    return reworded(rng, text) if rng.random() < 0.3 else text


KINDS: Mapping[str, Callable[[Talk, Half], None]] = {
    "exact repeat": exact,
    "drifting filter": drifting_filter,
    "drifting short request": drifting_short,
    "drifting words": drifting_words,
    "drifting stream": drifting_stream,
    "growing history": growing_history,
    "ping-pong": ping_pong,
    "cycle of three": cycle_of_three,
    "across agents, nested": nested,
    "two tools in turn": two_tools,
    "late in long work": late,
    "reentry": reentry,
}
