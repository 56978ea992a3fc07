"""Stores: shared state behind the engine's state ports. One package is one place, one module in it one domain.

Each domain has one contract suite that holds for all places (`tests/stores`).
"""
