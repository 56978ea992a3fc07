"""Data that tests and benches read, and the programs that prepare it."""
