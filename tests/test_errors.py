"""The error tree and its one table."""

from __future__ import annotations

import grpc
import pytest

from sidecar import errors
from sidecar.errors import REPLIES, ConfigError, Mistake, Reason, Retry, SidecarError


def tree(root: type) -> set[type]:
    return {root}.union(*(tree(child) for child in root.__subclasses__()))


def test_every_error_of_the_module_hangs_on_the_tree():
    """An exception beside the tree would be nobody's fault."""
    defined = {thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)}
    assert defined == tree(SidecarError)


def test_the_drawing_at_the_top_names_every_error():
    """A reader trusts the drawing, so it must be whole."""
    assert all(error.__name__ in (errors.__doc__ or "") for error in tree(SidecarError))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_reply_with_a_real_status(reason: Reason):
    """A refusal without a row in the table could not be sent."""
    assert REPLIES[reason].code in grpc.StatusCode.__members__
    assert isinstance(REPLIES[reason].retry, Retry)


def test_a_config_error_says_every_mistake():
    """All at once, so that all can be mended at once."""
    error = ConfigError(
        [Mistake("a.yaml:1 agent", "nothing", "a name"), Mistake("a.yaml:2 mode", "'on'", "observe or enforce")]
    )
    assert str(error).splitlines() == [
        "a.yaml:1 agent: found nothing; allowed: a name",
        "a.yaml:2 mode: found 'on'; allowed: observe or enforce",
    ]
