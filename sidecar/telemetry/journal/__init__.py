"""The journal: everything that was seen and decided, in causal order, in a form that shows when it was changed.

- *record*: one thing that was seen or decided, as plain data. *Entry*: a record in its place in a journal.
- *draft*: what is taken of it on the event loop; the *scribe*'s thread makes the record.
- *sink*: a place that records go to: a SQLite file, JSON lines, OTLP logs, a Redis stream. Each has its own thread.
- *chain*: binds each record to all before it. Its last *link* is the *head*, its *anchor* the place where it begins.
- *reader*: finds records in a journal again.
"""

from sidecar.telemetry.journal.journal import Journal, JournalSettings
from sidecar.telemetry.journal.lines import LinesReader
from sidecar.telemetry.journal.lines_sink import LinesSink
from sidecar.telemetry.journal.reading import Filter, Page, Reader, UnreadableJournal
from sidecar.telemetry.journal.record import About, Entry, Kind, Record
from sidecar.telemetry.journal.sink import SinkSettings
from sidecar.telemetry.journal.sqlite_reader import SqliteReader
from sidecar.telemetry.journal.sqlite_sink import SqliteSink

__all__ = [
    "About",
    "Entry",
    "Filter",
    "Journal",
    "JournalSettings",
    "Kind",
    "LinesReader",
    "LinesSink",
    "Page",
    "Reader",
    "Record",
    "SinkSettings",
    "SqliteReader",
    "SqliteSink",
    "UnreadableJournal",
]
