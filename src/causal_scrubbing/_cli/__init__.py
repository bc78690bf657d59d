"""The command ``causal-scrubbing``."""

from causal_scrubbing._cli.fitted import fitted as fitted
from causal_scrubbing._cli.fitted import refitted as refitted
from causal_scrubbing._cli.main import main as main
