from verifiers.arithmetic import DESCRIPTION, judge
from verifiers.base import main

main(DESCRIPTION, judge)
