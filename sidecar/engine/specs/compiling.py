"""The one way in which schemas are compiled, and what the compiling engine complains of."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from sidecar.engine.message import JSON
from sidecar.engine.specs.flaws import BrokenSchema
from sidecar.engine.specs.reference import leads_somewhere, way_to_ref
from sidecar.engine.specs.sentences import shown


def compiled(schema: JSON, **options: Any) -> jsonschema_rs.Validator:
    """The one way in which anything is compiled: linear patterns, formats asserted, unknown formats refused."""
    return jsonschema_rs.validator_for(
        schema,
        validate_formats=True,
        ignore_unknown_formats=False,
        pattern_options=jsonschema_rs.RegexOptions(),
        **options,
    )


def broken(error: ValueError, schema: JSON) -> BrokenSchema:
    """What the compiling engine complains of, in our words."""
    keys = tuple(getattr(error, "instance_path", ()))
    kind = getattr(error, "kind", None)
    said = shown(getattr(error, "instance", None))
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Format) and kind.format == "regex":
        return BrokenSchema(keys, f"the pattern {said}", "a regular expression without look-around, back-references")
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Custom) and keys[-1:] == ("format",):
        return BrokenSchema(keys, f"the format {said}", "a format that JSON Schema defines")
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Referencing):
        keys = way_to_ref(schema, lambda ref: not leads_somewhere(ref, schema))
    return BrokenSchema(keys, str(error).partition("\n")[0][:300], "a JSON Schema that can be compiled")
