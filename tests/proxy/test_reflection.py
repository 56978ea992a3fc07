"""An upstream describes itself, or fails to: bounded in time, size and number either way."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import grpc
import pytest
from a2a.types import a2a_pb2  # noqa: F401 - the service that reflection describes
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc import aio
from grpc_reflection.v1alpha import reflection, reflection_pb2

from sidecar.engine.descriptors import Descriptors
from sidecar.errors import UpstreamError
from sidecar.proxy.reflection import METHOD, reflect

A2A = "lf.a2a.v1.A2AService"
V1, V1ALPHA = METHOD.format(version="v1"), METHOD.format(version="v1alpha")
Answer = reflection_pb2.ServerReflectionResponse


class Upstream(grpc.GenericRpcHandler):
    """Serves reflection under the names given, and remembers which were called and which calls have ended."""

    def __init__(self, *methods, answers):
        self.methods = methods
        self.answers = answers
        self.called = []
        self.ended = asyncio.Event()

    def service(self, details):
        self.called.append(details.method)
        if details.method not in self.methods:
            return None
        return grpc.stream_stream_rpc_method_handler(
            self._serve,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=lambda answer: answer if isinstance(answer, bytes) else answer.SerializeToString(),
        )

    async def _serve(self, requests, context):
        try:
            async for answer in self.answers(requests, context):
                yield answer
        finally:
            self.ended.set()


@asynccontextmanager
async def served(*handlers):
    """A real server on a port of its own, and a channel to it."""
    server = aio.server()
    server.add_generic_rpc_handlers(handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


def honest(*services):
    """What grpcio's own reflection answers."""
    return reflection.aio.ReflectionServicer([*services, reflection.SERVICE_NAME]).ServerReflectionInfo


def scripted(files):
    """One service, `s.S`, declared in the first of `files`; each other file by its name."""

    async def answers(requests, _):
        async for request in requests:
            if request.list_services:
                listed = reflection_pb2.ListServiceResponse(service=[reflection_pb2.ServiceResponse(name="s.S")])
                yield Answer(list_services_response=listed)
                continue
            name = request.file_by_filename or next(iter(files))
            payload = files.get(name)
            if payload is None:
                yield Answer(error_response=reflection_pb2.ErrorResponse(error_code=5, error_message="not found"))
            else:
                yield Answer(file_descriptor_response={"file_descriptor_proto": [payload]})

    return answers


def file(name, *imports):
    return FileDescriptorProto(name=name, package="s", syntax="proto3", dependency=imports).SerializeToString()


def chain(length):
    """Files that import the next one each."""
    names = [f"{number}.proto" for number in range(length)]
    return {name: file(name, *names[number + 1 : number + 2]) for number, name in enumerate(names)}


@pytest.mark.parametrize("methods", [(V1,), (V1ALPHA,), (V1, V1ALPHA)])
async def test_services_are_described_by_either_version(methods):
    """Version 1 is asked first; v1alpha only where it is unknown."""
    upstream = Upstream(*methods, answers=honest(A2A))
    async with served(upstream) as channel:
        files = await reflect(channel, limit_s=10)
    assert upstream.called == ([V1] if V1 in methods else [V1, V1ALPHA])
    descriptors = Descriptors()
    descriptors.add_protos(files, "reflection")
    assert descriptors.method(f"/{A2A}/SendStreamingMessage").server_streaming
    assert not any("reflection" in name for name in descriptors.methods())


