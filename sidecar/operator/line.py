"""The line to a running sidecar: address, credentials, one deadline, and errors in a person's words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from sidecar import config
from sidecar.operator.words import DAY_S, plain
from sidecar.units import BadValue, parse_address, parse_duration
from sidecar.v1.admin_pb2_grpc import AdminStub

DEFAULT_ADDRESS = "127.0.0.1:9465"
ADDRESS_VARIABLE = "SIDECAR_ADMIN"
TOKEN_VARIABLE = "SIDECAR_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE_VARIABLE = "SIDECAR_ADMIN_TOKEN_FILE"  # noqa: S105 - the name of a variable

ANSWER_WITHIN_S = 10.0

ANSWER_BYTES = 64 << 20
"""Largest answer that is read: a conversation with all that was found in it."""

PAGE_SIZE = 500
LIST_MAX = 10_000
"""Entries of one list that are fetched at most; more would fill no terminal."""

EX_UNAVAILABLE, EX_NOT_ALLOWED = 69, 77
"""Exit codes (BSD sysexits): not reached, not permitted. What the sidecar refuses otherwise is 1."""

Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the admin service is, and what we show it."""

    address: str
    token: str | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None
    timeout_s: float = ANSWER_WITHIN_S

    @property
    def is_secured(self) -> bool:
        return any((self.ca, self.cert, self.server_name))


