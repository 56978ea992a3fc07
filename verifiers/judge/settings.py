"""What the operator says about the model: where it is, which it is, how long and how much it may take."""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn
from urllib.parse import urlsplit

from verifiers.judge.prices import BadPrices, Price, read_prices

_NO_PRICES: Mapping[str, Price] = MappingProxyType({})


class BadSettings(Exception):
    """A mistake of the operator's; the message says which."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that one judge needs to know."""

    endpoint: str
    """Base address of an OpenAI-compatible API, with its version: `http://127.0.0.1:8000/v1`."""
    model: str
    api_key: str = field(default="", repr=False)
    """Empty where the endpoint asks for none. Never taken from the command line, which every process can read."""
    rubric: str = ""
    """Used where a spec brings none of its own."""
    timeout_ms: int = 20_000
    """For one judgement as a whole, with all its attempts and waits."""
    max_answer_tokens: int = 700
    max_evidence_chars: int = 48_000
    """Both documents together. What is longer is inconclusive: a judge that reads half of it would guess."""
    is_json_mode: bool = True
    """Asks for `response_format: json_object`; some servers do not know it."""
    prices: Mapping[str, Price] = field(default_factory=lambda: _NO_PRICES)


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> tuple[Settings, list[str]]:
    """The settings, and the arguments that are not ours and so the server's. Raises `BadSettings`."""
    options, others = _parser().parse_known_args(arguments)
    try:
        settings = Settings(
            endpoint=options.endpoint.rstrip("/"),
            model=options.model,
            api_key=_key(options.api_key_file, environment.get(options.api_key_env, "")),
            rubric=options.rubric.read_text("utf-8") if options.rubric else "",
            timeout_ms=options.timeout_ms,
            max_answer_tokens=options.max_answer_tokens,
            max_evidence_chars=options.max_evidence_chars,
            is_json_mode=not options.no_json_mode,
            prices=read_prices(options.prices.read_text("utf-8")) if options.prices else _NO_PRICES,
        )
    except (OSError, UnicodeDecodeError, BadPrices) as error:
        raise BadSettings(str(error)) from error
    _refuse_open_wire(settings)
    return settings, others


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadSettings(message)


def _parser() -> argparse.ArgumentParser:
    rest = "Whatever else is given is for the server: --listen and the other options that all verifiers have."
    parser = _Parser("python -m verifiers.judge", allow_abbrev=False, epilog=rest)
    parser.add_argument("--endpoint", required=True, help="base address of an OpenAI-compatible API, with its version")
    parser.add_argument("--model", required=True)
    parser.add_argument("--api-key-file", type=Path, help="holds the key and nothing else")
    parser.add_argument("--api-key-env", default="JUDGE_API_KEY", help="name of the variable that holds the key")
    parser.add_argument("--rubric", type=Path, help="file; for specs that bring none")
    parser.add_argument("--prices", type=Path, help="file; US dollars for a million tokens, by model")
    parser.add_argument("--timeout-ms", type=_positive, default=20_000)
    parser.add_argument("--max-answer-tokens", type=_positive, default=700)
    parser.add_argument("--max-evidence-chars", type=_positive, default=48_000)
    parser.add_argument("--no-json-mode", action="store_true")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _key(file: Path | None, from_environment: str) -> str:
    return (file.read_text("utf-8") if file else from_environment).strip()


def _refuse_open_wire(settings: Settings) -> None:
    """A key must not cross a network in the clear, and an address that names no host is a slip."""
    address = urlsplit(settings.endpoint)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise BadSettings("--endpoint must be an http or https address with a host, such as http://127.0.0.1:8000/v1")
    if settings.api_key and address.scheme == "http" and not _is_loopback(address.hostname):
        raise BadSettings("an API key is only sent over https or to this machine; --endpoint is neither")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
