"""Sampling: a treeified hypothesis, a dataset and a seed, to the rows drawn."""

from causal_scrubbing._sampling.sampler import Draw as Draw
from causal_scrubbing._sampling.sampler import Sampler as Sampler
from causal_scrubbing._sampling.sobol import SCRAMBLING as SCRAMBLING
from causal_scrubbing._sampling.sobol import SCRAMBLINGS as SCRAMBLINGS
from causal_scrubbing._sampling.sobol import Sobol as Sobol
from causal_scrubbing._sampling.sources import DRAWS as DRAWS
from causal_scrubbing._sampling.sources import Source as Source
from causal_scrubbing._sampling.sources import make_source as make_source
from causal_scrubbing._sampling.streams import uniforms as uniforms
