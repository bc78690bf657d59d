"""The systems causal scrubbing is known for, each a gallery entry on the public face alone."""