async def test_reflection_of_a_real_server_is_understood():
    """As agents enable it: grpcio's own helper, with its default names."""
    server = aio.server()
    reflection.enable_server_reflection([A2A, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        files = await reflect(channel, limit_s=10)
    await server.stop(None)
    assert {"a2a.proto", "google/api/annotations.proto"} <= {each.name for each in files}


async def test_imports_are_fetched_by_name():
    """Many upstreams send one file at a time."""
    async with served(Upstream(V1, answers=scripted(chain(5)))) as channel:
        files = await reflect(channel, limit_s=10)
    assert sorted(each.name for each in files) == sorted(chain(5))


async def test_the_stream_ends_when_all_is_known():
    """No upstream keeps a call open for us."""
    upstream = Upstream(V1, answers=scripted(chain(1)))
    async with served(upstream) as channel:
        await reflect(channel, limit_s=10)
        async with asyncio.timeout(5):
            await upstream.ended.wait()


async def test_an_upstream_without_reflection_is_an_error_that_says_so():
    """Neither version is known there."""
    async with served() as channel:
        with pytest.raises(UpstreamError, match="has no reflection service"):
            await reflect(channel, limit_s=10)


async def test_an_upstream_that_never_answers_is_left_after_the_limit():
    """And its call is ended."""

    async def silence(requests, _):
        await asyncio.Event().wait()
        yield Answer()

    upstream = Upstream(V1, answers=silence)
    async with served(upstream) as channel:
        with pytest.raises(UpstreamError, match=r"no complete reflection within 0\.2 s"):
            await reflect(channel, limit_s=0.2)
        async with asyncio.timeout(5):
            await upstream.ended.wait()


@pytest.mark.parametrize(("limit", "is_allowed"), [(3, False), (4, True), (5, True)])
async def test_files_are_bounded_in_number(limit, is_allowed):
    """Each file kept counts, and each question for one: two are kept here, two are asked for, one of them in vain."""
    files = {**chain(2), "0.proto": file("0.proto", "1.proto", "gone.proto")}
    async with served(Upstream(V1, answers=scripted(files))) as channel:
        if is_allowed:
            assert len(await reflect(channel, limit_s=10, max_files=limit)) == 1
        else:
            with pytest.raises(UpstreamError, match="more files than allowed"):
                await reflect(channel, limit_s=10, max_files=limit)


@pytest.mark.parametrize("spare", [-1, 0, 1])
async def test_files_are_bounded_in_bytes(spare):
    """The limit is what we allow."""
    files = chain(3)
    limit = sum(map(len, files.values())) + spare
    async with served(Upstream(V1, answers=scripted(files))) as channel:
        if spare >= 0:
            assert len(await reflect(channel, limit_s=10, max_bytes=limit)) == 3
        else:
            with pytest.raises(UpstreamError, match="more bytes of descriptors than allowed"):
                await reflect(channel, limit_s=10, max_bytes=limit)


async def test_services_are_bounded_in_number():
    """Each would be a question."""

    async def answers(requests, _):
        async for _ in requests:
            services = [reflection_pb2.ServiceResponse(name=f"s.S{number}") for number in range(11)]
            yield Answer(list_services_response=reflection_pb2.ListServiceResponse(service=services))

    async with served(Upstream(V1, answers=answers)) as channel:
        with pytest.raises(UpstreamError, match="more services than allowed"):
            await reflect(channel, limit_s=10, max_files=10)


async def test_files_whose_imports_are_nowhere_are_left_out_with_a_warning(caplog):
    """The others can still be used."""
    files = {
        "a.proto": file("a.proto", "b.proto", "google/protobuf/any.proto"),
        "b.proto": file("b.proto", "gone.proto"),
    }
    async with served(Upstream(V1, answers=scripted(files))) as channel:
        with caplog.at_level(logging.WARNING):
            assert await reflect(channel, limit_s=10) == []
    assert "no types for 'gone.proto'" in caplog.text
    assert "no use of b.proto, whose imports" in caplog.text


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"\xff\xff\xff", "sent what is no file of types"),
        (Answer(error_response=reflection_pb2.ErrorResponse(error_code=7)), "does not list"),
        (Answer(), "does not list"),
    ],
)
async def test_an_answer_that_is_none_is_an_error_that_says_so(answer, sentence):
    """Junk, a refusal, or nothing at all."""

    async def answers(requests, _):
        async for _ in requests:
            yield answer

    async with served(Upstream(V1, answers=answers)) as channel:
        with pytest.raises(UpstreamError, match=sentence):
            await reflect(channel, limit_s=10)


@pytest.mark.parametrize("tag", [b"\x0a", b"\x1a"])
async def test_a_name_that_is_no_text_is_an_error_that_says_so(tag):
    """A file's own, or that of an import: protobuf lets both pass."""
    async with served(Upstream(V1, answers=scripted({"x": tag + b"\x01\xff"}))) as channel:
        with pytest.raises(UpstreamError, match=r"a name that is no UTF-8"):
            await reflect(channel, limit_s=10)


async def test_a_file_that_is_no_descriptor_is_an_error_that_says_so():
    """The bytes inside an answer are not trusted more than the answer."""
    async with served(Upstream(V1, answers=scripted({"x": b"\xff\xff"}))) as channel:
        with pytest.raises(UpstreamError, match="sent what is no file of types"):
            await reflect(channel, limit_s=10)


async def test_an_upstream_that_ends_early_is_an_error_that_says_so():
    """With OK or with a status of its own."""

    async def nothing(requests, _):
        for answer in ():
            yield answer

    async def denied(requests, context):
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for you")
        yield Answer()

    async with served(Upstream(V1, answers=nothing)) as channel:
        with pytest.raises(UpstreamError, match="ended reflection before it had answered"):
            await reflect(channel, limit_s=10)
    async with served(Upstream(V1, answers=denied)) as channel:
        with pytest.raises(UpstreamError, match="PERMISSION_DENIED: not for you"):
            await reflect(channel, limit_s=10)
