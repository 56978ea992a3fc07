"""Access: who may do what from where."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import tempfile
from pathlib import Path

import grpc
import pytest
import yaml
from grpc import aio

from sidecar import renewal
from sidecar.admin.access import FAILURES_MAX, WINDOW_S, Access, Certificates, Role, Token
from sidecar.admin.problem import Problem
from sidecar.config import parse
from sidecar.errors import ConfigError
from sidecar.testing import ManualClock
from sidecar.v1 import admin_pb2
from tests.admin.desk import BECAUSE, TOKENS, Operator, refused, running_desk, tokens_in, until
from tests.transparency.certs import SERVER_NAME, make_tls_files

ANOTHER = "another-token-0123456789abcdef"
TARGET = admin_pb2.Target(agent="planner")
OVERRIDE = [("grpc.ssl_target_name_override", SERVER_NAME), ("grpc.use_local_subchannel_pool", 1)]


# --- addresses -------------------------------------------------------------------------------------------------------

ROUTES = 'agent: desk\nroutes: [{listen: "127.0.0.1:1", upstream: "127.0.0.1:2"}]\n'
TOKEN = "tokens: [{name: ops, role: operate, secret_env: T}]"


@pytest.mark.parametrize(
    ("admin", "is_good"),
    [
        ('{listen: "127.0.0.1:9465"}', True),
        ('{listen: "[::1]:9465"}', True),
        ('{listen: "localhost:9465"}', True),
        ('{listen: "unix:/run/sidecar/admin.sock"}', True),
        ('{listen: ":9465"}', True),
        ('{listen: "0.0.0.0:9465"}', False),
        ('{listen: "[::]:9465"}', False),
        ('{listen: "10.0.0.1:9465"}', False),
        ('{listen: "sidecar.example.org:9465"}', False),
        (f'{{listen: "0.0.0.0:9465", {TOKEN}}}', False),
        ('{listen: "0.0.0.0:9465", tls: TLS}', False),
        (f'{{listen: "0.0.0.0:9465", tls: TLS, {TOKEN}}}', True),
        ('{listen: "0.0.0.0:9465", tls: MTLS}', True),
        ('{listen: "127.0.0.1:9465", clients: [{identity: a, role: read}]}', False),
        ('{listen: "127.0.0.1:9465", tls: TLS, clients: [{identity: a, role: read}]}', False),
        ('{listen: "127.0.0.1:9465", tls: MTLS, clients: [{identity: a, role: read}]}', True),
        ("{tokens: [{name: a, secret_env: T}, {name: a, secret_env: U}]}", False),
        ("{tokens: [{name: a, role: root, secret_env: T}]}", False),
        ("{tokens: [{name: a, secret_env: T, secret_file: t}]}", False),
        ("{without: operate}", False),
    ],
)
def test_beyond_this_machine_it_needs_tls_and_a_credential(tmp_path: Path, admin: str, is_good: bool):
    """Else it refuses to start. On loopback and on a socket it needs neither."""
    tls = make_tls_files(tmp_path)
    options = yaml.safe_dump(tls.listen_options(wants_client=False), default_flow_style=True).strip()
    mutual = yaml.safe_dump(tls.listen_options(wants_client=True), default_flow_style=True).strip()
    text = ROUTES + "admin: " + admin.replace("MTLS", mutual).replace("TLS", options)
    if is_good:
        assert parse(text, name="x", base=tmp_path, environ={}).admin is not None
    else:
        with pytest.raises(ConfigError):
            parse(text, name="x", base=tmp_path, environ={})


# --- the unix socket -------------------------------------------------------------------------------------------------


async def test_the_socket_is_for_our_own_user_and_root_and_they_may_change(tmp_path: Path):
    """Its folder lets nobody else in, and it can be opened by nobody else: what unix(7) asks of whoever connects."""
    socket = tmp_path / "own" / "admin.sock"
    async with running_desk(tmp_path, admin={"listen": f"unix:{socket}", "tokens": []}) as desk:
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert socket.stat().st_uid == socket.parent.stat().st_uid == os.geteuid()
        status = await desk.nobody.GetStatus()
        assert (status.role, status.you.startswith(f"unix socket of uid {os.geteuid()}")) == (
            admin_pb2.ROLE_OPERATE,
            True,
        )
        await desk.nobody.Quarantine(target=TARGET, because=BECAUSE)
        assert (await desk.nobody.ListQuarantines()).quarantines[0].author.who.startswith("unix socket of uid")


OF_ANOTHER_USER = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
socket.socket(socket.AF_UNIX).connect(sys.argv[1])
"""


