"""Spec files: from folders on disk to the table in force, and to the next one when a file changes.

- *source*: keeps the specs in force up to date with their files. The last good table stays until the next is good.
- *loading*: one attempt to read everything. All of it loads or nothing does, and all mistakes are said at once, each
  with its file, line and path.
- *format*: what a spec file may say, as a JSON Schema that editors complete specs by (`spec_format.json`).
- *describing*: what was understood, in lines for people.
- *changes*: when it is time to compare the files with what was read.

Read are `.yaml`, `.yml` and `.json` files; in a folder, what has the key `spec` or `match` is a spec, and what has
`$schema` or `$id`, or lies below a folder named `schemas`, is a JSON Schema for specs to refer to. Names that begin
with a dot are passed over. A `$ref` stays within the folders that were named, and nothing is ever fetched from a
network.
"""

from __future__ import annotations

from sidecar.spec_files.format import FORMAT
from sidecar.spec_files.source import OnReload, Outcome, SpecSource, load

__all__ = ["FORMAT", "OnReload", "Outcome", "SpecSource", "load"]
