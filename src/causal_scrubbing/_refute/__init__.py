"""Refutation: adversarial validation, controls, interchange interventions, discovery."""

from causal_scrubbing._refute.refutation import Finding as Finding
from causal_scrubbing._refute.refutation import Refutation as Refutation
from causal_scrubbing._refute.refutation import Where as Where
from causal_scrubbing._refute.search import improve as improve
from causal_scrubbing._refute.search import refute as refute
