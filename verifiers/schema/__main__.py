"""`python -m verifiers.schema --listen 127.0.0.1:7101`."""

from verifiers import base, schema

base.main(schema.DESCRIPTION, schema.judge)
