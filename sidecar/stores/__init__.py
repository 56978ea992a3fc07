"""Stores: shared state behind the engine's Store port. One contract suite holds for all."""
