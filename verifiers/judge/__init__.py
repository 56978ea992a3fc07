"""A language model as a verifier, behind any endpoint that speaks the OpenAI chat wire.

settings     where the model is and what it may take      prompt   what it is told
client       one question over HTTP                       answer   its text, read strictly
prices       what it cost                                 judgement   one judgement from start to end
"""

from __future__ import annotations

from verifiers.base import Description
from verifiers.judge.judgement import Judge
from verifiers.judge.settings import BadSettings, Settings, parse

DESCRIPTION = Description(
    name="judge",
    version="1",
    sees=("Whether an answer meets a rubric in plain words, as far as the model behind it can tell.",),
    blind_to=(
        "Facts that neither the evidence nor the rubric holds: it has no search and no sources of its own.",
        "Exact figures: sums, dates and counts are for the verifiers that compute them.",
        "Its own mistakes: a model can be wrong with confidence.",
        "Evidence written to steer it: fences and a token make that harder, not impossible.",
    ),
    family="llm",
    non_deterministic=True,
)

__all__ = ["DESCRIPTION", "BadSettings", "Judge", "Settings", "parse"]
