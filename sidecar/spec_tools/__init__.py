"""Tools for whoever writes specs: recorded traffic becomes a proposal or a test; two versions are compared.

- *recorded*: exchanges that somebody wrote down, as JSON, each message with its file and line.
- *replay*: recorded exchanges held to specs by the very check that runs in the proxy.
- *infer*: a first spec proposed from recorded exchanges; *proposal* writes it as YAML.
- *schemas*, *keywords*: what changed between two JSON Schemas, and whether that narrows or widens what is allowed.
- *compare*: what changed between two versions of a spec, and whom that breaks.
"""
