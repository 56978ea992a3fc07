"""Checks: one behaviour a file. Each says what it found; none decides."""
