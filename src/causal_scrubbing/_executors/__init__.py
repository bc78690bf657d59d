"""Executors: where the blocks of a run are computed, in this process or in others."""

from causal_scrubbing._executors import executors as executors
from causal_scrubbing._executors.processes import memory_folder as memory_folder
from causal_scrubbing._executors.protocol import SHARED as SHARED
from causal_scrubbing._executors.protocol import Executor as Executor
from causal_scrubbing._executors.protocol import Tell as Tell
from causal_scrubbing._executors.protocol import Workers as Workers
from causal_scrubbing._executors.protocol import quiet as quiet
from causal_scrubbing._executors.work import load as load
from causal_scrubbing._executors.work import load_request as load_request
from causal_scrubbing._executors.work import packed as packed
from causal_scrubbing._executors.work import packed_request as packed_request
