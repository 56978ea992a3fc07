from verifiers import base
from verifiers.grounding import DESCRIPTION, judge

base.main(DESCRIPTION, judge)
