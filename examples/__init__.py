"""Examples: real agents, and what a sidecar needs to stand beside them."""
