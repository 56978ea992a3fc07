"""Commands of the command line, one group a file; `cli` puts them under `sidecar`."""
