"""A run on a Ray cluster of two nodes, one of which is lost."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from resumable import METRIC, problem

import causal_scrubbing as cs

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None,
        reason="Ray is not installed: pip install 'causal-scrubbing[ray]'",
    ),
    pytest.mark.filterwarnings("ignore"),
]


def test_a_lost_node_costs_nothing_but_its_blocks() -> None:
    import ray
    from ray.cluster_utils import Cluster

    h, data = problem()
    alone = cs.scrub(h, data, METRIC, samples=1200, seed=3)
    quiet = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=quiet)
    try:
        second = cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        lost: list[bool] = []

        def progress(done: int, of: int) -> None:
            if done >= 300 and not lost:
                lost.append(True)
                cluster.remove_node(second)

        executor = cs.executors.Ray(address=cluster.address, actors=2)
        found = cs.scrub(
            h, data, METRIC, samples=1200, seed=3, executor=executor, progress=progress
        )
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert lost
    assert alone.draws.equals(found.draws)
    for column in alone.samples:
        assert np.allclose(alone.samples[column], found.samples[column], rtol=1e-5, atol=1e-7)
