"""`python -m dashboards`: write every generated file: the boards, and the two pages of names."""

from __future__ import annotations

import json
from pathlib import Path

from dashboards import agent, fleet, loops_and_cost, metrics_page, sidecar, verification, vocabulary
from dashboards.parts import build

ROOT = Path(__file__).parent.parent
BOARDS = tuple(module.BOARD for module in (fleet, agent, verification, loops_and_cost, sidecar))


def files() -> dict[Path, str]:
    """Each generated file, by its path, with what it should say."""
    boards = {ROOT / "dashboards" / "boards" / f"{board.name}.json": text(build(board)) for board in BOARDS}
    return boards | {
        ROOT / "docs" / "metrics.md": metrics_page.page(),
        ROOT / "docs" / "telemetry.md": vocabulary.page(),
    }


def text(board: dict[str, object]) -> str:
    return json.dumps(board, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
