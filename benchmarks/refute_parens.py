"""Refuting experiment 1b of the paren checker with at least 200 candidates, against one by one.

The candidates a search tries are also scrubbed each on its own, with the number of samples that the
search gives those it confirms; of these a seeded sample is run and the total is scaled up. Times
are processor seconds on one thread, so that other work on the machine does not count. Prints one
line of JSON.
"""

from __future__ import annotations

import json
import time

import numpy as np
import torch

import causal_scrubbing as cs
from causal_scrubbing._gallery import parens
from causal_scrubbing._gallery.parens._experiments import hypotheses
from causal_scrubbing._gallery.parens._graph import build_graph
from causal_scrubbing._refute.options import Settings as SearchSettings
from causal_scrubbing._refute.search_stages import Search
from causal_scrubbing.gallery import Options

SAMPLES = 4000
FEATURES = [f"tokens[{i}]" for i in range(1, 9)]
ALONE = 5


def main() -> None:
    torch.set_num_threads(1)
    weights = parens.load_weights(parens.HERE)
    h = hypotheses(build_graph(weights))["1b"]
    data = parens.make_data(Options(seed=0), weights)
    loss = cs.metrics.cross_entropy("balanced")
    started = time.process_time()
    found = cs.refute(h, data, loss, features=FEATURES, samples=SAMPLES)
    together = time.process_time() - started
    print(found, flush=True)
    settings = SearchSettings(features=FEATURES, samples=SAMPLES)
    search = Search(h, data, loss, settings, improve=False)
    candidates = search.candidates
    chosen = np.random.default_rng(0).choice(len(candidates), ALONE, replace=False)
    started = time.process_time()
    for i in chosen:
        cs.scrub(candidates[i].hypothesis, data, loss, samples=SAMPLES)
    alone = (time.process_time() - started) / ALONE * len(candidates)
    assert len(candidates) >= 200, len(candidates)
    assert together < 180, together
    assert together <= alone / 10, (together, alone)
    line = {
        "benchmark": "refute 1b of the paren checker",
        "candidates": len(candidates),
        "processor seconds": round(together, 1),
        "one by one, processor seconds": round(alone, 1),
        "ratio": round(alone / together, 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
