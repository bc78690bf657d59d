"""Search for hypotheses that explain a behaviour."""

from causal_scrubbing._discover.discover import Discovery as Discovery
from causal_scrubbing._discover.discover import discover as discover
