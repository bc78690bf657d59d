"""The engine: a treeified hypothesis and a draw, compiled to a plan and executed."""

from causal_scrubbing._engine import storage as storage
from causal_scrubbing._engine.checkpoint import Checkpoint as Checkpoint
from causal_scrubbing._engine.cost import peak_bytes as peak_bytes
from causal_scrubbing._engine.explain import Explanation as Explanation
from causal_scrubbing._engine.explain import actual_dict as actual_dict
from causal_scrubbing._engine.explain import expected_seconds as expected_seconds
from causal_scrubbing._engine.explain import explain_run as explain_run
from causal_scrubbing._engine.explain import piece_size as piece_size
from causal_scrubbing._engine.layout import STORES as STORES
from causal_scrubbing._engine.memory import MemoryLimit as MemoryLimit
from causal_scrubbing._engine.memory import free_memory as free_memory
from causal_scrubbing._engine.memory import read_budget as read_budget
from causal_scrubbing._engine.memory import release as release
from causal_scrubbing._engine.memory import show_bytes as show_bytes
from causal_scrubbing._engine.noted import LAYOUT as LAYOUT
from causal_scrubbing._engine.noted import note_layout as note_layout
from causal_scrubbing._engine.noted import take_layout as take_layout
from causal_scrubbing._engine.run import Executor as Executor
from causal_scrubbing._engine.run import Look as Look
from causal_scrubbing._engine.run import Settings as Settings
from causal_scrubbing._engine.sharing import Sharing as Sharing
from causal_scrubbing._engine.sharing import weigh_sharing as weigh_sharing
from causal_scrubbing._engine.table import CleanTable as CleanTable
