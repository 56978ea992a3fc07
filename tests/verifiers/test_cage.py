"""A cage gives an answer or says that there is none; it never waits longer than it was told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from verifiers.cage import Cage, Caged

HERE = "tests.verifiers.test_cage"


def shout(payload: bytes) -> bytes:
    """Runs in the child."""
    return payload.upper()


def misbehave(payload: bytes) -> bytes:
    """Runs in the child: hangs in C code that holds the interpreter, eats memory, raises, or answers."""
    import re

    match payload:
        case b"hang":
            re.match(r"(a+)+$", "a" * 60 + "!")
        case b"eat":
            bytearray(4 << 30)
        case b"raise":
            raise ValueError
    return payload


@pytest.fixture
def unruly() -> Iterator[Cage]:
    cage = Cage(f"{HERE}:misbehave", workers=1, limit_ms=300)
    yield cage
    cage.close()


async def test_answers_come_back_and_a_child_is_used_again():
    """The second job finds the child of the first, so it takes milliseconds."""
    cage = Cage(f"{HERE}:shout", workers=1)
    assert await cage.run(b"one") == b"ONE"
    started = time.perf_counter()
    assert await cage.run(b"two") == b"TWO"
    assert time.perf_counter() - started < 0.2
    cage.close()


@pytest.mark.parametrize("payload", [b"hang", b"eat", b"raise"])
async def test_a_job_past_its_limits_has_no_answer_and_the_next_one_has(unruly: Cage, payload: bytes):
    """A pattern that backtracks holds the interpreter's lock for ever: only the end of its process stops it."""
    assert await unruly.run(b"fine") == b"fine"
    started = time.perf_counter()
    with pytest.raises(Caged):
        await unruly.run(payload)
    assert time.perf_counter() - started < 2
    assert await unruly.run(b"fine") == b"fine"


async def test_more_jobs_than_children_wait_their_turn():
    """Each job gets its own answer, whichever child it comes to."""
    cage = Cage(f"{HERE}:shout", workers=2)
    jobs = [b"job %d" % number for number in range(20)]
    assert await asyncio.gather(*map(cage.run, jobs)) == [job.upper() for job in jobs]
    cage.close()


async def test_a_target_that_does_not_exist_is_no_answer():
    """The child ends at once; that is a job without an answer, not a wait."""
    cage = Cage(f"{HERE}:nothing", workers=1)
    with pytest.raises(Caged):
        await cage.run(b"")
    cage.close()
