"""Hooks that put the sites of a run through the marker, and leave nothing behind."""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from causal_scrubbing._capture.marker import HANDLER, MARK
from causal_scrubbing._capture.places import Place, check_faults

Replace = Callable[[torch.Tensor], torch.Tensor]


class Seen:
    """What a run met: how often each place was passed, and each name marked by hand.

    Attributes:
        calls: place -> how often it was passed.
        marks: name given by hand -> how often.
        tensors: the marked tensors of an exporting run.
        names: their sites.
    """

    def __init__(self) -> None:
        self.calls: Counter[Place] = Counter()
        self.marks: Counter[str] = Counter()
        self.tensors: list[torch.Tensor] = []
        self.names: list[str] = []

    def forget(self) -> None:
        """Begin a new run."""
        self.calls.clear()
        self.marks.clear()
        self.tensors.clear()
        self.names.clear()


class _Marker:
    """One run under hooks: counts the calls, and in the exporting run marks the tensors."""

    def __init__(self, places: Sequence[Place], trial: Seen | None) -> None:
        self.trial = trial
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
        if self.trial is None:
            return tensor
        marked: torch.Tensor = MARK(tensor, name)
        self.seen.tensors.append(marked)
        self.seen.names.append(name)
        return marked


@contextmanager
def marked(model: torch.nn.Module, places: Sequence[Place], trial: Seen | None) -> Iterator[Seen]:
    """Run the model with its sites marked, inside; every hook is gone after.

    Args:
        model: the model.
        places: the sites.
        trial: what a trial run met, for the exporting run; None for the trial run itself.
    """
    marker = _Marker(places, trial)
    modules = dict(model.named_modules(remove_duplicate=False))
    with ExitStack() as stack:
        for path, side in marker.by_path:
            if side == "input":
                handle = modules[path].register_forward_pre_hook(
                    marker.pre_hook(path), with_kwargs=True
                )
            else:
                handle = modules[path].register_forward_hook(marker.hook(path))
            stack.callback(handle.remove)
        stack.callback(HANDLER.reset, HANDLER.set(marker.by_hand))
        yield marker.seen


def check_seen(places: Sequence[Place], seen: Seen) -> None:
    """Every place was passed in the trial run.

    Raises:
        GraphError: some were not; all are named.
    """
    faults = [
        f"{place.name!r}: the module {place.path!r} is never called in this forward, so it has no "
        f"{place.side}. Choose a module that is, or mark the tensor with cs.site(tensor, name)."
        for place in places
        if not seen.calls[place]
    ]
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


def _edit_input(
    module: torch.nn.Module, place: Place, args: Any, kwargs: Mapping[str, Any], put: Replace
) -> tuple[Any, dict[str, Any]]:
    """The arguments with one of them replaced."""
    args, kwargs = list(args), dict(kwargs)
    names = [
        p.name
        for p in inspect.signature(module.forward).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
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
    if (key not in kwargs and given is kwargs) or not isinstance(given[key], torch.Tensor):
        have = [str(i) for i, v in enumerate(args) if isinstance(v, torch.Tensor)]
        have += [k for k, v in kwargs.items() if isinstance(v, torch.Tensor)]
        check_faults([_no_tensor(place, have)])
    given[key] = put(given[key])
    return tuple(args), kwargs


def _edit_output(place: Place, output: Any, put: Replace) -> Any:
    """The output with one of its tensors replaced."""
    if isinstance(output, torch.Tensor):
        if place.key is None:
            return put(output)
        check_faults([f"{place.name!r}: {place.path} returns one tensor; write {place.path!r}."])
    entries = dict(output.items()) if isinstance(output, Mapping) else dict(enumerate(output))
    tensors = [k for k, v in entries.items() if isinstance(v, torch.Tensor)]
    key = place.key
    if key is None and len(tensors) == 1:
        key = tensors[0]
    elif isinstance(key, int) and isinstance(output, Mapping) and key < len(entries):
        key = list(entries)[key]
    if key not in tensors:
        check_faults([_no_tensor(place, [str(k) for k in tensors])])
    replaced = put(entries[key])
    if isinstance(output, Mapping):
        changed: Any = copy.copy(output)
        changed[key] = replaced
        return changed
    values = [replaced if k == key else v for k, v in entries.items()]
    return type(output)(*values) if hasattr(output, "_fields") else type(output)(values)


def _no_tensor(place: Place, have: Sequence[str]) -> str:
    bare = place.path
    ways = (
        ", ".join(f"{bare}:{place.side}.{k}" for k in have)
        or f"none: its {place.side} has no tensor"
    )
    return f"{place.name!r}: {place.text} does not say which tensor is meant. There is {ways}."
