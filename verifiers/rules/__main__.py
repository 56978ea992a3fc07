"""`python -m verifiers.rules --listen 127.0.0.1:7102`."""

from verifiers import base, rules

base.main(rules.DESCRIPTION, rules.judge)
