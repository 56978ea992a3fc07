"""`python -m verifiers.judge --listen 127.0.0.1:7103 --endpoint http://127.0.0.1:8000/v1 --model NAME`."""

import sys

from verifiers import base, judge

try:
    settings, others = judge.parse(sys.argv[1:])
except judge.BadSettings as mistake:
    sys.stderr.write(f"{mistake}\n")
    sys.exit(64)
base.main(judge.DESCRIPTION, judge.Judge(settings), others)
