"""What a result's page shows, gathered from the result."""

from causal_scrubbing._result.page.build import page_data as page_data
from causal_scrubbing._result.page.controlled import ManyControls as ManyControls
