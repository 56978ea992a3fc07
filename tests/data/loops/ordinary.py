"""Conversations that get somewhere, in the ways that look most like loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.data.loops.talk import GET_TASK, LIST_TASKS, STREAM, Talk
from tests.data.loops.words import (
    CITIES,
    FUNCTIONS,
    PEOPLE,
    PRODUCTS,
    REGIONS,
    TROUBLES,
    question_of,
    sentences_of,
    spread,
    subjects,
)
from tests.data.verification.sources import Half

INSTRUCTION = (
    "You are given one text by a customer of ours. Decide whether it is positive, negative or neutral in tone. Answer "
    "with that one word only and do not explain it. When it is neither of the first two, or both, say neutral."
)
LABELS = ("positive", "negative", "neutral", "neutral")

RUN, EDIT, SHOW = "/dev.v1.Workshop/Run", "/dev.v1.Workshop/Edit", "/dev.v1.Workshop/Show"
TICKET, PRICE, SEARCH = "/shop.v1.Desk/CreateTicket", "/shop.v1.Catalogue/Price", "/shop.v1.Catalogue/Search"


def polling(talk: Talk, half: Half) -> None:
    """A task that takes minutes, asked for once a second or twice."""
    source = talk.rng.choice(subjects(half))
    task = talk.id()
    talk.call("planner", "researcher", talk.message(question_of(source)), talk.task(task_id=task, state="SUBMITTED"))
    pace_s = talk.rng.choice((0.5, 1.0, 2.0))
    for _ in range(talk.rng.randint(60, 240)):
        call = talk.ask("planner", "researcher", {"id": task}, method=GET_TASK)
        talk.tell(call, talk.task(task_id=task, state="WORKING")["task"])
        talk.wait(pace_s, pace_s * 1.2)
    call = talk.ask("planner", "researcher", {"id": task}, method=GET_TASK)
    talk.tell(call, talk.task(source.answer, task_id=task)["task"])


def paging(talk: Talk, half: Half) -> None:
    """Through a long list, by a method that says so and by one that does not."""
    rng = talk.rng
    tokens = [talk.id() for _ in range(rng.randint(10, 30))]
    for number, token in enumerate(tokens):
        request = {"pageSize": 20, "pageToken": token, "contextId": "the-same"}
        answer = {"tasks": [talk.task(each)["task"] for each in sentences_of(rng.choice(subjects(half)))]}
        talk.call("planner", "researcher", request, answer, method=LIST_TASKS)
        rows = [
            {"name": rng.choice(PEOPLE), "city": rng.choice(CITIES), "total": rng.randint(10, 9999)} for _ in range(8)
        ]
        talk.call("planner", "shop", {"query": "open orders", "page": number}, {"rows": rows}, method=SEARCH)


def read_and_edit(talk: Talk, half: Half) -> None:
    """Show, edit, show, edit: one file, and each time it says something else."""
    rng = talk.rng
    lines = [
        f"def {name}(value): return value  # {sentence}"
        for name, sentence in zip(FUNCTIONS, all_sentences(talk, half), strict=False)
    ]
    for number in range(rng.randint(7, 16)):
        talk.call("planner", "coder", {"path": "src/app.py"}, {"text": "\n".join(lines)}, method=SHOW)
        name = rng.choice(FUNCTIONS)
        new = f"def {name}_{number}(value, *, limit={rng.randint(2, 99)}): return value[:limit]"
        lines[rng.randrange(len(lines))] = new
        talk.call("planner", "coder", {"path": "src/app.py", "change": new}, {"ok": True}, method=EDIT)


def large_file(talk: Talk, half: Half) -> None:
    """The same with a file of which each edit changes a hundredth, and that is looked at after each."""
    rng = talk.rng
    lines = all_sentences(talk, half)[:100]
    for number in range(rng.randint(10, 20)):
        talk.call("planner", "coder", {"path": "notes.md"}, {"text": "\n".join(lines)}, method=SHOW)
        at, new = (
            rng.randrange(len(lines)),
            f"{rng.choice(PEOPLE)} in {rng.choice(CITIES)} said: {rng.choice(TROUBLES)}",
        )
        lines[at] = new
        talk.call("planner", "coder", {"path": "notes.md", "line": at, "change": new}, {"ok": True}, method=EDIT)
        if number % 3 == 0:
            talk.call(
                "planner", "coder", {"command": "make check"}, {"failed": 1, "seconds": rng.randint(3, 90)}, method=RUN
            )


def test_and_fix(talk: Talk, half: Half) -> None:
    """The same command after each change, until nothing fails."""
    rng = talk.rng
    failing = [f"test_{name}_{number}" for name in FUNCTIONS for number in range(2)]
    rng.shuffle(failing)
    while failing:
        answer = {"failed": len(failing), "names": failing[:10], "seconds": rng.randint(3, 90)}
        talk.call("planner", "coder", {"command": "pytest -q"}, answer, method=RUN)
        done = failing.pop()
        where, value, trouble = done.removeprefix("test_"), rng.randint(1, 999), rng.choice(TROUBLES)
        change = f"In {where}: compare with {value} and return early for {trouble}"
        talk.call("planner", "coder", talk.message(f"Mend {done}. {change}"), talk.task(f"Done. {change}."))
    talk.call("planner", "coder", {"command": "pytest -q"}, {"failed": 0}, method=RUN)


def fan_out(talk: Talk, half: Half) -> None:
    """One request with other content to one agent many times at once, then all results to another."""
    rng = talk.rng
    chosen = rng.sample(subjects(half), min(len(subjects(half)), rng.randint(8, 20)))
    calls = [
        (talk.ask("planner", "writer", talk.message(f"Summarise in one sentence: {each.answer}")), each)
        for each in chosen
    ]
    rng.shuffle(calls)
    for call, source in calls:
        talk.wait(0.1, 2)
        talk.tell(call, talk.task(rng.choice(sentences_of(source))))
    talk.call(
        "planner",
        "editor",
        talk.message("Join these: " + " ".join(each.answer for _, each in calls[:4])),
        talk.task("Joined."),
    )


def fan_out_by_name(talk: Talk, half: Half) -> None:
    """A short request whose one word changes: names of things, asked one after the other."""
    rng = talk.rng
    for number, city in enumerate(spread(rng, CITIES, rng.randint(12, 36))):
        product = rng.choice(PRODUCTS)
        document = {"product": product, "city": city, "currency": "EUR", "row": number}
        answer = {"price": f"{rng.randint(5, 400)}.{rng.randint(0, 99):02}", "stock": rng.randint(0, 90)}
        talk.call("planner", "shop", document, answer, method=PRICE)


def fan_out_of_tasks(talk: Talk, half: Half) -> None:
    """Many tasks are begun before the first is done: each is acknowledged in the same words, and read later."""
    rng = talk.rng
    chosen = rng.sample(subjects(half), min(len(subjects(half)), rng.randint(8, 16)))
    names = [talk.id() for _ in chosen]
    for task, source in zip(names, chosen, strict=True):
        document = talk.message(
            f"Check the figures in the report on {source.name.replace('-', ' ')} for the yearly review."
        )
        talk.call("planner", "researcher", document, talk.task(task_id=task, state="SUBMITTED"))
    for task, source in zip(names, chosen, strict=True):
        call = talk.ask("planner", "researcher", {"id": task}, method=GET_TASK)
        talk.tell(call, talk.task(source.answer, task_id=task)["task"])


def retries(talk: Talk, half: Half) -> None:
    """A callee that is away, and a caller that tries again with the same key, ever later."""
    rng = talk.rng
    for source in rng.sample(subjects(half), 2):
        document = talk.message(question_of(source))
        for attempt in range(rng.randint(6, 9)):
            call = talk.ask("planner", "researcher", document)
            talk.tell(call, code="UNAVAILABLE", details="connection refused")
            talk.wait(0.1 * 2**attempt, 0.2 * 2**attempt)
        talk.call("planner", "researcher", document, talk.task(source.answer))


def chat(talk: Talk, half: Half) -> None:
    """A long talk with a person in it, who often only agrees."""
    rng = talk.rng
    short = ["yes", "go on", "thanks", "ok, next", "why?"] * 3
    rng.shuffle(short)
    for source in rng.sample(subjects(half), 10):
        for text in (question_of(source), *([short.pop()] if rng.random() < 0.6 else [])):
            call = talk.ask("person", "assistant", talk.message(text), method=STREAM)
            for sentence in rng.sample(sentences_of(source), min(2, len(sentences_of(source)))):
                talk.tell_part(
                    call, {"artifactUpdate": {"artifact": {"artifactId": talk.id(), "parts": [{"text": sentence}]}}}
                )
            talk.wait(1, 5)
            talk.tell(call, {"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED", "timestamp": talk.stamp()}}})
            talk.wait(3, 20)


def callbacks(talk: Talk, half: Half) -> None:
    """An agent asks back while it works, and each question is another one."""
    rng = talk.rng
    source = rng.choice(subjects(half))
    first = talk.ask("user", "planner", talk.message(question_of(source)))
    for sentence in sentences_of(source)[:5]:
        work = talk.ask("planner", "writer", talk.message(f"Write a paragraph about: {sentence}"), below=first)
        talk.call(
            "writer",
            "planner",
            talk.message(f"In which tone shall I say that {sentence}"),
            talk.task(f"Plainly. {sentence}"),
            below=work,
        )
        talk.tell(work, talk.task(f"Here it is. {sentence} {rng.choice(PEOPLE)} agrees."))
    talk.tell(first, talk.task(source.answer))


def tools(talk: Talk, half: Half) -> None:
    """Long work over several tools that succeeds: some arguments come again, answers are often short."""
    rng = talk.rng
    for source in rng.sample(subjects(half), 10):
        topic = source.name.replace("-", " ")
        talk.call("planner", "shop", {"query": topic}, {"hits": sentences_of(source)[:2]}, method=SEARCH)
        for sentence in sentences_of(source)[:4]:
            talk.call("planner", "coder", {"path": "notes.md", "append": sentence}, {"ok": True}, method=EDIT)
        if rng.random() < 0.4:
            talk.call(
                "planner",
                "coder",
                {"command": "make report"},
                {"pages": rng.randint(1, 40), "warnings": rng.randint(0, 9)},
                method=RUN,
            )
        talk.call("planner", "researcher", talk.message(question_of(source)), talk.task(source.answer))


def batch_writes(talk: Talk, half: Half) -> None:
    """One record after the other, each confirmed in the same word."""
    rng = talk.rng
    sentences = all_sentences(talk, half)
    for number in range(rng.randint(15, 40)):
        document = {
            "customer": rng.choice(PEOPLE),
            "city": rng.choice(CITIES),
            "problem": rng.choice(TROUBLES),
            "text": sentences[number % len(sentences)],
        }
        talk.call("planner", "desk", document, {"id": talk.id(), "status": "created"}, method=TICKET)


def short_writes(talk: Talk, half: Half) -> None:
    """The same with records of a few words: what differs is a name and a number, and the answer is an `ok`."""
    rng = talk.rng
    for number in range(rng.randint(12, 30)):
        document = {
            "sheet": "orders",
            "row": number,
            "customer": rng.choice(PEOPLE),
            "product": rng.choice(PRODUCTS),
            "amount": rng.randint(1, 500),
        }
        talk.call("planner", "desk", document, {"ok": True}, method=EDIT)


def commands(talk: Talk, half: Half) -> None:
    """A dozen short orders of one form, each done."""
    rng = talk.rng
    for number in range(rng.randint(8, 14)):
        text = f"Put {rng.randint(1, 9)} {rng.choice(PRODUCTS)} for {rng.choice(PEOPLE)} into basket {number}."
        talk.call("planner", "shop", talk.message(text), talk.task("Done."))


def labels(talk: Talk, half: Half) -> None:
    """One text after the other under the same long instruction, and a label for each."""
    rng = talk.rng
    for sentence in all_sentences(talk, half)[: rng.randint(15, 40)]:
        talk.call("planner", "judge", talk.message(f"{INSTRUCTION} Text: {sentence}"), talk.task(rng.choice(LABELS)))


def reviews(talk: Talk, half: Half) -> None:
    """The same with a sentence for an answer, nearly always the same one."""
    rng = talk.rng
    for sentence in all_sentences(talk, half)[: rng.randint(15, 40)]:
        verdict = "No problem was found in this text." if rng.random() < 0.9 else f"This is doubtful: {sentence[:40]}"
        document = talk.message("Review the following text for errors of grammar and style.", {"text": sentence})
        talk.call("planner", "judge", document, talk.task(verdict))


def bargaining(talk: Talk, half: Half) -> None:
    """Two agents in turn, in much the same words, and nearer to each other each time."""
    rng = talk.rng
    low, high = rng.randint(200, 300), rng.randint(600, 900)
    product = rng.choice(PRODUCTS)
    while high - low > 20:
        step = max((high - low) // 6, 5)
        talk.call(
            "buyer",
            "seller",
            talk.message(f"We offer {low} EUR for the {product}."),
            talk.task(f"Not below {high} EUR."),
        )
        talk.call(
            "seller",
            "buyer",
            talk.message(f"We ask {high} EUR for the {product}."),
            talk.task(f"Not above {low + 3} EUR."),
        )
        low, high = low + rng.randint(5, step + 5), high - rng.randint(5, step + 5)


def regions(talk: Talk, half: Half) -> None:
    """One question to the same agent for each part of a country, with a real answer each time."""
    rng = talk.rng
    source = rng.choice(subjects(half))
    for region in (*REGIONS, *REGIONS):
        year = rng.randint(1990, 2025)
        question = (
            f"How many orders did the {region} region have in {year}, and how does that compare with the year before?"
        )
        orders, percent = rng.randint(1000, 9000), rng.randint(1, 40)
        answer = f"The {region} region had {orders} orders in {year}, {percent} percent more than the year before. "
        answer += source.subject
        talk.call("planner", "analyst", talk.message(question), talk.task(answer))


def all_sentences(talk: Talk, half: Half) -> list[str]:
    sentences = [sentence for source in subjects(half) for sentence in sentences_of(source)]
    talk.rng.shuffle(sentences)
    return sentences


KINDS: Mapping[str, Callable[[Talk, Half], None]] = {
    "polling a task": polling,
    "paging": paging,
    "read and edit": read_and_edit,
    "large file": large_file,
    "test and fix": test_and_fix,
    "fan-out and fan-in": fan_out,
    "fan-out by name": fan_out_by_name,
    "fan-out of tasks": fan_out_of_tasks,
    "retries with a key": retries,
    "streaming chat": chat,
    "callbacks": callbacks,
    "long tool work": tools,
    "batch of writes": batch_writes,
    "batch of short writes": short_writes,
    "short commands": commands,
    "labels": labels,
    "reviews": reviews,
    "bargaining": bargaining,
    "one question a region": regions,
}
