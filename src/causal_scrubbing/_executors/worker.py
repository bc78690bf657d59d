"""A worker process: unpacks the work, then computes one block after another until told to stop.

Started as ``python worker.py FD THREADS``, by its path, so that nothing is imported that the work
does not need. It speaks over the socket of that number: what models print does not mix with it.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from multiprocessing.connection import Connection


def main(descriptor: int, threads: int) -> None:
    """Serve blocks over a connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    os.dup2(2, 1)  # what is printed goes to the standard error of the run
    with Connection(descriptor) as line:
        try:
            compute = _set_up(line.recv_bytes(), threads)
        except Exception as error:
            line.send_bytes(pickle.dumps(("broken", _fault((0, 1), error))))
            return
        line.send_bytes(pickle.dumps(("ready", None)))

        def tell(phase: str, samples: int) -> None:
            line.send_bytes(pickle.dumps(("told", (phase, samples))))

        request = b""
        while True:
            try:
                block, new = pickle.loads(line.recv_bytes())
            except EOFError:
                return
            request = request if new is None else new
            try:
                answer = ("done", compute(*block, request, tell))
            except Exception as error:
                answer = ("failed", _fault(block, error))
            line.send_bytes(pickle.dumps(answer, protocol=5))


def _set_up(work: bytes, threads: int):  # type: ignore[no-untyped-def]
    import cloudpickle

    compute = cloudpickle.loads(work)()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    return compute


def _fault(block: tuple[int, int], error: Exception) -> tuple[str, BaseException | None]:
    from causal_scrubbing._executors.work import fault_of

    return fault_of(block, error)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
