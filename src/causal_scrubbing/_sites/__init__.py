"""Ready site maps for known families of models."""

from causal_scrubbing._sites import sites as sites
from causal_scrubbing._sites.site_map import SiteMap as SiteMap
