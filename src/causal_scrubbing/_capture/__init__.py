"""Any PyTorch module as a graph: export it with its sites marked, read the sites off."""

from causal_scrubbing._capture.capture import capture as capture
from causal_scrubbing._capture.load import load_graph as load_graph
from causal_scrubbing._capture.traces import digest as digest
