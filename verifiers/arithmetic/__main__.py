from verifiers.base import main

from verifiers.arithmetic import DESCRIPTION, judge

main(DESCRIPTION, judge)
