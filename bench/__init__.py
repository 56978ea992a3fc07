"""Speed and memory, measured next to the neighbours in one run. Never part of the tests."""
