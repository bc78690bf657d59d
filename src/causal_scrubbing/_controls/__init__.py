"""Controls: variants of a hypothesis scored beside it."""

from causal_scrubbing._controls.controls import Control as Control
from causal_scrubbing._controls.controls import Controls as Controls
from causal_scrubbing._controls.controls import controls as controls
from causal_scrubbing._controls.controls import recovered as recovered
from causal_scrubbing._controls.randoms import Permuted as Permuted
from causal_scrubbing._controls.variants import variants as variants
