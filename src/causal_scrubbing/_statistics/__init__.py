"""Estimates, intervals and tests on arrays alone."""

from causal_scrubbing._statistics.compare import RunComparison as RunComparison
from causal_scrubbing._statistics.compare import benjamini_hochberg as benjamini_hochberg
from causal_scrubbing._statistics.compare import compare_runs as compare_runs
from causal_scrubbing._statistics.compare import holm as holm
from causal_scrubbing._statistics.design import Strata as Strata
from causal_scrubbing._statistics.distributions import (
    DistributionComparison as DistributionComparison,
)
from causal_scrubbing._statistics.distributions import TwoSampleTest as TwoSampleTest
from causal_scrubbing._statistics.distributions import (
    compare_distributions as compare_distributions,
)
from causal_scrubbing._statistics.estimate import Estimate as Estimate
from causal_scrubbing._statistics.functions import RANDOM_ROW as RANDOM_ROW
from causal_scrubbing._statistics.functions import FunctionComparison as FunctionComparison
from causal_scrubbing._statistics.functions import Measure as Measure
from causal_scrubbing._statistics.functions import WorstInput as WorstInput
from causal_scrubbing._statistics.functions import compare_functions as compare_functions
from causal_scrubbing._statistics.intervals import bca_interval as bca_interval
from causal_scrubbing._statistics.intervals import quantile_interval as quantile_interval
from causal_scrubbing._statistics.known import KnownMeans as KnownMeans
from causal_scrubbing._statistics.movement import MovementCosts as MovementCosts
from causal_scrubbing._statistics.movement import movement_costs as movement_costs
from causal_scrubbing._statistics.of_means import OfMeans as OfMeans
from causal_scrubbing._statistics.of_means import along_last as along_last
from causal_scrubbing._statistics.own_rows import own_row_samples as own_row_samples
from causal_scrubbing._statistics.permute import swap_test_of_mean as swap_test_of_mean
from causal_scrubbing._statistics.ranking import ranked as ranked
from causal_scrubbing._statistics.resample import BLOCKS as BLOCKS
from causal_scrubbing._statistics.resample import Group as Group
from causal_scrubbing._statistics.resample import jackknife as jackknife
from causal_scrubbing._statistics.resample import resampled_means as resampled_means
from causal_scrubbing._statistics.scores import KINDS as KINDS
from causal_scrubbing._statistics.scores import NO_BASELINE as NO_BASELINE
from causal_scrubbing._statistics.scores import Scores as Scores
from causal_scrubbing._statistics.spread import VarianceSplit as VarianceSplit
from causal_scrubbing._statistics.spread import WorstCases as WorstCases
from causal_scrubbing._statistics.spread import split_variance as split_variance
from causal_scrubbing._statistics.spread import worst_cases as worst_cases
from causal_scrubbing._statistics.table import mean_estimate as mean_estimate
from causal_scrubbing._statistics.table import ratio_estimate as ratio_estimate
from causal_scrubbing._statistics.tails import tail_notes as tail_notes
from causal_scrubbing._statistics.triples import Components as Components
from causal_scrubbing._statistics.triples import Triples as Triples
from causal_scrubbing._statistics.values import BoolArray as BoolArray
from causal_scrubbing._statistics.values import FloatArray as FloatArray
from causal_scrubbing._statistics.values import IntArray as IntArray
from causal_scrubbing._statistics.values import as_values as as_values
from causal_scrubbing._statistics.values import check_finite as check_finite
from causal_scrubbing._statistics.vectors import Distance as Distance
from causal_scrubbing._statistics.vectors import check_distance as check_distance
from causal_scrubbing._statistics.vectors import vector_distance as vector_distance
