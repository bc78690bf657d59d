"""Executors for `scrub(..., executor=...)`.

Samples are independent, and every draw is a function of the seed and the sample's number alone. So
a run is cut into blocks of samples, and where a block is computed does not change the answer.

Any object with the method of `Executor` will do: it gets the work as bytes, and blocks to compute.
"""

from causal_scrubbing._executors.processes import Processes as Processes
from causal_scrubbing._executors.protocol import Executor as Executor
from causal_scrubbing._executors.protocol import Workers as Workers
from causal_scrubbing._executors.ray import Ray as Ray
