"""Reflection: an upstream that describes its own types over gRPC server reflection.

Version 1 is asked first and v1alpha where an upstream does not know it; their messages are the same on the wire, so one
set of classes speaks both. An upstream may send anything, so what is taken from it is bounded in time, size and number.
The protocol: https://github.com/grpc/grpc-proto/blob/master/grpc/reflection/v1/reflection.proto
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc import aio
from grpc._cython import cygrpc
from grpc_reflection.v1alpha import reflection_pb2

from sidecar.errors import UpstreamError

log = logging.getLogger(__name__)

VERSIONS = ("v1", "v1alpha")
METHOD = "/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"

MAX_FILES = 2_000
MAX_BYTES = 16 * 1024 * 1024
"""Of serialized descriptors. The largest public interfaces stay below a tenth of it."""

WELL_KNOWN = "google/protobuf/"
OWN_SERVICES = "grpc.reflection."


async def reflect(
    channel: aio.Channel, limit_s: float, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
) -> list[FileDescriptorProto]:
    """All services of an upstream, as the files that declare them and all that these import.

    Files whose imports the upstream does not have are left out, with a warning. Raises UpstreamError where the upstream
    has no reflection, does not answer within `limit_s` seconds, says what is no descriptor, or says too much.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await _by_any_version(channel, max_files, max_bytes)
    except TimeoutError as error:
        raise UpstreamError(f"no complete reflection within {limit_s:g} s") from error
    except DecodeError as error:
        raise UpstreamError(f"reflection sent what is no file of types: {error}") from error
    except aio.AioRpcError as error:
        raise UpstreamError(f"reflection ended with {error.code().name}: {error.details()}") from error


async def _by_any_version(channel: aio.Channel, max_files: int, max_bytes: int) -> list[FileDescriptorProto]:
    for version in VERSIONS:
        try:
            return await _by(channel, METHOD.format(version=version), _Found(max_files, max_bytes))
        except aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
    raise UpstreamError("the upstream has no reflection service")


async def _by(channel: aio.Channel, method: str, found: _Found) -> list[FileDescriptorProto]:
    call: Any = channel.stream_stream(
        method,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=_answer,
    )()
    try:
        conversation = _Conversation(call)
        for service in found.bounded(await conversation.services()):
            found.take(await conversation.files(file_containing_symbol=service))
        while missing := found.next_missing():
            found.take(await conversation.files(file_by_filename=missing))
        return found.complete()
    finally:
        call.cancel()


def _answer(payload: bytes) -> Any:
    """Raised here, a DecodeError would end the call as if the upstream had said INTERNAL; so it is carried out."""
    try:
        return reflection_pb2.ServerReflectionResponse.FromString(payload)
    except DecodeError as error:
        return error


class _Conversation:
    """One stream of questions, each with one answer."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def services(self) -> list[str]:
        """Names of all services but reflection's own."""
        answer = await self._ask(list_services="*")
        if not answer.HasField("list_services_response"):
            raise UpstreamError("reflection does not list the upstream's services")
        names = [service.name for service in answer.list_services_response.service]
        return [name for name in names if not name.startswith(OWN_SERVICES)]

    async def files(self, **question: str) -> list[bytes]:
        """Serialized files: the one asked for, and with some upstreams its imports. Empty where it has none."""
        files = list((await self._ask(**question)).file_descriptor_response.file_descriptor_proto)
        if not files:
            log.warning("reflection: the upstream has no types for %r", *question.values())
        return files

    async def _ask(self, **question: str) -> Any:
        request = reflection_pb2.ServerReflectionRequest(**question).SerializeToString()
        with suppress(asyncio.InvalidStateError, cygrpc.InternalError):
            # Not call.write(): when the upstream ends early, a failing write would replace its status by INTERNAL.
            await self._call.wait_for_connection()
            await self._call._cython_call.send_serialized_message(request)
        answer = await self._call.read()
        if answer is aio.EOF:
            await self._raise_end()
        if isinstance(answer, DecodeError):
            raise answer
        return answer

    async def _raise_end(self) -> None:
        code, details = await self._call.code(), await self._call.details()
        if code is grpc.StatusCode.OK:
            raise UpstreamError("the upstream ended reflection before it had answered")
        raise aio.AioRpcError(code, aio.Metadata(), aio.Metadata(), details)


class _Found:
    """What was sent so far, and what it still lacks."""

    def __init__(self, max_files: int, max_bytes: int) -> None:
        self._files: dict[str, FileDescriptorProto] = {}
        self._asked: set[str] = set()
        self._wanted: list[str] = []
        self._files_left = max_files
        self._bytes_left = max_bytes

    def bounded(self, services: list[str]) -> list[str]:
        if len(services) > self._files_left:
            raise UpstreamError("reflection lists more services than allowed")
        return services

    def take(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            self._bytes_left -= len(payload)
            if self._bytes_left < 0:
                raise UpstreamError("reflection sends more bytes of descriptors than allowed")
            self._keep(FileDescriptorProto.FromString(payload))

    def _keep(self, file: FileDescriptorProto) -> None:
        if file.name in self._files:
            return  # upstreams repeat imports that several services share
        if not all(isinstance(name, str) for name in (file.name, *file.dependency)):
            raise UpstreamError("reflection sent a file of types with a name that is no UTF-8")
        self._count()
        self._files[file.name] = file
        self._wanted += file.dependency

    def _count(self) -> None:
        self._files_left -= 1
        if self._files_left < 0:
            raise UpstreamError("reflection sends more files than allowed")

    def next_missing(self) -> str | None:
        """A file to ask for; each once, and none that every protobuf runtime has."""
        while self._wanted:
            name = self._wanted.pop()
            if name not in self._files and name not in self._asked and not name.startswith(WELL_KNOWN):
                self._asked.add(name)
                self._count()
                return name
        return None

    def complete(self) -> list[FileDescriptorProto]:
        """The files that can be used."""
        files = dict(self._files)
        while lacking := set(_lacking(files)):
            log.warning(
                "reflection: no use of %s, whose imports the upstream does not have", ", ".join(sorted(lacking))
            )
            for name in lacking:
                del files[name]
        return list(files.values())


def _lacking(files: dict[str, FileDescriptorProto]) -> Iterator[str]:
    for name, file in files.items():
        if any(each not in files and not each.startswith(WELL_KNOWN) for each in file.dependency):
            yield name
