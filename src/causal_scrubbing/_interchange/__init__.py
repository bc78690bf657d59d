"""Interchange: swaps in the model held against swaps in the interpretation."""

from causal_scrubbing._interchange.interchange import Exchanged as Exchanged
from causal_scrubbing._interchange.interchange import Interchange as Interchange
from causal_scrubbing._interchange.interchange import _draw as _draw
from causal_scrubbing._interchange.interchange import interchange as interchange
