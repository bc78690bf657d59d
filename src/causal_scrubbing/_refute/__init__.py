"""Refutation: adversarial validation, controls, interchange interventions, discovery."""

from causal_scrubbing._refute import search_stages as search_stages
from causal_scrubbing._refute.candidates import Candidates as Candidates
from causal_scrubbing._refute.journal import Journal as Journal
from causal_scrubbing._refute.power import detectable as detectable
from causal_scrubbing._refute.power import power_of as power_of
from causal_scrubbing._refute.refutation import Finding as Finding
from causal_scrubbing._refute.refutation import Refutation as Refutation
from causal_scrubbing._refute.refutation import Tried as Tried
from causal_scrubbing._refute.refutation import Where as Where
from causal_scrubbing._refute.search import improve as improve
from causal_scrubbing._refute.search import refute as refute
from causal_scrubbing._refute.search_stages import search_seed as search_seed
