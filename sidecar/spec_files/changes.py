"""Changes: when the spec files may say something new.

Events come from the operating system, and a clock stands in where none come. Neither is believed: the content decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from pathlib import Path

from watchfiles import awatch

from sidecar.spec_files.files import walked

log = logging.getLogger(__name__)

DEBOUNCE_MS = 500
"""Longest that a burst of changes is gathered before one reload."""

POLL_S = 5.0
"""How often the files are compared even where no event came: network file systems and replaced folders send none."""


async def changes(folders: frozenset[Path], stop: asyncio.Event) -> AsyncGenerator[None, None]:
    """Something may have changed: a burst of events in a folder is over, or it is time to look anyway."""
    try:
        async with aclosing(events_in(folders, stop)) as events:
            async for _ in events:
                yield None
    except (OSError, RuntimeError) as error:
        log.warning("spec files are compared every %s s, because they cannot be watched: %s", POLL_S, error)
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), POLL_S)
        yield None


def events_in(folders: frozenset[Path], stop: asyncio.Event) -> AsyncGenerator[object, None]:
    """One item for each burst of events, and one where none came in time. OSError where there are no watches left."""
    return awatch(
        *(folder for folder in folders if folder.is_dir()),
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        stop_event=stop,
        rust_timeout=int(POLL_S * 1000),
        yield_on_timeout=True,
        recursive=False,
    )


def watched(paths: Iterable[Path], seen: Iterable[Path]) -> frozenset[Path]:
    """The folders in which a change can matter. Not recursive: a spec file may lie at the top of a large tree."""
    named = [folder for path in paths if path.is_dir() for folder, _, _ in walked(path)]
    return frozenset([*named, *(path.parent for path in [*paths, *seen])])
