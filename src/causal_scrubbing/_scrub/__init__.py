"""The verb: hypothesis and data to a `Result`; save, load, compare."""

from causal_scrubbing._scrub.behaviour import Metric as Metric
from causal_scrubbing._scrub.compare import Comparison as Comparison
from causal_scrubbing._scrub.compare import compare as compare
from causal_scrubbing._scrub.exact import exact_scrub as exact_scrub
from causal_scrubbing._scrub.exact_result import ExactResult as ExactResult
from causal_scrubbing._scrub.explain import explain as explain
from causal_scrubbing._scrub.result import Result as Result
from causal_scrubbing._scrub.run import scrub as scrub
from causal_scrubbing._scrub.save import load as load
