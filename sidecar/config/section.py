"""A section: a part of the tree, and what can be asked about its keys.

The tree describes itself: a mistake names the keys that a section knows, and says what a missing one means, from here.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the tree: frozen, and an unknown key in it is a mistake."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


def keyed_fields(section: type[Section]) -> dict[str, Any]:
    """The section's fields by their YAML keys."""
    return {described.alias or name: described for name, described in section.model_fields.items()}


def section_in(annotation: Any) -> type[Section] | None:
    """The section inside `tuple[Route, ...]` or `Metrics | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for inner in get_args(annotation) if (found := section_in(inner))), None)
