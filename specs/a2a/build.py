"""Makes a2a_v1.binpb: A2A's types and all that they import, from the descriptors in the installed a2a-sdk.

Run it after an upgrade of a2a-sdk: `python specs/a2a/build.py`. The same packages give the same bytes.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

MODULE = "a2a.types.a2a_pb2"
TARGET = Path(__file__).with_name("a2a_v1.binpb")


def descriptor_set() -> FileDescriptorSet:
    """Files in the order in which they can be used, imports first."""
    files: dict[str, FileDescriptor] = {}
    collect(importlib.import_module(MODULE).DESCRIPTOR, files)
    made = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(made.file.add())
    return made


def collect(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    if file.name in files:
        return
    for dependency in sorted(file.dependencies, key=lambda each: each.name):
        collect(dependency, files)
    files[file.name] = file


if __name__ == "__main__":
    TARGET.write_bytes(descriptor_set().SerializeToString(deterministic=True))
