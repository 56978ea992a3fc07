"""The agent sidecar: a process that stands between agents and checks what passes on the wire."""

__version__ = "0.1.0"
