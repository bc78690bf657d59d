"""Arguments of runs, checked at entry and made plain: numpy's numbers become Python's."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Final, Literal, SupportsIndex, cast

import numpy as np
import torch

from causal_scrubbing._algebra import Free
from causal_scrubbing._data import check_dataset
from causal_scrubbing._engine import STORES, free_memory, show_bytes
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import Executor
from causal_scrubbing._graph import is_sharded
from causal_scrubbing._hypothesis import Hypothesis

STORABLE: Final = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
"""What activations can be stored as."""


def whole(name: str, value: object, what: str, *, least: int = 1) -> int:
    """An integer, Python's or numpy's.

    Args:
        name: the argument, for messages.
        value: what was given.
        what: what it is the number of, for messages.
        least: smallest number allowed.

    Raises:
        ScrubError: it is not an integer (True and 2.0 are not), or smaller.
    """
    if not isinstance(value, bool | np.bool_):
        try:
            number = operator.index(cast(SupportsIndex, value))
        except TypeError:
            number = least - 1
        if number >= least:
            return number
    raise ScrubError(f"{name}={_shown(value)}: give {what}, an integer of at least {least}.")


def check_samples(samples: object) -> int:
    """A number of samples.

    Raises:
        ScrubError: it is not an integer of at least 1.
    """
    return whole("samples", samples, "the number of samples")


def check_samples_or_auto(samples: object) -> int | Literal["auto"]:
    """A number of samples, or "auto".

    Raises:
        ScrubError: it is neither.
    """
    if isinstance(samples, str) and samples == "auto":
        return "auto"
    try:
        return check_samples(samples)
    except ScrubError:
        raise ScrubError(
            f'samples={_shown(samples)}: give the number of samples, at least 1, or "auto".'
        ) from None


def check_start(start: object, samples: int | str, draw: str) -> int:
    """The number of the first sample.

    Raises:
        ScrubError: it is not an integer of at least 0, or it does not go with other arguments.
    """
    number = whole("start", start, "the number of the first sample", least=0)
    if number and samples == "auto":
        raise ScrubError(f'start={number} needs samples= a number, not "auto".')
    if number and draw != "independent":
        raise ScrubError(
            f"start={number} with draw={draw!r}: those rows are chosen for the whole of a run, "
            'from its first sample on. Take draw="independent".'
        )
    return number


def check_most(max_samples: object) -> int:
    """The most samples of "auto".

    Raises:
        ScrubError: it is not an integer of at least 1.
    """
    return whole("max_samples", max_samples, "the most samples to run")


def check_seed(seed: object) -> int:
    """A seed: any integer of at least 0.

    Raises:
        ScrubError: it is not one.
    """
    return whole("seed", seed, "the seed of all draws", least=0)


def check_batch_size(batch_size: object) -> int | None:
    """A number of samples computed at once, or None to choose it.

    Raises:
        ScrubError: it is neither.
    """
    if batch_size is None:
        return None
    return whole("batch_size", batch_size, "how many samples are computed at once, or None")


def check_tolerance(tolerance: object) -> float:
    """A half-width in percentage points, above 0.

    Raises:
        ScrubError: it is not a number above 0.
    """
    if isinstance(tolerance, int | float | np.integer | np.floating) and not isinstance(
        tolerance, bool
    ):
        width = float(tolerance)
        if 0 < width < math.inf:
            return width
    raise ScrubError(
        f"tolerance={_shown(tolerance)}: give the half-width of recovered's interval to reach, in "
        "percentage points, above 0."
    )


def check_device(device: object) -> torch.device | None:
    """A device that tensors can be made on, or None for where the graph says.

    Raises:
        ScrubError: there is no such device here, or it holds no values ("meta").
    """
    if device is None:
        return None
    try:
        found = torch.device(cast(Any, device))
        if found.type == "meta":
            raise RuntimeError("tensors on it have no values")
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ScrubError(f"device={str(device)!r} cannot be used here: {reason}") from error
    return found


def check_store_dtype(dtype: object) -> torch.dtype | None:
    """A dtype to store activations in, also by its name ("bfloat16"), or None.

    Raises:
        ScrubError: it does not hold activations: integers lose them.
    """
    if dtype is None:
        return None
    found = dtype
    if isinstance(dtype, str):
        found = getattr(torch, dtype.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype) or found not in STORABLE:
        raise ScrubError(
            f"store_dtype={_shown(dtype)}: activations can be stored as "
            f"{', '.join(str(one).removeprefix('torch.') for one in STORABLE)}, by dtype or name."
        )
    return found


def check_store(store: object) -> None:
    """Where clean activations are kept.

    Raises:
        ScrubError: it is not such a place.
    """
    if store not in STORES:
        raise ScrubError(f"store={store!r}; it is one of {', '.join(map(repr, STORES))}.")


def check_size(samples: int, hypotheses: int, metrics: int, blocks: int) -> None:
    """Refuse more samples than this machine can hold the values of.

    Args:
        samples: the most that may be run.
        hypotheses: how many there are.
        metrics: how many there are.
        blocks: draws of a sample, of all hypotheses together.

    Raises:
        ScrubError: their values take more bytes than are free.
    """
    each = hypotheses * (metrics * 3 * 8 + 2 * 4) + blocks * 4
    free = free_memory()
    if free and samples * each > free:
        raise ScrubError(
            f"{samples:,} samples: their values and draws alone take {show_bytes(samples * each)}"
            f", and {show_bytes(free)} are free. Run fewer; the error of a mean falls with the "
            "root of their number."
        )


def check_arguments(
    hypothesis: object, data: object, randomize: str | None, baseline: object
) -> tuple[Hypothesis, ...]:
    """The hypotheses given, one or several.

    Raises:
        GraphError: there is no node of the name `randomize`.
        ScrubError: an argument is of a wrong kind, or two of them do not go together.
    """
    if isinstance(hypothesis, Sequence) and not isinstance(hypothesis, str):
        given = tuple(hypothesis)
    else:
        given = (hypothesis,)
    if not given:
        raise ScrubError("no hypothesis was given: pass one, or a list of at least one.")
    many = []
    for one in given:
        if not isinstance(one, Hypothesis):
            if isinstance(one, Free):
                raise ScrubError(f"{one!r} makes no claim yet: write it out with .hypothesis().")
            raise ScrubError(
                f"{one!r} is no hypothesis; make one with cs.Hypothesis(graph, claim)."
            )
        many.append(one)
    for graph in {id(one.graph): one.graph for one in many}.values():
        graph.check_fresh()
    check_dataset(data, error=ScrubError)
    if baseline is not None:
        if isinstance(baseline, Free):
            raise ScrubError(f"baseline={baseline!r}: write it out with .hypothesis().")
        if not isinstance(baseline, Hypothesis):
            raise ScrubError(
                f"baseline={baseline!r} is no hypothesis; make one with cs.Hypothesis(graph, "
                "claim), or take h.with_(ablation='mean')."
            )
        if randomize is not None:
            raise ScrubError("give randomize= or baseline=, not both: each defines what 0% is.")
        if any(one.graph is not baseline.graph for one in many):
            raise ScrubError(
                "the baseline hypothesis is about another graph; make it on the same graph object."
            )
    if randomize is not None:
        if not isinstance(randomize, str):
            raise ScrubError(f"randomize={randomize!r}: give the name of one node.")
        for one in many:
            if randomize not in one.graph.names:
                one.graph.find(randomize)  # raises with the nearest names
                raise ScrubError(f"randomize={randomize!r} is a pattern; name one node.")
    return tuple(many)


def check_auto(many: Sequence[Hypothesis]) -> None:
    """Refuse what cannot be joined with ``samples="auto"``.

    Raises:
        ScrubError: there are hypotheses about several graphs.
    """
    if any(one.graph is not many[0].graph for one in many):
        raise ScrubError(
            'samples="auto" stops all hypotheses at one number of samples, so they must be about '
            "one graph object. Give a number of samples, or scrub them one by one."
        )


def _shown(value: object) -> str:
    return str(value) if isinstance(value, np.generic | torch.dtype) else repr(value)


def check_executor(executor: object) -> None:
    """Refuse what is not an executor.

    Raises:
        ScrubError: it is not one.
    """
    if executor is None:
        return
    if isinstance(executor, type) or not isinstance(executor, Executor):
        raise ScrubError(
            f"executor={executor!r} is not an executor; give cs.executors.Processes(2), "
            "cs.executors.Ray(), or an object with their method open(work)."
        )


def check_sharded(many: Sequence[Hypothesis], out: object, executor: object) -> None:
    """Refuse what ranks that run a sharded model together cannot do.

    Raises:
        ScrubError: naming the argument.
    """
    if not any(is_sharded(one.graph) for one in many):
        return
    if executor is not None:
        raise ScrubError(
            "executor= with a model whose weights are shared out over ranks: the ranks are its "
            "workers already. Leave executor= out and make the same call on every rank."
        )
    if out is not None:
        raise ScrubError(
            "out= with a model whose weights are shared out over ranks: all would write there. "
            "Leave it out, and save the result on one of them: if rank == 0: result.save(...)."
        )
