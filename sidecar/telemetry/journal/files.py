"""What sinks that are files have in common: one writer, and nobody else reads what may be private."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Final

PRIVATE: Final = 0o600
"""Of a new file: its owner reads and writes. SQLite gives the files beside it the same."""


def created(path: Path) -> None:
    """The file is there afterwards; one that was there keeps its mode. Raises OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE))


def locked(path: Path) -> IO[bytes]:
    """Held while the file is written: two chains in one file would be none. The system lets go of it at any end.

    Raises OSError, also where another process holds it.
    """
    name = path.with_name(f"{path.name}-lock")
    created(name)
    lock = name.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise OSError("another process writes this journal") from error
    except BaseException:
        lock.close()
        raise
    return lock


def inode_of(path: Path) -> int:
    """0 where nothing is."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
