"""One suite, three ways: direct, through a sidecar that knows nothing, through one that knows the service.

What passes direct and fails through the sidecar is a promise broken. A line lasts for a module; calls name
their own scripts, so tests share it without meeting.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.transparency.caller import Caller
from tests.transparency.certs import TlsFiles, make_tls_files
from tests.transparency.line import WAYS, Line, open_line
from tests.transparency.protocol import SHAPES


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("line")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(way: str, folder: Path) -> AsyncIterator[Line]:
    async with open_line(way, folder) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def caller(line: Line) -> AsyncIterator[Caller]:
    async with line.dial() as dialled:
        yield dialled


@pytest.fixture(params=SHAPES, ids=lambda path: path.rpartition("/")[2])
def method(request: pytest.FixtureRequest) -> str:
    """Every cardinality in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls_files(tmp_path_factory.mktemp("tls"))