async def test_another_user_cannot_connect(tmp_path: Path):
    """Tried by a process of another user. The socket's own mode keeps it out as well, should its folder be opened."""
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    with tempfile.TemporaryDirectory() as open_to_all:
        folder = Path(open_to_all)
        folder.chmod(0o755)
        socket = folder / "own" / "admin.sock"
        async with running_desk(tmp_path, admin={"listen": f"unix:{socket}"}) as desk:
            assert (await desk.nobody.GetStatus()).role == admin_pb2.ROLE_OPERATE
            for mode in (0o700, 0o755):
                socket.parent.chmod(mode)
                child = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", OF_ANOTHER_USER, str(socket), stderr=asyncio.subprocess.PIPE
                )
                _, errors = await child.communicate()
                assert b"PermissionError" in errors


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
async def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path, mode: int):
    """Said at the start, with what would do."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 700"):
        async with running_desk(tmp_path, admin={"listen": f"unix:{folder}/admin.sock"}):
            pass


async def test_a_socket_on_which_another_listens_is_not_taken_away(tmp_path: Path):
    """One that a dead process left behind is."""
    socket = tmp_path / "own" / "admin.sock"
    async with running_desk(tmp_path, admin={"listen": f"unix:{socket}"}) as first:
        with pytest.raises(ConfigError, match="another process listens"):
            async with running_desk(tmp_path, admin={"listen": f"unix:{socket}"}):
                pass
        assert (await first.nobody.GetStatus()).is_ready
    import socket as sockets

    with sockets.socket(sockets.AF_UNIX) as left:
        left.bind(str(socket))
    async with running_desk(tmp_path, admin={"listen": f"unix:{socket}"}) as second:
        assert (await second.nobody.GetStatus()).is_ready


# --- certificates ----------------------------------------------------------------------------------------------------


async def test_a_client_certificate_may_change_what_it_is_listed_for(tmp_path: Path):
    """Without a list each that the authority signed may; with one, those on it, as far as it says."""
    tls = make_tls_files(tmp_path)
    locks = {"listen": "127.0.0.1:0", "tls": tls.listen_options(wants_client=True), "tokens": []}
    for clients, role in (([], 2), ([{"identity": "planner", "role": "read"}], 1), ([{"identity": "other"}], 0)):
        async with (
            running_desk(tmp_path, admin={**locks, "clients": clients}) as desk,
            aio.secure_channel(
                desk.sidecar.admin_address, tls.channel_credentials(tls.client), options=OVERRIDE
            ) as channel,
        ):
            planner = Operator(channel)
            if role == 0:
                assert (await refused(planner.GetStatus())).reason == "FORBIDDEN"
                continue
            status = await planner.GetStatus()
            assert (status.you, status.role) == ("certificate planner", role)
            if role == 1:
                assert (await refused(planner.Quarantine(target=TARGET, because=BECAUSE))).reason == "FORBIDDEN"


async def test_a_strangers_certificate_and_none_get_no_further_than_the_handshake(tmp_path: Path):
    """Nor does plain text."""
    tls = make_tls_files(tmp_path)
    async with running_desk(tmp_path, admin={"tls": tls.listen_options(wants_client=True)}) as desk:
        for credentials in (tls.channel_credentials(tls.foreign), tls.channel_credentials()):
            async with aio.secure_channel(desk.sidecar.admin_address, credentials, options=OVERRIDE) as channel:
                with pytest.raises(aio.AioRpcError) as caught:
                    await Operator(channel, TOKENS["ops"]).GetStatus()
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(aio.AioRpcError) as caught:
            await desk.operator.GetStatus()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


# --- tokens ----------------------------------------------------------------------------------------------------------


async def test_tokens_are_read_again_when_their_files_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The old one is worth nothing from then on; a file that cannot be used changes nothing."""
    monkeypatch.setattr(renewal, "POLL_S", 0.05)
    async with running_desk(tmp_path) as desk:
        renewed = Operator(desk.operator.channel, ANOTHER)
        assert (await refused(renewed.GetStatus())).reason == "UNAUTHENTICATED"
        (tmp_path / "ops").write_text(ANOTHER)

        async def is_let_in() -> bool:
            try:
                return (await renewed.GetStatus()).you == "token ops"
            except aio.AioRpcError:
                return False

        await until(is_let_in)
        assert (await refused(desk.operator.GetStatus())).reason == "UNAUTHENTICATED"
        (tmp_path / "ops").write_text("short")
        await until(lambda: refusals(desk.sidecar) == 1)
        assert (await renewed.GetStatus()).you == "token ops"


def refusals(sidecar: object) -> float:
    registry = sidecar.app.metrics.registry  # type: ignore[attr-defined]
    return registry.get_sample_value("sidecar_secret_reloads_total", {"what": "admin", "outcome": "refused"}) or 0


