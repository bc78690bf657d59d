"""Refutation: adversarial validation, controls, interchange interventions, discovery."""

from causal_scrubbing._refute.controls import Control as Control
from causal_scrubbing._refute.controls import Controls as Controls
from causal_scrubbing._refute.controls import controls as controls
from causal_scrubbing._refute.discover import Discovery as Discovery
from causal_scrubbing._refute.discover import discover as discover
from causal_scrubbing._refute.interchange import Exchanged as Exchanged
from causal_scrubbing._refute.interchange import Interchange as Interchange
from causal_scrubbing._refute.interchange import interchange as interchange
from causal_scrubbing._refute.refutation import Finding as Finding
from causal_scrubbing._refute.refutation import Refutation as Refutation
from causal_scrubbing._refute.refutation import Tried as Tried
from causal_scrubbing._refute.refutation import Where as Where
from causal_scrubbing._refute.search import improve as improve
from causal_scrubbing._refute.search import refute as refute
