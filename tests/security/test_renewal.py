"""Files that change under a running process: what works is replaced only by what works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.renewal import Renewal


class Put:
    """What is in force, read from a file that must say something good."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.value = file.read_text()
        self.counted: list[tuple[str, str]] = []

    def renew(self) -> None:
        text = self.file.read_text()
        if "bad" in text:
            raise ValueError("no good")
        self.value = text

    def count(self, what: str, outcome: str) -> None:
        self.counted.append((what, outcome))


@pytest.fixture
def put(tmp_path: Path) -> Put:
    (tmp_path / "key").write_text("one")
    return Put(tmp_path / "key")


@pytest.fixture
def renewal(put: Put) -> Renewal:
    renewal = Renewal(put.count)
    renewal.watch("key", "lineage", [put.file, None], put.renew)
    return renewal


def test_nothing_is_read_while_nothing_changes(renewal: Renewal, put: Put):
    put.value = "as it was"
    renewal.look()
    assert (put.value, put.counted) == ("as it was", [])


def test_a_changed_file_is_in_force_at_the_next_look(renewal: Renewal, put: Put):
    put.file.write_text("two!")
    renewal.look()
    assert (put.value, put.counted) == ("two!", [("key", "loaded")])


def test_a_link_that_points_elsewhere_is_a_change(tmp_path: Path):
    """A mounted Secret changes so: the file's own folder hears of nothing."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(name)
    link = tmp_path / "data"
    link.symlink_to("one")
    put = Put(link / "key")
    renewal = Renewal(put.count)
    renewal.watch("key", "lineage", [put.file], put.renew)
    fresh = tmp_path / "fresh"
    fresh.symlink_to("two")
    os.replace(fresh, link)
    renewal.look()
    assert put.value == "two"


def test_what_is_broken_for_a_moment_is_no_news(renewal: Renewal, put: Put):
    """A certificate and its key are written one after the other."""
    put.file.write_text("bad half")
    renewal.look()
    assert (put.value, put.counted) == ("one", [])
    put.file.write_text("the whole of it")
    renewal.look()
    assert (put.value, put.counted) == ("the whole of it", [("key", "loaded")])


def test_what_stays_broken_is_told_once_and_never_in_force(
    renewal: Renewal, put: Put, caplog: pytest.LogCaptureFixture
):
    put.file.write_text("bad for good")
    for _ in range(5):
        renewal.look()
    assert (put.value, put.counted) == ("one", [("key", "refused")])
    assert "lineage" in caplog.text
    assert "bad for good" not in caplog.text


def test_a_file_that_vanishes_leaves_the_last_good_one(renewal: Renewal, put: Put):
    put.file.unlink()
    renewal.look()
    renewal.look()
    assert (put.value, put.counted) == ("one", [("key", "refused")])
    put.file.write_text("back")
    renewal.look()
    assert put.value == "back"