class Line:
    """One open connection. Calls raise `Refused` or `NotReached`, which click shows."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._channel = open_channel(place)
        self.stub: Any = AdminStub(self._channel)  # type: ignore[no-untyped-call]

    def call(self, method: Callable[..., Answer], request: Message) -> Answer:
        """One answer within the deadline."""
        try:
            return method(request, timeout=self.place.timeout_s, metadata=self._credentials)
        except grpc.RpcError as error:
            raise told(error, self.place) from error

    def stream(self, method: Callable[..., Any], request: Message) -> Iterator[Any]:
        """Answers until the sidecar or the person ends it."""
        try:
            yield from method(request, metadata=self._credentials)
        except grpc.RpcError as error:
            raise told(error, self.place) from error

    def listed(self, method: Callable[..., Any], request: Any, field: str) -> Any:
        """A list that comes in pages, as one answer: whole, or with its first LIST_MAX entries and a token for more."""
        request.page_size = PAGE_SIZE
        whole = self.call(method, request)
        while whole.next_page_token and len(getattr(whole, field)) < LIST_MAX:
            request.page_token = whole.next_page_token
            answer = self.call(method, request)
            getattr(whole, field).extend(getattr(answer, field))
            whole.next_page_token = answer.next_page_token
        return whole

    def close(self) -> None:
        self._channel.close()

    @property
    def _credentials(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.place.token}"),) if self.place.token else ()


class NotReached(click.ClickException):
    """Nobody answered, or not in time."""

    exit_code = EX_UNAVAILABLE


class Refused(click.ClickException):
    """The sidecar said no."""


class NotAllowed(Refused):
    """It does not know us, or we may not."""

    exit_code = EX_NOT_ALLOWED


def told(error: grpc.RpcError, place: Place) -> click.ClickException:
    """What went wrong and what to do about it."""
    code, details = error.code(), plain(error.details() or "")
    if code is grpc.StatusCode.UNAVAILABLE and not reasons_of(error):
        return NotReached(
            f"no sidecar answers at {place.address}: {details}\n"
            f"Say where it is with --address or {ADDRESS_VARIABLE}; it is the address in `admin.listen`."
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and not reasons_of(error):
        return NotReached(f"{place.address} did not answer within {place.timeout_s:g} s; --timeout allows more")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Refused(f"{place.address} is no admin service that knows this: {details}")
    kind, advice = KINDS.get(code, Refused), ADVICE.get(code, "")
    fields = "".join(f"\n  {plain(each.field)}: {plain(each.description)}" for each in violations_of(error))
    return kind(f"{details or code.name}{fields}{advice}")


KINDS: dict[grpc.StatusCode, type[click.ClickException]] = {
    grpc.StatusCode.UNAVAILABLE: NotReached,
    grpc.StatusCode.DEADLINE_EXCEEDED: NotReached,
    grpc.StatusCode.UNAUTHENTICATED: NotAllowed,
    grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
}
ADVICE = {
    grpc.StatusCode.UNAUTHENTICATED: f"\nPut the token into {TOKEN_VARIABLE}, or its file's name into --token-file.",
    grpc.StatusCode.PERMISSION_DENIED: (
        f"\nChanges need the role `operate`: the token in {TOKEN_VARIABLE} or --token-file, a client certificate"
        " (--cert, --key), or the unix socket of the sidecar."
    ),
}


def details_of(error: grpc.RpcError) -> list[Any]:
    """The `Any` messages in grpc-status-details-bin."""
    trailers = dict(error.trailing_metadata() or ())
    raw = trailers.get("grpc-status-details-bin")
    if not isinstance(raw, bytes):
        return []
    try:
        return list(status_pb2.Status.FromString(raw).details)
    except Exception:
        return []  # whatever it is, the status itself says enough


def reasons_of(error: grpc.RpcError) -> list[str]:
    found = []
    for detail in details_of(error):
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            found.append(info.reason)
    return found


def violations_of(error: grpc.RpcError) -> list[Any]:
    found: list[Any] = []
    for detail in details_of(error):
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            found.extend(bad.field_violations)
    return found


def open_channel(place: Place) -> grpc.Channel:
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", ANSWER_BYTES),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
    ]
    if not place.is_secured:
        return grpc.insecure_channel(place.address, options=options)
    if place.server_name:
        options.append(("grpc.ssl_target_name_override", place.server_name))
    read = [path.read_bytes() if path else None for path in (place.ca, place.key, place.cert)]
    return grpc.secure_channel(place.address, grpc.ssl_channel_credentials(*read), options=options)


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


WIRED = ("address", "file", "token_file", "ca", "cert", "key", "server_name", "timeout")
"""The options that say which sidecar, and what it is shown."""


def on_a_line(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which sidecar; the command is given an open `Line` first."""
    options = [
        click.option(
            "--address",
            envvar=ADDRESS_VARIABLE,
            show_envvar=True,
            help=f"The sidecar's `admin.listen`: host:port or unix:/path. Default {DEFAULT_ADDRESS}, or what -c says.",
        ),
        click.option(
            "-c", "--config", "file", type=click.Path(path_type=Path), help="Take the address from this file."
        ),
        click.option(
            "--token-file",
            type=FILE,
            envvar=TOKEN_FILE_VARIABLE,
            show_envvar=True,
            help=f"A file with the token; {TOKEN_VARIABLE} holds the token itself.",
        ),
        click.option("--ca", type=FILE, help="Authorities of the sidecar's certificate, PEM. Turns TLS on."),
        click.option("--cert", type=FILE, help="Our client certificate, PEM; goes with --key."),
        click.option("--key", type=FILE, help="Its key, PEM."),
        click.option("--server-name", help="The name that the sidecar's certificate bears, where it is another."),
        click.option("--timeout", help="Longest time that an answer may take: 500ms, 30s. Default 10s."),
    ]

    @wraps(command)
    def run(**said: Any) -> None:
        """Options may stand before or after the second word of a command; the nearer one counts."""
        context = click.get_current_context()
        above = context.obj if isinstance(context.obj, dict) else {}
        context.obj = {name: value or above.get(name) for name, value in said.items()}
        if context.invoked_subcommand is not None:
            return
        wired = {name: context.obj[name] for name in WIRED}
        rest = {name: value for name, value in said.items() if name not in WIRED}
        if "as_json" in rest:
            rest["as_json"] = bool(context.obj["as_json"])
        with opened(place_of(**wired)) as line:
            command(line, **rest)

    decorated: Callable[..., None] = run
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def place_of(
    *,
    address: str | None,
    file: Path | None,
    token_file: Path | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    server_name: str | None,
    timeout: str | None,
) -> Place:
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key go together")
    timeout_s = seconds_of("--timeout", timeout) if timeout else ANSWER_WITHIN_S
    return Place(address_of(address, file), token_of(token_file), ca, cert, key, server_name, timeout_s)


@contextmanager
def opened(place: Place) -> Iterator[Line]:
    line = Line(place)
    try:
        yield line
    finally:
        line.close()


def address_of(said: str | None, file: Path | None) -> str:
    if said is None and file is not None:
        admin = config.load(file, os.environ).admin
        if admin is None:
            raise click.UsageError(f"{file} turns the admin service off (admin: false)")
        said = str(admin.listen)
    try:
        return parse_address(said or DEFAULT_ADDRESS, default_host="127.0.0.1", base=Path.cwd()).target
    except BadValue as error:
        raise click.UsageError(f"--address: found {said!r}; allowed: {error.allowed}") from error


def token_of(file: Path | None) -> str | None:
    """From the file, else from the environment; never from the command line, which every process can read."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    token = file.read_text(errors="replace").strip()
    if not token or not token.isprintable() or not token.isascii():
        raise click.UsageError(f"--token-file: {file} holds no token: one line of printable ASCII")
    return token


def seconds_of(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except BadValue as error:
        raise click.UsageError(f"{option}: found {text!r}; allowed: {error.allowed}") from error
    if not 0 < seconds <= 30 * DAY_S:
        raise click.UsageError(f"{option}: found {text!r}; allowed: 1ms to 30d")
    return seconds


def refuse(message: str) -> NoReturn:
    raise click.UsageError(message)
