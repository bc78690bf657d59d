"""Zero, mean and resample ablation of nodes, as comparisons for causal scrubbing."""

from causal_scrubbing._ablate.ablate import ablate as ablate
from causal_scrubbing._ablate.result import Ablation as Ablation
