"""Positions: recompute those that a swap changes and an output reads, read the rest clean."""

from causal_scrubbing._positions.check import difference as difference
from causal_scrubbing._positions.rewrite import Narrowing as Narrowing
from causal_scrubbing._positions.rewrite import narrow as narrow
