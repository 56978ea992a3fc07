"""What is said during a measurement: A2A requests that all differ, in conversations of a few calls, and their answers.

One request sent again and again would be a loop and a duplicate: the sidecar would refuse it or replay its answer. So
every call has a message id, a question and an answer of its own, and as many calls as are asked for share one
contextId. There is no `traceparent`, as with A2A's own clients. Everything follows from a call's number: each contender
is asked the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from random import Random

from a2a.types import a2a_pb2

METHOD = "/lf.a2a.v1.A2AService/SendMessage"

WORDS_OF_A_QUESTION = 90
WORDS_OF_AN_ANSWER = 60
VOCABULARY = 4_000
LETTERS = ("bcdfghklmnprstvw", "aeiou")


@lru_cache(1)
def vocabulary() -> list[str]:
    """Words of 4 to 8 letters that can be spoken, so that texts are as long and as varied as ordinary ones."""
    random = Random(1)
    return [
        "".join(random.choice(LETTERS[place % 2]) for place in range(random.choice((4, 6, 6, 8))))
        for _ in range(VOCABULARY)
    ]


def text(seed: str, words: int) -> str:
    return " ".join(Random(seed).choices(vocabulary(), k=words))


def request(number: int, conversation_calls: int) -> bytes:
    """A question of about 800 bytes: text, and a part of data."""
    message = a2a_pb2.Message(
        message_id=f"6f1d2c1e-9f5c-4a55-9a0c-{number:012x}",
        context_id=f"ctx-{number // conversation_calls:08x}",
        role=a2a_pb2.ROLE_USER,
    )
    message.parts.add(text=text(f"question {number}", WORDS_OF_A_QUESTION))
    message.parts.add().data.struct_value.update({"query": f"container {number}", "years": [2023, 2024], "limit": 10})
    return a2a_pb2.SendMessageRequest(message=message).SerializeToString()


def requests(first: int, count: int, conversation_calls: int) -> Iterator[bytes]:
    return (request(number, conversation_calls) for number in range(first, first + count))


def answer(payload: bytes) -> bytes:
    """A completed task of about 700 bytes, with what it says that it used."""
    asked = a2a_pb2.SendMessageRequest.FromString(payload).message
    task = a2a_pb2.Task(id=f"task-{asked.message_id}", context_id=asked.context_id)
    task.status.state = a2a_pb2.TASK_STATE_COMPLETED
    said = text(f"answer {asked.message_id}", WORDS_OF_AN_ANSWER)
    task.artifacts.add(artifact_id=f"artifact-{asked.message_id}").parts.add(text=said)
    task.metadata.update({"model": "bench-model", "inputTokens": 240, "outputTokens": 160})
    return a2a_pb2.SendMessageResponse(task=task).SerializeToString()
