"""Statistics and metrics on arrays: what the numbers of a run are and how sure they are."""

from causal_scrubbing._measure import metrics as metrics
from causal_scrubbing._measure._compare import RunComparison as RunComparison
from causal_scrubbing._measure._compare import benjamini_hochberg as benjamini_hochberg
from causal_scrubbing._measure._compare import compare_runs as compare_runs
from causal_scrubbing._measure._compare import holm as holm
from causal_scrubbing._measure._distributions import (
    DistributionComparison as DistributionComparison,
)
from causal_scrubbing._measure._distributions import TwoSampleTest as TwoSampleTest
from causal_scrubbing._measure._distributions import compare_distributions as compare_distributions
from causal_scrubbing._measure._estimate import Estimate as Estimate
from causal_scrubbing._measure._functions import FunctionComparison as FunctionComparison
from causal_scrubbing._measure._functions import Measure as Measure
from causal_scrubbing._measure._functions import WorstInput as WorstInput
from causal_scrubbing._measure._functions import compare_functions as compare_functions
from causal_scrubbing._measure._outputs import compare_all as compare_all
from causal_scrubbing._measure._outputs import output_measures as output_measures
from causal_scrubbing._measure._own_rows import own_row_samples as own_row_samples
from causal_scrubbing._measure._scores import Components as Components
from causal_scrubbing._measure._scores import Scores as Scores
from causal_scrubbing._measure._scores import Triples as Triples
from causal_scrubbing._measure._spread import VarianceSplit as VarianceSplit
from causal_scrubbing._measure._spread import WorstCases as WorstCases
from causal_scrubbing._measure._spread import split_variance as split_variance
from causal_scrubbing._measure._spread import worst_cases as worst_cases
from causal_scrubbing._measure._values import as_values as as_values
