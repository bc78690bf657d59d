"""A small problem whose model can be made slow, for processes that are killed."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import causal_scrubbing as cs


def problem(
    pause: float = 0.0, dtype: torch.dtype = torch.float32
) -> tuple[cs.Hypothesis, cs.Dataset]:
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(16, 16, generator=generator, dtype=dtype) / 4 for _ in range(3)]

    def slow(x: torch.Tensor) -> torch.Tensor:
        time.sleep(pause)
        return torch.tanh(x @ weights[1])

    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "a": (lambda x: torch.tanh(x @ weights[0]), ["x"]),
            "b": (slow, ["a"]),
            "out": (lambda a, b: (a * b) @ weights[2][:, :1] + a[:, :1], ["a", "b"]),
        },
        output="out",
    )
    x = torch.randn(300, 16, generator=generator, dtype=dtype)
    data = cs.Dataset(x=x, sign=x[:, 0] > 0)
    if not pause:
        data = data.with_fields(own=graph(data))
    else:
        data = data.with_fields(own=problem(dtype=dtype)[1]["own"])
    h = cs.Hypothesis(
        graph,
        cs.claim("out", cs.exact, cs.claim("b", "sign", cs.claim("a", "sign"))),
        name="resumed",
    )
    return h, data


METRIC = {"squared": cs.metrics.squared_error("own")}


HERE = Path(__file__).parent


PATH = os.pathsep.join(map(str, (HERE.parents[1] / "src", HERE)))


def wait_for_blocks(folder: Path, count: int, child: subprocess.Popen[Any]) -> None:
    for _ in range(1200):
        if len(list((folder / "blocks").glob("*.parquet"))) >= count:
            return
        assert child.poll() is None, child.stderr and child.stderr.read()
        time.sleep(0.05)
    raise AssertionError("the child wrote no blocks")


def assert_equal(one: cs.Result, other: cs.Result) -> None:
    pd_one, pd_other = one.samples, other.samples
    assert list(pd_one) == list(pd_other)
    for column in pd_one:
        assert np.array_equal(pd_one[column], pd_other[column]), column
    assert one.draws.equals(other.draws)
    assert one.recovered == other.recovered
