"""The verb: hypothesis and data to a `Result`; save, load, compare."""

from causal_scrubbing._scrub.exact import exact_scrub as exact_scrub
from causal_scrubbing._scrub.run import scrub as scrub
