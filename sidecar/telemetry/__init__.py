"""Reporters: spans, metrics and log lines made from what the engine saw. They watch and can never fail a call."""
