"""Drawing 1,000,000 samples from 1,000,000 rows in 1,000 classes, against one argsort."""

from __future__ import annotations

import numpy as np
import torch
from peers import best_of

import causal_scrubbing as cs
from causal_scrubbing._sampling import Sampler

ROWS = SAMPLES = 1_000_000
CLASSES = 1000


def run() -> tuple[float, float]:
    """Seconds of one argsort of the classes, and of drawing, with everything that it needs."""
    ids = np.random.default_rng(0).integers(0, CLASSES, ROWS)
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (torch.clone, ["x"])}, output="y")
    h = cs.Hypothesis(graph, cs.claim("y", "kind"))

    data = cs.Dataset(x=torch.zeros(ROWS), kind=ids)
    argsort = best_of(5, lambda: np.argsort(ids, kind="stable"))

    def sample() -> None:
        data._classes.clear()  # classes are kept with their dataset
        sampler = Sampler(h, data, 0)
        rows = sampler.draw(0, SAMPLES).rows
        assert (ids[rows["y"]] == ids[rows["~ref"]]).all()

    drawing = best_of(5, sample)
    print(f"argsort {argsort:.3f} s, drawing {drawing:.3f} s: {drawing / argsort:.2f} times")
    return argsort, drawing


if __name__ == "__main__":
    run()
