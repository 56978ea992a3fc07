"""Stubs generated from proto/sidecar/v1; never edited by hand (`make proto`)."""
