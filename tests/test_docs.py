"""The docs: what they show loads, what they list is what there is, and their links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sidecar import config
from sidecar.errors import REPLIES
from sidecar.spec_files import SpecSource
from sidecar.telemetry.names import LABELS, METRICS
from sidecar.testing import running_sidecar

ROOT = Path(__file__).parent.parent
PLACES = ("*.md", "docs/*.md", "*/README.md", "*/*/README.md", "docs/runbooks/sidecar*.md")
PAGES = sorted(path for place in PLACES for path in ROOT.glob(place))
GUARDS = (ROOT / "docs" / "guards.md").read_text(encoding="utf-8")
SHIPPED = ("grounding", "arithmetic", "secrets", "schema", "rules", "judge")
ANY_SPEC = "spec: any/v1\nmatch: {}\n"
ANY_CONFIG = 'agent: writer\nroutes: [{listen: ":50051", upstream: ":50052"}]\n'


def blocks() -> Iterator[tuple[str, str]]:
    """Each block of YAML that is more than a comment, with the name of its page and its line."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"^```yaml\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
            if yaml.safe_load(found[1]) is not None:
                yield f"{path.name}:{text.count(chr(10), 0, found.start()) + 1}", found[1]


BLOCKS = dict(blocks())


@pytest.mark.parametrize("place", BLOCKS)
def test_what_a_page_shows_loads(tmp_path: Path, place: str):
    """Whoever copies a block, whole or into a file of their own, has one that works."""
    block = BLOCKS[place]
    keys = set(yaml.safe_load(block))
    is_config = "agent" in keys or bool(keys & set(config.Config.model_fields) - {"mode", "verifiers", "idempotency"})
    (load_config if is_config else load_spec)(tmp_path, block, is_whole=bool(keys & {"agent", "spec"}))


def load_config(folder: Path, block: str, *, is_whole: bool) -> None:
    (folder / "specs").symlink_to(ROOT / "specs")
    (folder / "my-specs").mkdir()
    (folder / "orders.yaml").write_text(ANY_SPEC)
    path = folder / "sidecar.yaml"
    path.write_text(block if is_whole else ANY_CONFIG + block)
    assert config.load(path, {}).describe()


def load_spec(folder: Path, block: str, *, is_whole: bool) -> None:
    path = folder / "spec.yaml"
    path.write_text(block if is_whole else ANY_SPEC + block)
    assert SpecSource([path], verifiers=SHIPPED).describe()


def test_every_reason_is_told_with_its_status():
    """A caller who meets one finds it in the table, and the table has no other."""
    rows = re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \|", GUARDS, flags=re.MULTILINE)
    assert rows == [(reason.value, reply.code) for reason, reply in REPLIES.items()]


async def test_the_checks_are_listed_in_the_order_in_which_they_are_asked():
    """The order decides what a caller is told, so it is documented as it is."""
    rows = re.findall(r"^\| \d+ \| \[`([a-z]+)`\]", GUARDS, flags=re.MULTILINE)
    async with running_sidecar("127.0.0.1:1") as sidecar:
        assert rows == [check.name for check in sidecar.app.line_up.checks]


def test_every_label_of_a_metric_is_explained():
    """A label that the page does not explain would be a riddle on a board."""
    assert {label for metric in METRICS for label in metric.labels} == set(LABELS)


def test_every_dependency_has_its_reason():
    """Whoever wonders why a package is installed finds it in the table; packages for tests alone are told below it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {name_of(each) for each in [*project["dependencies"], *extras["demo"], *extras["verifiers"]]}
    table = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("| package | why |")[2]
    cells = re.findall(r"^\| ([^|]+) \|", table, flags=re.MULTILINE)
    told = {name_of(each) for cell in cells for each in cell.split(", ")} - {"---"}
    assert told == needed


def name_of(requirement: str) -> str:
    """`a2a-sdk` of `a2a-sdk[grpc]>=1.3`, and of `a2a-sdk (extra)`."""
    return re.split(r"[\[ <>=;]", requirement, maxsplit=1)[0]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path):
    """To a file of this tree, and to a heading that it has."""
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8"))
    broken = [link for link in links if not leads_somewhere(path, link)]
    assert not broken


def leads_somewhere(path: Path, link: str) -> bool:
    file, _, heading = link.partition("#")
    target = (path.parent / file) if file else path
    return target.exists() and (not heading or heading in headings(target))


def headings(path: Path) -> set[str]:
    """As GitHub makes anchors of them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
