"""Exact distributions and entropies on small finite data, without sampling."""

from causal_scrubbing._exact import theory as theory
from causal_scrubbing._exact.ahead import fewest as fewest
from causal_scrubbing._exact.ahead import look_ahead as look_ahead
from causal_scrubbing._exact.budget import BUDGET as BUDGET
from causal_scrubbing._exact.budget import Meter as Meter
from causal_scrubbing._exact.distribution import OWN as OWN
from causal_scrubbing._exact.distribution import Distribution as Distribution
from causal_scrubbing._exact.distribution import refine as refine
from causal_scrubbing._exact.distribution import weigh as weigh
from causal_scrubbing._exact.entropy import Entropy as Entropy
from causal_scrubbing._exact.entropy import entropy as entropy
from causal_scrubbing._exact.entropy import joint as joint
from causal_scrubbing._exact.evaluate import VALUE as VALUE
from causal_scrubbing._exact.evaluate import Evaluator as Evaluator
from causal_scrubbing._exact.joint import Joint as Joint
from causal_scrubbing._exact.joint import cut_draws as cut_draws
