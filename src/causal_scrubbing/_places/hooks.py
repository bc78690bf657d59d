"""Hooks that put the sites of a run through the marker, and leave nothing behind."""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from causal_scrubbing._places.attention import is_fused, opened
from causal_scrubbing._places.marker import HANDLER
from causal_scrubbing._places.places import INSIDE, Place, check_faults
from causal_scrubbing._places.recurrent import Tell

Replace = Callable[[torch.Tensor], torch.Tensor]
Act = Callable[[torch.Tensor, str], torch.Tensor]
"""What is done with a site's tensor, given its name: what it returns goes on in its place."""


class Seen:
    """What a run met: how often each place was passed, and each name marked by hand.

    Attributes:
        calls: place -> how often it was passed.
        marks: name given by hand -> how often.
    """

    def __init__(self) -> None:
        self.calls: Counter[Place] = Counter()
        self.marks: Counter[str] = Counter()

    def forget(self) -> None:
        """Begin a new run."""
        self.calls.clear()
        self.marks.clear()


class _Marker:
    """One run under hooks: counts the calls, and acts on the sites' tensors."""

    def __init__(self, places: Sequence[Place], trial: Seen | None, act: Act | None) -> None:
        self.trial = trial
        self.act = act
        self.seen = Seen()
        self.by_path: dict[tuple[str, str], list[Place]] = {}
        for place in places:
            self.by_path.setdefault((place.path, place.side), []).append(place)

    def pre_hook(self, path: str) -> Callable[..., Any]:
        def hook(module: torch.nn.Module, args: Any, kwargs: Any) -> Any:
            for place in self.by_path[path, "input"]:
                args, kwargs = _edit_input(module, place, args, kwargs, self._mark(place))
            return args, kwargs

        return hook

    def hook(self, path: str) -> Callable[..., Any]:
        def hook(module: torch.nn.Module, args: Any, output: Any) -> Any:
            for place in self.by_path[path, "output"]:
                output = _edit_output(place, output, self._mark(place))
            return output

        return hook

    def inside(self, path: str) -> Tell:
        """What is told of the tensors inside an attention."""

        def tell(side: str, tensor: torch.Tensor) -> torch.Tensor:
            for place in self.by_path.get((path, side), ()):
                tensor = self._mark(place)(tensor)
            return tensor

        return tell

    def by_hand(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        number = self.seen.marks[name]
        self.seen.marks[name] += 1
        many = self.trial is not None and self.trial.marks[name] > 1
        return self._put(tensor, f"{name}#{number}" if many else name)

    def _mark(self, place: Place) -> Replace:
        number = self.seen.calls[place]
        self.seen.calls[place] += 1
        if place.call is not None:
            chosen = number == place.call
            return lambda tensor: self._put(tensor, place.name) if chosen else tensor
        many = self.trial is not None and self.trial.calls[place] > 1
        return lambda tensor: self._put(tensor, f"{place.name}#{number}" if many else place.name)

    def _put(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        return tensor if self.act is None else self.act(tensor, name)


@contextmanager
def marked(
    model: torch.nn.Module,
    places: Sequence[Place],
    trial: Seen | None,
    act: Act | None = None,
    *,
    inside: Sequence[Place] | None = None,
) -> Iterator[Seen]:
    """Run the model with its sites marked, inside; every hook is gone after.

    Args:
        model: the model.
        places: the sites.
        trial: what a trial run met, which numbers the calls; None for the trial run itself.
        act: what is done with each site's tensor; None for nothing.
        inside: sites, marked or not, whose attentions are opened; the marked ones if None.
    """
    marker = _Marker(places, trial, act)
    with ExitStack() as stack:
        paths = attentions(model, places if inside is None else inside)
        stack.enter_context(opened(model, {path: marker.inside(path) for path in paths}))
        for path, side in marker.by_path:
            if side in INSIDE:
                continue
            module = model.get_submodule(path)
            if isinstance(module, torch.jit.ScriptModule):
                handle = _on_script(marker, path, side, module)
            elif side == "input":
                handle = module.register_forward_pre_hook(marker.pre_hook(path), with_kwargs=True)
            else:
                handle = module.register_forward_hook(marker.hook(path))
            stack.callback(handle.remove)
        stack.callback(HANDLER.reset, HANDLER.set(marker.by_hand))
        yield marker.seen


def attentions(model: torch.nn.Module, places: Sequence[Place]) -> list[str]:
    """Paths of the attentions that places lie inside."""
    found: dict[str, None] = {}
    for place in places:
        if place.side in INSIDE:
            found[place.path] = None
        parent = place.path.rpartition(".")[0]
        if parent and is_fused(model.get_submodule(parent)):
            found[parent] = None
    return list(found)


def _on_script(marker: _Marker, path: str, side: str, module: torch.nn.Module) -> Any:
    """A hook on a compiled script, which takes none: one on all modules, for it alone."""
    if side == "input":
        before = marker.pre_hook(path)
        return torch.nn.modules.module.register_module_forward_pre_hook(
            lambda one, args: before(one, args, {})[0] if one is module else None
        )
    after = marker.hook(path)
    return torch.nn.modules.module.register_module_forward_hook(
        lambda one, args, output: after(one, args, output) if one is module else None
    )


def check_seen(places: Sequence[Place], seen: Seen) -> None:
    """Every place was passed in the trial run.

    Raises:
        GraphError: some were not; all are named.
    """
    faults = [_never(place) for place in places if not seen.calls[place]]
    faults += [
        f"{place.name!r}: {place.text} asks for call {place.call}, but the module is called "
        f"{seen.calls[place]} times; calls are counted from 0."
        for place in places
        if place.call is not None and 0 < seen.calls[place] <= place.call
    ]
    taken = Counter([place.name for place in places] + list(seen.marks))
    faults += [
        f"{name!r} is used twice, by sites= and by cs.site." for name, k in taken.items() if k > 1
    ]
    check_faults(faults)


def _never(place: Place) -> str:
    mark = "mark the tensor with cs.site(tensor, name)"
    if place.side in ("h", "c"):
        return (
            f"{place.name!r}: {place.path!r} shows no state {place.side}: h is of nn.LSTM, nn.GRU "
            f"and nn.RNN, c of nn.LSTM. {mark.capitalize()}."
        )
    if place.side in INSIDE:
        return (
            f"{place.name!r}: {place.path!r} shows no {place.side}: it calls no softmax or "
            "scaled_dot_product_attention that could be watched (another attn_implementation= "
            f"may), or its family does not hand over q, k and v. {mark.capitalize()}."
        )
    return (
        f"{place.name!r}: the module {place.path!r} is never called in this forward, so it has no "
        f"{place.side}. Choose a module that is, or {mark}."
    )


def _edit_input(
    module: torch.nn.Module, place: Place, args: Any, kwargs: Mapping[str, Any], put: Replace
) -> tuple[Any, dict[str, Any]]:
    """The arguments with one of them replaced."""
    args, kwargs = list(args), dict(kwargs)
    names = [] if args and place.key in (None, 0) else _parameters(module)
    key: int | str = 0 if place.key is None else place.key
    if isinstance(key, int) and key >= len(args):
        # The argument at this place in the signature may have been passed by keyword.
        key = names[key] if key < len(names) else key
        if place.key is None and key not in kwargs:
            tensors = [k for k, v in kwargs.items() if isinstance(v, torch.Tensor)]
            key = tensors[0] if len(tensors) == 1 else key
    elif isinstance(key, str) and key not in kwargs and key in names[: len(args)]:
        key = names.index(key)
    given: Any = args if isinstance(key, int) and key < len(args) else kwargs
    have = [str(i) for i, v in enumerate(args) if _holds_tensor(v)]
    have += [k for k, v in kwargs.items() if _holds_tensor(v)]
    if key not in kwargs and given is kwargs:
        check_faults([_no_tensor(place, have)])
    given[key] = _edit_within(place, given[key], place.inner, put, have)
    return tuple(args), kwargs


def _parameters(module: torch.nn.Module) -> list[str]:
    """Names of a forward's positional parameters; none where nothing tells them."""
    try:
        found = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _holds_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _edit_within(
    place: Place, value: Any, keys: Sequence[int | str], put: Replace, have: Sequence[str]
) -> Any:
    """A value with the tensor under these keys replaced."""
    if not keys:
        if not isinstance(value, torch.Tensor):
            check_faults([_no_tensor(place, have)])
        return put(value)
    entries = _entries(value)
    key = keys[0]
    if isinstance(key, int) and isinstance(value, Mapping) and key < len(entries):
        key = list(entries)[key]
    if key not in entries:
        check_faults([_no_tensor(place, have)])
    return _with_entry(value, key, _edit_within(place, entries[key], keys[1:], put, have))


def _entries(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value.items())
    return dict(enumerate(value)) if isinstance(value, (tuple, list)) else {}


def _with_entry(value: Any, key: Any, entry: Any) -> Any:
    """A tuple, list or mapping with one entry replaced."""
    if isinstance(value, Mapping):
        changed: Any = copy.copy(value)
        changed[key] = entry
        return changed
    values = [entry if k == key else v for k, v in enumerate(value)]
    return type(value)(*values) if hasattr(value, "_fields") else type(value)(values)


def _edit_output(place: Place, output: Any, put: Replace) -> Any:
    """The output with one of its tensors replaced."""
    if isinstance(output, torch.Tensor):
        if place.key is None:
            return put(output)
        check_faults([f"{place.name!r}: {place.path} returns one tensor; write {place.path!r}."])
    entries = _entries(output)
    tensors = [k for k, v in entries.items() if isinstance(v, torch.Tensor)]
    if place.key is None and len(tensors) == 1:
        return _with_entry(output, tensors[0], put(entries[tensors[0]]))
    keys = () if place.key is None else (place.key, *place.inner)
    return _edit_within(place, output, keys, put, [str(k) for k in _tensor_places(output)])


def _tensor_places(value: Any) -> list[str]:
    """Where tensors lie in nested tuples, lists and mappings."""
    found = []
    for key, entry in _entries(value).items():
        if isinstance(entry, torch.Tensor):
            found.append(str(key))
        else:
            found += [f"{key}.{rest}" for rest in _tensor_places(entry)]
    return found


def _no_tensor(place: Place, have: Sequence[str]) -> str:
    bare = place.path
    ways = (
        ", ".join(f"{bare}:{place.side}.{k}" for k in have)
        or f"none: its {place.side} has no tensor"
    )
    return f"{place.name!r}: {place.text} does not say which tensor is meant. There is {ways}."
