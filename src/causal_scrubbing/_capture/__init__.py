"""Any PyTorch module as a graph: export it with its sites marked, read the sites off."""

from causal_scrubbing._capture import sites as sites
from causal_scrubbing._capture.capture import capture as capture
from causal_scrubbing._capture.marker import site as site
from causal_scrubbing._capture.sites import SiteMap as SiteMap
