"""Blocks on a Ray cluster: actors that hold the model and its clean activations."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors.block_queue import BlockQueue
from causal_scrubbing._executors.protocol import Block, Tell, quiet


@dataclass(frozen=True)
class Ray:
    """Actors on a Ray cluster, one for each GPU or share of cores.

    The work is put into the object store once. Actors are handed blocks as they become free; blocks
    of an actor or node that is lost are computed again, and Ray starts the actor elsewhere.

    Needs ``pip install "causal-scrubbing[ray]"``.

    Example::

        result = cs.scrub(h, data, metric=metric, samples=100_000,
                          executor=cs.executors.Ray(address="auto"))

    Args:
        address: of the cluster; "auto" finds the one this machine is part of. None starts one here
            where none is connected.
        actors: how many; None takes what the cluster has room for.
        cpus: cores of each actor.
        gpus: GPUs of each actor; None takes one where the cluster has any.

    Raises:
        ScrubError: Ray is not installed, or an argument is wrong.
    """

    address: str | None = "auto"
    actors: int | None = None
    cpus: int = 1
    gpus: float | None = None

    def __post_init__(self) -> None:
        if self.actors is not None and (not isinstance(self.actors, int) or self.actors < 1):
            raise ScrubError(f"actors={self.actors!r}: give an integer of at least 1, or None.")
        if not isinstance(self.cpus, int) or self.cpus < 1:
            raise ScrubError(f"cpus={self.cpus!r}: give an integer of at least 1.")

    @contextmanager
    def open(self, work: bytes) -> Iterator[_Actors]:
        """Connect, and start the actors; see `Executor`."""
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise ScrubError(
                'Ray is not installed: pip install "causal-scrubbing[ray]", or take '
                "cs.executors.Processes."
            ) from error
        if not ray.is_initialized():
            ray.init(address=self.address, log_to_driver=False)
        resources = ray.cluster_resources()
        gpus = self.gpus if self.gpus is not None else float(resources.get("GPU", 0) > 0)
        room = resources.get("GPU", 0) / gpus if gpus else resources.get("CPU", 1) / self.cpus
        count = self.actors or max(1, int(room))
        pool = _Actors(ray, ray.put(work), count, self.cpus, gpus)
        try:
            yield pool
        finally:
            pool.close()


class _Holder:
    """What an actor holds: the function of the work, set up when it is first needed."""

    def __init__(self, work: bytes, cpus: int) -> None:
        import torch

        torch.set_num_threads(cpus)
        self.work = work
        self.compute: Any = None

    def begin(self) -> None:
        """Answered once the actor has found a place on the cluster."""

    def block(self, low: int, high: int, request: bytes) -> tuple[str, Any]:
        """The values of a block, or its fault."""
        from causal_scrubbing._executors.work import fault_of, load

        try:
            if self.compute is None:
                self.compute = load(self.work)
            return "done", self.compute(low, high, request)
        except Exception as error:
            return "failed", fault_of((low, high), error)


@dataclass(eq=False)
class _Actors:
    """The actors of a run."""

    ray: Any
    work: Any
    count: int
    cpus: int
    gpus: float
    starting: dict[Any, Any] = field(default_factory=dict)
    idle: list[Any] = field(default_factory=list)
    busy: dict[Any, tuple[Any, Block]] = field(default_factory=dict)

    def compute(
        self, blocks: Sequence[Block], *, request: bytes = b"", tell: Tell = quiet
    ) -> Iterator[tuple[Block, Any]]:
        """See `Workers`."""
        queue = BlockQueue(blocks)
        given = self.ray.put(request)
        if not self.idle:
            tell("starting workers", 0)
        while queue.unfinished:
            while self._living < min(self.count, len(blocks)):
                actor = self._start()
                self.starting[actor.begin.remote()] = actor
            while self.idle and (block := queue.take()) is not None:
                actor = self.idle.pop()
                self.busy[actor.block.remote(*block, given)] = (actor, block)
            # An actor that no node has room for waits, and is given no block until it has begun.
            ready, _ = self.ray.wait([*self.starting, *self.busy])
            for reference in ready:
                if reference in self.starting:
                    actor = self.starting.pop(reference)
                    with suppress(self.ray.exceptions.RayError):  # else another is started above
                        self.ray.get(reference)
                        self.idle.append(actor)
                        tell("samples", 0)
                    continue
                actor, block = self.busy.pop(reference)
                try:
                    kind, what = self.ray.get(reference)
                except self.ray.exceptions.RayError:
                    queue.lost(block)  # the actor is gone, and another is started above
                    continue
                self.idle.append(actor)
                if kind == "failed":
                    queue.failed(block, *what)
                else:
                    queue.finish(block)
                    yield block, what

    @property
    def _living(self) -> int:
        return len(self.starting) + len(self.idle) + len(self.busy)

    def _start(self) -> Any:
        options = {"num_cpus": self.cpus, "num_gpus": self.gpus}
        return self.ray.remote(**options)(_Holder).remote(self.work, self.cpus)

    def close(self) -> None:
        """End all actors."""
        for actor in [
            *self.starting.values(),
            *self.idle,
            *(actor for actor, _ in self.busy.values()),
        ]:
            with suppress(Exception):
                self.ray.kill(actor)
        self.starting.clear()
        self.idle.clear()
        self.busy.clear()
