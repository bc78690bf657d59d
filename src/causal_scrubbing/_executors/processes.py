"""Blocks in other processes of this machine."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

import torch

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors.block_queue import BlockQueue
from causal_scrubbing._executors.protocol import SHARED, TRIES, Block, Tell, quiet

_MEMORY: Final = "/dev/shm"
_NAME: Final = "causal-scrubbing-"


@dataclass(frozen=True)
class Processes:
    """Worker processes on this machine, each with a copy of the model and of clean activations.

    The processes are started afresh and do not run the caller's script again, so that scripts need
    no ``if __name__ == "__main__"`` and CUDA works. Where there are several GPUs, each worker sees
    one of them as ``cuda:0``. A worker that dies is replaced, and its block is computed again.

    Example::

        result = cs.scrub(h, data, metric=metric, samples=100_000,
                          executor=cs.executors.Processes(2))

    Args:
        count: workers; one for each GPU if None, or one for each two cores where there is none.
        threads: threads of each worker; this process's threads shared out if None.

    Raises:
        ScrubError: not a number of workers, or this system has no such processes.
    """

    count: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("count", "threads"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise ScrubError(f"{name}={value!r}: give an integer, or None to choose it.")
            if value is not None and value < 1:
                raise ScrubError(f"{name}={value!r}: give at least 1.")
        if os.name != "posix":
            raise ScrubError("Processes needs a POSIX system; leave executor= out.")

    @property
    def workers(self) -> int:
        """How many workers there will be."""
        if self.count is not None:
            return self.count
        gpus = torch.cuda.device_count()
        return gpus or max(1, (os.cpu_count() or 1) // 2)

    @contextmanager
    def open(self, work: bytes) -> Iterator[_Pool]:
        """Start the workers; see `Executor`."""
        threads = self.threads or max(1, torch.get_num_threads() // self.workers)
        with tempfile.TemporaryDirectory(
            prefix=f"{_NAME}{os.getpid()}-", dir=memory_folder()
        ) as shared:
            pool = _Pool(work, self.workers, threads, shared)
            try:
                yield pool
            finally:
                pool.close()

    @property
    def shares_memory(self) -> bool:
        """Whether several workers see one main memory."""
        return self.workers > 1


def memory_folder() -> str:
    """A folder whose files are in memory, where there is one; what ended runs left is removed."""
    folder = _MEMORY if os.access(_MEMORY, os.W_OK) else tempfile.gettempdir()
    for left in Path(folder).glob(f"{_NAME}*-*"):
        number = left.name.removeprefix(_NAME).partition("-")[0]
        if number.isdecimal() and not _lives(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    return folder


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


@dataclass(eq=False)
class _Worker:
    """A process, the line to it, the block it works on, and the request that it knows."""

    process: subprocess.Popen[bytes]
    line: Connection
    ready: bool = False
    block: Block | None = None
    request: bytes | None = None


@dataclass(eq=False)
class _Pool:
    """The workers of a run."""

    work: bytes
    count: int
    threads: int
    shared: str
    workers: list[_Worker] = field(default_factory=list)
    started: int = 0

    def compute(
        self, blocks: Sequence[Block], *, request: bytes = b"", tell: Tell = quiet
    ) -> Iterator[tuple[Block, Any]]:
        """See `Workers`."""
        queue = BlockQueue(blocks)
        if blocks and not any(worker.ready for worker in self.workers):
            tell("starting workers", 0)
        while queue.unfinished:
            while len(self.workers) < min(self.count, len(blocks)):
                self._start()
            for worker in self.workers:
                if worker.ready and worker.block is None and (block := queue.take()) is not None:
                    new = None if worker.request == request else request
                    worker.block, worker.request = block, request
                    with suppress(OSError):  # it died: its end of the line says so below
                        worker.line.send_bytes(pickle.dumps((block, new)))
            heard = set(wait([worker.line for worker in self.workers]))
            for worker in [one for one in self.workers if one.line in heard]:
                yield from self._hear(worker, queue, tell)

    def _hear(self, worker: _Worker, queue: BlockQueue, tell: Tell) -> Iterator[tuple[Block, Any]]:
        try:
            kind, what = pickle.loads(worker.line.recv_bytes())
        except (EOFError, OSError):
            self._bury(worker, queue)
            return
        if kind == "ready":
            worker.ready = True
            return
        if kind == "told":
            tell(*what)
            return
        if kind == "broken":
            words, error = what
            raise error or ScrubError(f"a worker could not begin: {words.partition(': ')[2]}")
        block, worker.block = worker.block, None
        assert block is not None
        if kind == "failed":
            queue.failed(block, *what)
            return
        queue.finish(block)
        yield block, what

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads), SHARED: self.shared}
        gpus = torch.cuda.device_count()
        if gpus > 1:
            environment["CUDA_VISIBLE_DEVICES"] = str(self.started % gpus)
        # The worker must find what this process finds, a package in the working folder included.
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        file = Path(__file__).with_name("worker.py")
        command = [sys.executable, "-P", str(file), str(theirs.fileno()), str(self.threads)]
        process = subprocess.Popen(
            command, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        self.started += 1
        worker = _Worker(process, Connection(ours.detach()))
        with suppress(OSError):
            worker.line.send_bytes(self.work)
        self.workers.append(worker)

    def _bury(self, worker: _Worker, queue: BlockQueue) -> None:
        """Forget a worker that died, and let its block wait again."""
        self.workers.remove(worker)
        worker.line.close()
        status = worker.process.wait()
        if worker.block is not None:
            queue.lost(worker.block)
        if self.started >= self.count + TRIES * self.count:
            raise ScrubError(
                f"workers keep dying (the last with exit status {status}); what they printed says "
                "why. Blocks that were kept with out= are not lost."
            )

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.line.close()
            worker.process.terminate()
        for worker in self.workers:
            try:
                worker.process.wait(5)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self.workers.clear()
