"""Exact distributions and entropies on small finite data, without sampling."""

from causal_scrubbing._exact.budget import BUDGET as BUDGET
from causal_scrubbing._exact.budget import Meter as Meter
from causal_scrubbing._exact.evaluate import VALUE as VALUE
from causal_scrubbing._exact.evaluate import Evaluator as Evaluator
from causal_scrubbing._exact.law import OWN as OWN
from causal_scrubbing._exact.law import Law as Law
