"""One of several processes that hold a model between them: ``python ranks.py RANK COUNT FILE``.

Each scrubs the sharded model and the whole one, and prints the largest differences.
"""

from __future__ import annotations

import copy
import json
import sys
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)

import causal_scrubbing as cs


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(x)))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(3))
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def scrubbed(model: nn.Module, **options: Any) -> cs.Result:
    x = torch.randn(60, 8, generator=torch.Generator().manual_seed(1))
    data = cs.Dataset(x=x, up=x[:, 0] > 0, label=torch.arange(60) % 4)
    graph = cs.capture(
        model, data[:2], fields=["x"], output="logits", method="hooks",
        sites={"l{i}": "layers.{i}"},
    )  # fmt: skip
    claim = cs.claim("logits", cs.exact, cs.claim("l2", "up", cs.claim("l1", "up")))
    h = cs.Hypothesis(graph, claim)
    metric = cs.metrics.cross_entropy("label")
    return cs.scrub(h, data, metric, samples=150, seed=3, **options)


def difference(one: cs.Result, other: cs.Result) -> float:
    assert one.draws.equals(other.draws)
    off = np.abs(one.samples.to_numpy() - other.samples.to_numpy())
    ends = zip((*one.recovered.interval, 0), (*other.recovered.interval, 0), strict=True)
    return max(float(off.max()), *(abs(a - b) / 100 for a, b in ends))


def refused(model: nn.Module, **options: Any) -> str:
    try:
        scrubbed(model, **options)
    except cs.ScrubError as error:
        return str(error)
    return ""


def main(rank: int, count: int, file: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=count)
    torch.manual_seed(0)
    plain = Model().eval()
    alone = scrubbed(copy.deepcopy(plain))
    mesh = init_device_mesh("cpu", (count,))
    sharded = copy.deepcopy(plain)
    for layer in sharded.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    found = {"fsdp": difference(alone, scrubbed(sharded))}
    split = copy.deepcopy(plain)
    plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
    for layer in split.layers:
        parallelize_module(layer, mesh, plan)
    # Memory that is free differs between ranks; what they compute together must not.
    memory = {"memory": "20kB" if rank else "40kB", "store": "memory"}
    found["tensor"] = difference(alone, scrubbed(split, **memory))
    weights: list[Any] = list(sharded.layers.parameters())
    parts = [p.to_local().numel() < p.numel() for p in weights]
    print(json.dumps({**found, "shared out": all(parts), "out": refused(split, out=file + ".d"),
                      "executor": refused(split, executor=cs.executors.Processes(1))}))  # fmt: skip
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
