"""The stream check: do the messages of one exchange keep what their protocol says of their order?

- *memory*: what is remembered of one stream while it passes, and no longer.
- *breach*: one rule of the protocol's text that a message, or the end of the stream, breaks.
"""

from sidecar.checks.stream.check import StreamCheck

__all__ = ["StreamCheck"]
