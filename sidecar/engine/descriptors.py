"""Descriptors: which method carries which types, from pb2 modules, descriptor sets and reflection, in one registry.

Whatever the sources, each file of types has one definition. Sources may repeat it; they may not contradict it, for then
a document would depend on who was asked first. Two kinds of files are held to less, because every toolchain brings its
own age of them and they only ever grow: of files under `PUBLISHED` the first definition stays, and those of the
protobuf runtime are always its own.

Types of modules live in protobuf's default pool, where their classes are. All others live in a pool of ours.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.message import DecodeError

from sidecar.engine.document import Walkers
from sidecar.engine.message import Codec
from sidecar.engine.names import Reader
from sidecar.engine.protobuf_codec import ProtobufCodec

RUNTIME = "the protobuf runtime"
WELL_KNOWN = "google/protobuf/"
PUBLISHED = (WELL_KNOWN, "google/api/", "google/rpc/", "google/type/")


@dataclass(frozen=True, slots=True)
class Method:
    """What descriptors say of one method."""

    name: str
    """`/pkg.Service/Method`"""
    client_streaming: bool
    server_streaming: bool
    request: Codec
    response: Codec
    request_type: Descriptor


class Sourced(NamedTuple):
    """A file of types and who gave it to us, in words for an error."""

    proto: FileDescriptorProto
    source: str


Files = dict[str, Sourced]
"""By the name under which other files import them."""


class Descriptors:
    """The registry. What is added is added whole or, with a ValueError that says why, not at all."""

    def __init__(self) -> None:
        self._files: Files = dict(runtime_files())
        self._pool = built(self._files)
        self._described: dict[str, MethodDescriptor] = {}
        self._methods: dict[str, Method] = {}
        self._walkers = Walkers(self.find_message)
        self._reader = Reader()

    def method(self, name: str) -> Method | None:
        """None where no source describes it."""
        method = self._methods.get(name)
        if method is None and name in self._described:
            method = self._methods[name] = self._read(name, self._described[name])
        return method

    def methods(self) -> Iterable[str]:
        return self._described.keys()

    def find_message(self, full_name: str) -> Descriptor | None:
        """A message type: of the sources, else one that this process knows for reasons of its own."""
        for pool in (self._pool, Default()):
            try:
                return pool.FindMessageTypeByName(full_name)
            except KeyError:
                continue
        return None

    def add_module(self, dotted: str) -> None:
        """The services of an importable pb2 module, with the module's own message classes."""
        source = f"module {dotted}"
        file = file_of(imported(dotted), dotted)
        self._take((proto_of(each) for each in closure(file)), source)
        self._describe(file)

    def add_file(self, path: Path) -> None:
        """The services in a file that holds a FileDescriptorSet (`protoc --include_imports -o`, `buf build -o`)."""
        files = read_descriptor_set(path)
        self.add_protos(files, str(path))

    def add_protos(self, files: Iterable[FileDescriptorProto], source: str) -> None:
        """The services in `files`, in any order. `source` names their origin in errors."""
        protos = list(files)
        self._take(protos, source)
        for proto in protos:
            self._describe(self._pool.FindFileByName(proto.name))

    def _take(self, protos: Iterable[FileDescriptorProto], source: str) -> None:
        """Make the types known. The pool is built anew, because one that exists cannot give back half of an attempt."""
        files = merged(self._files, [Sourced(proto, source) for proto in protos])
        if len(files) > len(self._files):
            self._pool = built(files)
            self._files = files

    def _describe(self, file: FileDescriptor) -> None:
        for service in file.services_by_name.values():
            for method in service.methods:
                self._described.setdefault(f"/{service.full_name}/{method.name}", method)

    def _read(self, name: str, described: Any) -> Method:
        request, response = self._codec(described.input_type), self._codec(described.output_type)
        return Method(
            name, described.client_streaming, described.server_streaming, request, response, described.input_type
        )

    def _codec(self, descriptor: Descriptor) -> Codec:
        return ProtobufCodec(descriptor, self._walkers, self._reader)


# Sources.


def runtime_files() -> Iterator[tuple[str, Sourced]]:
    """Files that are there without any source, so that no source need bring them."""
    for module in (
        any_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
    ):
        yield module.DESCRIPTOR.name, Sourced(proto_of(module.DESCRIPTOR), RUNTIME)


def imported(dotted: str) -> ModuleType:
    try:
        return importlib.import_module(dotted)
    except Exception as error:
        # Whatever a module does while it is imported, the operator is told that it cannot be had and why.
        raise ValueError(f"module {dotted} cannot be imported: {type(error).__name__}: {error}") from error


