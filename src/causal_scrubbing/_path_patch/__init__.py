"""Path patching as hypotheses: what one node does to another along chosen paths."""

from causal_scrubbing._path_patch.path_patch import path_patch as path_patch
from causal_scrubbing._path_patch.result import PathEffect as PathEffect
from causal_scrubbing._path_patch.result import PathEffects as PathEffects
