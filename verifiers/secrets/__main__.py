from verifiers.base import main
from verifiers.secrets import DESCRIPTION, judge

main(DESCRIPTION, judge)