def file_of(module: ModuleType, dotted: str) -> FileDescriptor:
    file = getattr(module, "DESCRIPTOR", None)
    if isinstance(file, FileDescriptor):
        return file
    raise ValueError(f"module {dotted} holds no descriptors; name the one that protoc made, which ends in _pb2")


def closure(file: FileDescriptor) -> list[FileDescriptor]:
    """A file and all that it imports, each once."""
    found = {file.name: file}
    waiting = [file]
    while waiting:
        new = [each for each in waiting.pop().dependencies if each.name not in found]
        found.update((each.name, each) for each in new)
        waiting += new
    return list(found.values())


def proto_of(file: FileDescriptor) -> FileDescriptorProto:
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    return proto


def read_descriptor_set(path: Path) -> list[FileDescriptorProto]:
    try:
        files = list(FileDescriptorSet.FromString(path.read_bytes()).file)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise ValueError(f"{path} is no FileDescriptorSet; protoc -o or buf build -o makes one") from error
    if not files:
        raise ValueError(f"{path} holds no files of types")
    return files


# One definition a file.


def merged(known: Mapping[str, Sourced], added: Iterable[Sourced]) -> Files:
    """The files together. Raises ValueError, with both sources, where one contradicts another."""
    files = dict(known)
    for new in added:
        if not isinstance(new.proto.name, str):  # protobuf hands out bytes for what is no UTF-8
            raise ValueError(f"{new.source} has a file whose name is no UTF-8")
        old = files.setdefault(new.proto.name, new)
        if old is not new and not is_tolerated(new.proto.name) and essence(old.proto) != essence(new.proto):
            raise ValueError(f"{new.source} and {old.source} define {new.proto.name} differently")
    return files


def is_tolerated(name: str) -> bool:
    return name.startswith(PUBLISHED)


def essence(proto: FileDescriptorProto) -> bytes:
    """What a file says, without what toolchains add or leave out: comments, default JSON names, unknown options."""
    copy = FileDescriptorProto.FromString(proto.SerializeToString())
    copy.DiscardUnknownFields()
    copy.ClearField("source_code_info")
    simplify(copy)
    return copy.SerializeToString(deterministic=True)


def simplify(proto: Any) -> None:
    """Takes out of a part of a file, and the parts inside it, what says nothing."""
    if isinstance(proto, FieldDescriptorProto) and proto.json_name == default_json_name(proto.name):
        proto.ClearField("json_name")
    for field, value in proto.ListFields():
        if field.name == "options":
            if not value.ListFields():
                proto.ClearField("options")
        elif field.message_type:
            for part in value if field.is_repeated else [value]:
                simplify(part)


def default_json_name(name: str) -> str:
    """lowerCamelCase as protoc makes it: underscores go, and what follows one is a capital."""
    first, *others = name.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


def built(files: Mapping[str, Sourced]) -> DescriptorPool:
    """A pool of the files. Raises ValueError where one lacks an import or cannot be true."""
    pool = DescriptorPool()
    for name in in_order(files):
        proto, source = files[name]
        try:
            pool.Add(proto)
        except TypeError as error:
            raise ValueError(f"{name} of {source} cannot be used{both(files, name)}: {error}") from error
    return pool


def in_order(files: Mapping[str, Sourced]) -> list[str]:
    """Names, imports first."""
    for name, (proto, source) in files.items():
        for dependency in proto.dependency:
            if dependency not in files:
                raise ValueError(
                    f"{source} lacks {dependency}, which {name} imports; "
                    "make it with all imports (protoc --include_imports, buf build)"
                )
    try:
        return list(TopologicalSorter({name: file.proto.dependency for name, file in files.items()}).static_order())
    except CycleError as error:
        raise ValueError(f"files import each other in a circle: {', '.join(error.args[1])}") from error


def both(files: Mapping[str, Sourced], name: str) -> str:
    """`; pkg.Thing is also in other.proto of SOURCE`, where another file declares the same name."""
    ours = set(symbols(files[name].proto))
    for other, (proto, source) in files.items():
        if other != name and (shared := ours.intersection(symbols(proto))):
            return f"; {min(shared)} is also in {other} of {source}"
    return ""


def symbols(proto: FileDescriptorProto) -> Iterator[str]:
    names = [each.name for group in (proto.message_type, proto.enum_type, proto.service) for each in group]
    yield from (f"{proto.package}.{name}" if proto.package else name for name in names)
