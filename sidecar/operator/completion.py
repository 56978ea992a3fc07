"""`sidecar completion`: what a shell needs to complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

PLACES = {
    "bash": 'eval "$(sidecar completion bash)"     in ~/.bashrc',
    "zsh": 'eval "$(sidecar completion zsh)"      in ~/.zshrc',
    "fish": "sidecar completion fish | source      in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(PLACES.values()))
@click.argument("shell", type=click.Choice(list(PLACES)))
def completion(shell: str) -> None:
    """Print what a shell needs to complete our commands."""
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    click.echo(found(root, {}, "sidecar", "_SIDECAR_COMPLETE").source())
