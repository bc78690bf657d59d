"""Causal scrubbing for PyTorch: state a hypothesis, scrub it, read the answer."""
