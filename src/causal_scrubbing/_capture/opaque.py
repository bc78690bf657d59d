"""Submodules that an export calls rather than traces: one operator stands for each call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeAlias

import torch
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import matches, nearest
from causal_scrubbing._places import LIBRARY, Place

Size: TypeAlias = int | tuple[int, int, Fraction]
"""A fixed size, or (input, dimension, factor): so many times the size of an input's dimension."""

LIBRARY.define("opaque(Tensor[] inputs, str key) -> Tensor[]")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class Whole:
    """A submodule kept whole."""

    path: str
    module: torch.nn.Module


@dataclass(frozen=True, eq=False)
class Called:
    """One call of a submodule kept whole, as a function of the tensors among its arguments.

    Attributes:
        forward: the module's own forward.
        spec: how its arguments are nested.
        others: arguments that are no tensors, by position among all.
        results: how its results are nested.
        fixed: results that are no tensors, by position among all.
        shapes: size of each dimension of each tensor that it returns.
        types: dtype and device of each.
    """

    forward: Callable[..., Any]
    spec: TreeSpec
    others: Mapping[int, Any]
    results: TreeSpec
    fixed: Mapping[int, Any]
    shapes: tuple[tuple[Size, ...], ...]
    types: tuple[tuple[torch.dtype, torch.device], ...]

    def __call__(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The tensors that the module returns."""
        waiting = iter([one.clone() for one in inputs])  # the module may write to them
        count = len(inputs) + len(self.others)
        flat = [self.others[i] if i in self.others else next(waiting) for i in range(count)]
        args, kwargs = tree_unflatten(flat, self.spec)
        found = tree_flatten(self.forward(*args, **kwargs))[0]
        return [one for one in found if isinstance(one, torch.Tensor)]

    def whole(self, tensors: Sequence[torch.Tensor]) -> Any:
        """What the module returns, its tensors given."""
        waiting = iter(tensors)
        count = len(tensors) + len(self.fixed)
        flat = [self.fixed[i] if i in self.fixed else next(waiting) for i in range(count)]
        return tree_unflatten(flat, self.results)


_CALLS: Final[ContextVar[Mapping[str, Called] | None]] = ContextVar("opaque_calls", default=None)


def _known(key: str) -> Called:
    calls = _CALLS.get()
    if calls is None:
        raise AssertionError("the operator of opaque modules stands only in an export")
    return calls[key]


def _run(inputs: Sequence[torch.Tensor], key: str) -> list[torch.Tensor]:
    return _known(key)(inputs)


def _fake(inputs: Sequence[torch.Tensor], key: str) -> list[torch.Tensor]:
    call = _known(key)
    found = []
    for shape, (dtype, device) in zip(call.shapes, call.types, strict=True):
        sizes = [
            size
            if isinstance(size, int)
            else inputs[size[0]].shape[size[1]] * size[2].numerator // size[2].denominator
            for size in shape
        ]
        found.append(torch.empty(sizes, dtype=dtype, device=device))
    return found


torch.library.impl("causal_scrubbing::opaque", "CompositeExplicitAutograd", lib=LIBRARY)(_run)
torch.library.register_fake("causal_scrubbing::opaque", _fake, lib=LIBRARY)
OPAQUE: Final = torch.ops.causal_scrubbing.opaque.default


def find_opaque(
    model: torch.nn.Module, opaque: Sequence[str], places: Sequence[Place], method: str
) -> list[Whole]:
    """The submodules that are kept whole.

    Raises:
        GraphError: a path matches no module, or a site lies inside one, or nothing is exported.
    """
    if isinstance(opaque, str):
        raise GraphError(f"opaque={opaque!r} is one string; write a list, opaque=[{opaque!r}].")
    if opaque and method == "hooks":
        raise GraphError(
            "opaque= keeps submodules whole in an export; method='hooks' exports nothing, so "
            "leave it out."
        )
    modules = dict(model.named_modules())
    found: dict[str, Whole] = {}
    for pattern in opaque:
        hits = [path for path in modules if path and matches(pattern, path)]
        if not hits:
            raise GraphError(
                f"opaque: no module is called {pattern!r}. {nearest(pattern, list(modules)[1:])}"
            )
        found.update({path: Whole(path, modules[path]) for path in hits})
    for place in places:
        for path in found:
            if place.path.startswith(f"{path}."):
                raise GraphError(
                    f"{place.name!r}: {place.text} lies inside {path!r}, which opaque= keeps whole."
                )
    return list(found.values())


Seen: TypeAlias = dict[str, tuple[Any, Any]]


def learn_calls(whole: Sequence[Whole], runs: Sequence[Callable[[], object]]) -> dict[str, Called]:
    """What each call of the submodules takes and returns, as found by running the model.

    Args:
        whole: the submodules.
        runs: run the model on numbers of rows (and lengths) that differ.

    Returns:
        Call -> what it is.

    Raises:
        GraphError: a call returns no tensor, or one of a size that its inputs do not have.
    """
    own = {one.path: one.module.forward for one in whole}
    seen: list[Seen] = []
    for run in runs:
        calls: Seen = {}
        counts: Counter[str] = Counter()

        def watch(path: str, args: Any, kwargs: Any) -> Any:
            key = f"{path}#{counts[path]}"  # noqa: B023 - called in this round alone
            counts[path] += 1  # noqa: B023
            value = own[path](*args, **kwargs)
            calls[key] = ((args, kwargs), value)  # noqa: B023
            return value

        with instead(whole, watch):
            run()
        seen.append(calls)
    found: dict[str, Called] = {}
    for key in seen[0]:
        path = key.partition("#")[0]
        if any(key not in calls for calls in seen):
            raise GraphError(
                f"opaque: {path!r} is called more often on some rows than on others; keep the "
                "module around it whole instead."
            )
        found[key] = _call(path, own[path], [calls[key] for calls in seen])
    return found


def _call(path: str, forward: Callable[..., Any], runs: Sequence[tuple[Any, Any]]) -> Called:
    given = [tree_flatten(arguments) for arguments, _ in runs]
    made = [tree_flatten(value) for _, value in runs]
    taken = [[one for one in flat if isinstance(one, torch.Tensor)] for flat, _ in given]
    returned = [[one for one in flat if isinstance(one, torch.Tensor)] for flat, _ in made]
    if not returned[0] or len({len(tensors) for tensors in returned}) > 1:
        raise GraphError(
            f"opaque: {path!r} returns no tensor, or not always as many; keep the module around "
            "it whole instead."
        )
    shapes = []
    for i, tensor in enumerate(returned[0]):
        sizes = []
        for dim in range(tensor.ndim):
            size = _size(taken, [run[i].shape[dim] for run in returned])
            if size is None:
                raise GraphError(
                    f"opaque: {path!r} returns a tensor of shape {list(tensor.shape)}, whose "
                    f"dimension {dim} follows from no size of its inputs; keep the module around "
                    "it whole instead."
                )
            sizes.append(size)
        shapes.append(tuple(sizes))
    return Called(
        forward,
        given[0][1],
        {i: one for i, one in enumerate(given[0][0]) if not isinstance(one, torch.Tensor)},
        made[0][1],
        {i: one for i, one in enumerate(made[0][0]) if not isinstance(one, torch.Tensor)},
        tuple(shapes),
        tuple((one.dtype, one.device) for one in returned[0]),
    )


def _size(taken: Sequence[Sequence[torch.Tensor]], sizes: Sequence[int]) -> Size | None:
    """A size as what it was in several runs tells it."""
    if len(set(sizes)) == 1:
        return sizes[0]
    for exact in (True, False):
        for i, tensor in enumerate(taken[0]):
            for dim in range(tensor.ndim):
                factors = {
                    Fraction(size, run[i].shape[dim])
                    for size, run in zip(sizes, taken, strict=True)
                    if run[i].shape[dim]
                }
                if len(factors) == 1 and (not exact or factors == {Fraction(1)}):
                    return i, dim, factors.pop()
    return None


@contextmanager
def traced_whole(whole: Sequence[Whole], calls: Mapping[str, Called]) -> Iterator[None]:
    """Let the submodules be one operator each, inside."""
    counts: Counter[str] = Counter()

    def stand_in(path: str, args: Any, kwargs: Any) -> Any:
        key = f"{path}#{counts[path]}"
        counts[path] += 1
        flat = tree_flatten((args, kwargs))[0]
        tensors = [one for one in flat if isinstance(one, torch.Tensor)]
        return calls[key].whole(OPAQUE(tensors, key))

    token = _CALLS.set(calls)
    try:
        with instead(whole, stand_in):
            yield
    finally:
        _CALLS.reset(token)


@contextmanager
def instead(whole: Sequence[Whole], call: Callable[[str, Any, Any], Any]) -> Iterator[None]:
    """Other forwards of the submodules, inside."""

    def forward(path: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: call(path, args, kwargs)

    def back(module: torch.nn.Module, own: Any) -> None:
        if own is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = own

    with ExitStack() as stack:
        for one in whole:
            stack.callback(back, one.module, one.module.__dict__.get("forward"))
            one.module.__dict__["forward"] = forward(one.path)
        yield


def name_calls(graph: torch.fx.Graph, calls: Mapping[str, Called]) -> None:
    """Put the submodules themselves in place of the operators that stand for their calls."""
    for op in graph.nodes:
        if op.target is OPAQUE:
            key: Any = op.args[1]
            op.target = calls[key]
            op.args = (op.args[0],)
