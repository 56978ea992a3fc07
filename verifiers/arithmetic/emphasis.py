"""Text without the marks of bold and italics, which stand between a figure and its unit: `**40** g` is 40 g."""

from __future__ import annotations

import re

_MARKED = re.compile(
    r"(?<![*\\])(?P<stars>\*{1,3})(?=[^\s*])(?P<starred>[^*\n]{1,200})(?<=\S)(?P=stars)(?!\*)"
    r"|(?<![\w\\])(?P<lines>_{1,2})(?=[^\s_])(?P<lined>[^_\n]{1,200})(?<=\S)(?P=lines)(?!\w)"
)


def plain(text: str) -> str:
    return _MARKED.sub(lambda found: found["starred"] or found["lined"], text) if "*" in text or "_" in text else text
