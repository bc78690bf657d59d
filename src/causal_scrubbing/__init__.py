"""Causal scrubbing for PyTorch: state a hypothesis, scrub it, read the answer."""

from causal_scrubbing._data import Dataset as Dataset
from causal_scrubbing._data import anything as anything
from causal_scrubbing._data import exact as exact
from causal_scrubbing._errors import CausalScrubbingError as CausalScrubbingError
from causal_scrubbing._errors import DataError as DataError
from causal_scrubbing._errors import GraphError as GraphError
from causal_scrubbing._errors import HypothesisError as HypothesisError
from causal_scrubbing._errors import MetricError as MetricError
from causal_scrubbing._errors import Notice as Notice
from causal_scrubbing._errors import ScrubError as ScrubError
from causal_scrubbing._graph import Graph as Graph
from causal_scrubbing._graph import add as add
from causal_scrubbing._hypothesis import Claim as Claim
from causal_scrubbing._hypothesis import Hypothesis as Hypothesis
from causal_scrubbing._hypothesis import claim as claim
from causal_scrubbing._hypothesis import free as free
from causal_scrubbing._hypothesis import join as join
from causal_scrubbing._hypothesis import nothing as nothing
from causal_scrubbing._measure import Estimate as Estimate
from causal_scrubbing._measure import metrics as metrics
from causal_scrubbing._scrub import Comparison as Comparison
from causal_scrubbing._scrub import Result as Result
from causal_scrubbing._scrub import compare as compare
from causal_scrubbing._scrub import load as load
from causal_scrubbing._scrub import scrub as scrub
