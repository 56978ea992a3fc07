"""Reading: a file, its text or a command line becomes the tree, or one ConfigError with every mistake in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sidecar.config.environment import with_environment
from sidecar.config.mistakes import said_of
from sidecar.config.tree import Config
from sidecar.errors import ConfigError, Mistake
from sidecar.yaml_source import Keys, Source, read, read_text


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read a configuration file. ConfigError with every mistake in it."""
    return parse(read_text(path), name=path.name, base=path.absolute().parent, environ=environ)


def parse(text: str, *, name: str, base: Path, environ: Mapping[str, str]) -> Config:
    """Read a configuration's text. Relative paths start at `base`. ConfigError with every mistake in it."""
    return validated(read(text, name=name, environ=environ), base, environ)


def from_flags(
    *,
    agent: str,
    listen: str,
    upstream: str,
    specs: Sequence[str] = (),
    descriptors: Sequence[str] = (),
    mode: str | None = None,
    metrics: str | None = None,
    environ: Mapping[str, str],
    base: Path | None = None,
) -> Config:
    """One agent and no file. Mistakes name the flag; relative paths start at `base`, else where the command runs."""
    said = {"agent": agent, "mode": mode, "specs": list(specs), "descriptors": list(descriptors)}
    route = {"listen": listen, "upstream": upstream}
    data: dict[str, Any] = {"routes": [route], **{key: value for key, value in said.items() if value}}
    origins: dict[Keys, str] = {(key,): f"--{key}" for key in said} | {("routes", 0, key): f"--{key}" for key in route}
    if metrics is not None:
        data["metrics"] = {"listen": metrics}
        origins["metrics", "listen"] = "--metrics"
    source = Source("command line", data, origins=origins)
    return validated(source, base or Path.cwd(), environ)


def validated(source: Source, base: Path, environ: Mapping[str, str]) -> Config:
    """The tree, or ConfigError with the mistakes of the text and of the values together, in the order of the file."""
    source = with_environment(source, environ)
    mistakes = dict(source.mistakes)
    config = None
    try:
        config = Config.model_validate(source.data, context=base)
    except ValidationError as error:
        for keys, found, allowed in said_of(error, source):
            if not any(keys[: len(broken)] == broken for broken in source.mistakes):
                mistakes.setdefault(keys, Mistake(source.where(keys), found, allowed))
    if config is None or mistakes:
        raise ConfigError([mistakes[keys] for keys in sorted(mistakes, key=lambda keys: source.line(keys))])
    return config
