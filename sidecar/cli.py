"""The command line. Exit codes: 0 as asked, 1 not as claimed, 64 a mistake of the operator's."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import click

from sidecar import __version__, config
from sidecar.app import App
from sidecar.commands.journal import journal
from sidecar.commands.prices import prices
from sidecar.commands.replay import replay
from sidecar.commands.spec import spec
from sidecar.commands.verifier import verifier
from sidecar.config import Config
from sidecar.errors import EX_USAGE, ConfigError
from sidecar.journaling import redactor_of
from sidecar.operator.commands import COMMANDS
from sidecar.prices import PriceSource
from sidecar.spec_files import SpecSource
from sidecar.telemetry.logs import setup_logging

LABEL_WIDTH = 12

RunLoop = Callable[[Coroutine[Any, Any, None]], None]


def event_loop() -> RunLoop:
    """uvloop where it exists: 5 to 13 % less CPU per call."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    run_on_uvloop: RunLoop = uvloop.run
    return run_on_uvloop


class Group(click.Group):
    """click's own exit code for a wrong command line is 2; ours is 64, as for every mistake of the operator's."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.UsageError as error:
            error.show()
            sys.exit(EX_USAGE)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(130)
        except ConfigError as error:
            refuse(error)
        sys.exit(code if isinstance(code, int) else 0)  # what a command gave to `Context.exit`


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sidecar")
def main() -> None:
    """Stand beside an agent: pass every gRPC message on, trace it, check it, count it."""


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """A file, or one agent by flags."""
    options = [
        click.option("-c", "--config", "file", type=click.Path(path_type=Path), help="Configuration file (YAML)."),
        click.option("--agent", help="Without a file: the agent this sidecar stands beside."),
        click.option("--listen", help="Without a file: where callers connect, as :50051 or unix:/path."),
        click.option("--upstream", help="Without a file: where the agent listens."),
        click.option("--specs", multiple=True, help="Without a file: spec file or folder; may be repeated."),
        click.option("--descriptors", multiple=True, help="Without a file: module, .binpb file or `reflection`."),
        click.option("--mode", type=click.Choice(["observe", "enforce"]), help="Without a file: default observe."),
        click.option("--metrics", help="Without a file: where /metrics is served; default 127.0.0.1:9464."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@config_options
def run(**options: Any) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain."""
    tree = read_config(**options)
    logging = setup_logging(tree.log.level, tree.log.format, redactor=redactor_of(tree))
    try:
        event_loop()(serve(tree))
    finally:
        logging.stop()


@main.command()
@config_options
def check(**options: Any) -> None:
    """Read configuration and specs, say every mistake at once, and describe what would run."""
    tree = read_config(**options)
    specs = SpecSource(tree.specs, verifiers=[verifier.name for verifier in tree.verifiers])
    PriceSource(tree.prices.file)
    for line in [*tree.describe(), *specs.describe()]:
        click.echo(line)
    click.echo("ok")


@main.command()
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, to be poked at.")
def demo(keep: bool) -> None:
    """Play the main job with four real agents, each behind a sidecar, and show what happened."""
    from sidecar.demo import run as play  # the demo's packages are an extra

    sys.exit(play(keep=keep))


main.add_command(journal)
for operators in COMMANDS:
    main.add_command(operators)
main.add_command(prices)
main.add_command(replay)
main.add_command(spec)
main.add_command(verifier)


def read_config(
    *,
    file: Path | None,
    agent: str | None,
    listen: str | None,
    upstream: str | None,
    specs: tuple[str, ...],
    descriptors: tuple[str, ...],
    mode: str | None,
    metrics: str | None,
) -> Config:
    """From the file or from the flags, never half of each."""
    flags = {"--agent": agent, "--listen": listen, "--upstream": upstream, "--mode": mode, "--metrics": metrics}
    said = (
        [name for name, value in flags.items() if value]
        + ["--specs"] * bool(specs)
        + ["--descriptors"] * bool(descriptors)
    )
    if file is not None:
        if said:
            raise click.UsageError(f"{', '.join(said)} cannot be used together with --config: write it into the file")
        return config.load(file, os.environ)
    if not (agent and listen and upstream):
        raise click.UsageError("say -c FILE, or all of --agent, --listen and --upstream")
    return config.from_flags(
        agent=agent,
        listen=listen,
        upstream=upstream,
        specs=specs,
        descriptors=descriptors,
        mode=mode,
        metrics=metrics,
        environ=os.environ,
    )


async def serve(tree: Config) -> None:
    app = App(tree, environ=os.environ)
    await app.start()
    say_what_runs(app)
    await told_to_stop()
    click.echo(f"draining    open calls may finish within {tree.drain.timeout_s:g} s")
    await app.drain()
    click.echo("stopped")


def say_what_runs(app: App) -> None:
    click.echo(f"agent sidecar {__version__}")
    for line in [*app.config.describe(), *app.describe_specs()]:
        click.echo(line)
    for served in app.routes:
        say("listening", f"{served.config.name} on {served.listener.address}")
    if app.metrics_address:
        say("serving", f"http://{app.metrics_address}/metrics")
    if app.admin_address:
        say("serving", f"admin on {app.admin_address}")
    click.echo("ready")


def say(label: str, text: str) -> None:
    click.echo(f"{label:<{LABEL_WIDTH}}{text}")


async def told_to_stop() -> None:
    """Until the first SIGTERM or Ctrl-C. A second one ends the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    await stop.wait()


def refuse(error: ConfigError) -> NoReturn:
    count = len(error.mistakes)
    click.echo(f"{count} mistake{'s' if count != 1 else ''}:", err=True)
    for mistake in error.mistakes:
        click.echo(f"  {mistake.where}\n    found    {mistake.found}\n    allowed  {mistake.allowed}", err=True)
    sys.exit(EX_USAGE)
