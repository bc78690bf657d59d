"""Interchange: swaps in the model held against swaps in the interpretation."""

from causal_scrubbing._interchange.interchange import Exchanged as Exchanged
from causal_scrubbing._interchange.interchange import Interchange as Interchange
from causal_scrubbing._interchange.interchange import draw_pairs as draw_pairs
from causal_scrubbing._interchange.interchange import interchange as interchange
