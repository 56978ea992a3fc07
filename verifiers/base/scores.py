"""Scores: how good this verifier was measured to be, read from the file that a measurement left."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from verifiers.base.description import Description

FIGURE = re.compile(r"[a-z][a-z0-9_]{0,63}")
MAX_FIGURES = 50
MAX_BYTES = 1 << 16


class BadScores(Exception):
    """A file that says nothing of this verifier. The message says why."""


def read(path: Path, description: Description) -> Mapping[str, float]:
    """The figures of `{"verifier": NAME, "version": VERSION, "figures": {"precision": 0.97}}`. Raises `BadScores`.

    Another version's figures are not this one's: its rules have changed since.
    """
    document = _document(path)
    measured, ours = (document.get("verifier"), document.get("version")), (description.name, description.version)
    if measured != ours:
        _refuse(path, f"it is about {measured[0]} {measured[1]}, and this is {ours[0]} {ours[1]}")
    figures = document.get("figures")
    if not isinstance(figures, dict) or len(figures) > MAX_FIGURES or not all(map(_is_figure, figures.items())):
        _refuse(path, f"`figures` is no object of at most {MAX_FIGURES} finite numbers with names like `recall_of_all`")
    return {name: float(value) for name, value in figures.items()}


def _document(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            payload = file.read(MAX_BYTES + 1)
        document = json.loads(payload.decode()) if len(payload) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        _refuse(path, f"it cannot be read ({type(error).__name__})")
    if not isinstance(document, dict):
        _refuse(path, f"it is no JSON object of at most {MAX_BYTES} bytes")
    return document


def _is_figure(entry: tuple[str, Any]) -> bool:
    name, value = entry
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return bool(FIGURE.fullmatch(name)) and is_number and abs(value) < 1e15 and math.isfinite(value)


def _refuse(path: Path, why: str) -> NoReturn:
    raise BadScores(f"{path} holds no scores of this verifier: {why}")