async def test_no_token_is_ever_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    """Neither a right one nor what somebody tried, in logs, answers, tail, configuration or the journal."""
    caplog.set_level("DEBUG")
    journal = tmp_path / "journal.db"
    tried = "somebody-tried-this-0123456789"
    said = []
    async with running_desk(tmp_path, journal=f"sqlite:{journal}") as desk:
        tail = desk.operator.Tail()
        said.append(str(await tail.read()))
        said.append(str(await desk.operator.Quarantine(target=TARGET, because=BECAUSE)))
        said.append(str(await refused(Operator(desk.operator.channel, tried).GetStatus())))
        said.append(str(await refused(Operator(desk.operator.channel, tried).Release(target=TARGET, because=BECAUSE))))
        said += [str(await tail.read()) for _ in range(2)]
        said.append(str(await desk.operator.GetStatus()))
        said.append((await desk.operator.GetConfig()).json.decode())
        said += [repr(desk.sidecar.app.config), *desk.sidecar.app.config.describe()]
        said.append(repr(desk.sidecar.app.administration.access.tokens))  # type: ignore[union-attr]
        tail.cancel()
    said += [each.getMessage() + str(vars(each)) for each in caplog.records]
    said += [*capfd.readouterr()]
    said.append(journal.read_bytes().decode("latin-1"))
    everything = "\n".join(said)
    assert "token ops" in everything
    assert "a wrong credential from" in everything
    for secret in (*TOKENS.values(), tried):
        assert secret not in everything


def test_a_missing_or_short_token_is_a_mistake_at_the_start(tmp_path: Path):
    """It says which one, and never what it was."""
    from sidecar.administration import tokens_of

    config = parse(
        ROUTES + "admin: {tokens: [{name: ops, secret_env: T}]}", name="x", base=tmp_path, environ={"T": "short"}
    )
    assert config.admin is not None
    for environ in ({}, {"T": "short-secret"}):
        with pytest.raises(ConfigError, match=r"admin\.tokens\[0\] secret_env") as caught:
            tokens_of(config.admin, environ)
        assert "short-secret" not in str(caught.value)
    assert tokens_in(tmp_path)


# --- failures --------------------------------------------------------------------------------------------------------


def access(transport: str = "network") -> tuple[Access, ManualClock]:
    clock = ManualClock()
    tokens = [Token("ops", Role.OPERATE, b"right-right-right")]
    return Access(transport, clock, tokens=tokens, certificates=Certificates()), clock  # type: ignore[arg-type]


def reason(access: Access, token: str, peer: str = "ipv4:10.0.0.1:4242") -> str:
    try:
        return access.caller({"authorization": f"Bearer {token}"}, peer, None).who
    except Problem as problem:
        return problem.why.value


def test_from_another_machine_too_many_failures_shut_the_door_for_a_while():
    """Also to the right token: guesses are not even compared. Other machines go on, and so does this one later."""
    locks, clock = access()
    for _ in range(FAILURES_MAX):
        assert reason(locks, "wrong") == "UNAUTHENTICATED"
    assert reason(locks, "right-right-right") == "token ops"
    assert reason(locks, "wrong") == "TOO_MANY_FAILURES"
    assert reason(locks, "right-right-right") == "TOO_MANY_FAILURES"
    assert reason(locks, "right-right-right", "ipv4:10.0.0.1:9999") == "TOO_MANY_FAILURES"
    assert reason(locks, "right-right-right", "ipv4:10.0.0.2:4242") == "token ops"
    clock.advance(WINDOW_S + 1)
    assert reason(locks, "right-right-right") == "token ops"
    assert reason(locks, "wrong") == "UNAUTHENTICATED"


def test_those_who_fail_are_remembered_up_to_a_number():
    """Addresses are easy to come by, on IPv6 above all."""
    locks, _ = access()
    for number in range(3_000):
        reason(locks, "wrong", f"ipv6:[2001:db8::{number:x}]:1")
    assert len(locks._tries) == 1024


@pytest.mark.parametrize("header", ["right-right-right", "bearer right-right-right", "BEARER right-right-right"])
def test_the_scheme_is_read_as_http_reads_it(header: str):
    """Its case is nobody's business (RFC 9110, 11.1); without it there is no token."""
    locks, _ = access()
    if header.startswith("right"):
        with pytest.raises(Problem):
            locks.caller({"authorization": header}, "ipv4:10.0.0.1:1", None)
    else:
        assert locks.caller({"authorization": header}, "ipv4:10.0.0.1:1", None).role is Role.OPERATE
