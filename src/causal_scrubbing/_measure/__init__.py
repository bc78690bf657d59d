"""Statistics and metrics on arrays: what the numbers of a run are and how sure they are."""

from causal_scrubbing._measure import metrics as metrics
from causal_scrubbing._measure._estimate import Estimate as Estimate
from causal_scrubbing._measure._scores import Scores as Scores
from causal_scrubbing._measure._scores import Triples as Triples
