"""Running the model itself up to a site, with other sites' values put in place of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import RLock
from typing import Any, Final

import torch

from causal_scrubbing._capture.trace import plain_execution
from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._places import Act, Place, Rows, Run, Seen, find_device, marked, number_fields

Tensors = Mapping[str, torch.Tensor]

HELD: Final = 2**30
"""Bytes of one clean run's values that are kept, so that each of its nodes need not run again."""


class _ReachedError(BaseException):
    """Ends a run at the site that was asked for; no `except Exception` of the model stops it."""

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = value


class Machine:
    """A model that is run up to one of its sites, the values of others put in place.

    Args:
        model: the model; its weights stay where they are.
        run: how rows are run.
        places: the sites.
        seen: what a trial run met; says which sites are calls of one module.
        output: name of the output.
        whole: always run to the end, for models that must not be left in the middle of a run.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        run: Run,
        places: Sequence[Place],
        seen: Seen,
        output: str,
        *,
        whole: bool,
    ) -> None:
        self.model = model
        self.output = output
        self.run = run
        self._seen = seen
        self._whole = whole
        self._places = tuple(places)
        self._of: dict[str, Place] = {}
        for place in places:
            count = seen.calls[place]
            many = count > 1 and place.call is None
            names = [f"{place.name}#{k}" for k in range(count)] if many else [place.name]
            self._of.update(dict.fromkeys(names, place))
        self._lock = RLock()
        self._clean: tuple[Tensors, Tensors] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Another process has a lock of its own, and runs clean rows itself.
        return {**self.__dict__, "_lock": None, "_clean": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = RLock()

    def follow(self, fields: Tensors, act: Act, names: Iterable[str] | None = None) -> torch.Tensor:
        """Run rows to the end, and act on the sites' tensors on the way.

        Args:
            fields: the fields; the model is given copies, which it may write to.
            act: what is done with each site's tensor.
            names: the sites acted on; all if None.
        """
        wanted = self._places
        if names is not None:
            chosen = {self._of[name] for name in names if name in self._of}
            wanted = tuple(place for place in self._places if place in chosen)
        rows = Rows({name: value.clone() for name, value in fields.items()})
        with (
            self._lock,
            plain_execution(),
            # The same attentions are opened in every run, for equal rounding.
            marked(self.model, wanted, self._seen, act, inside=self._places),
        ):
            return self.run(self.model, rows)

    def description(self) -> dict[str, Any]:
        """How the model is run, as plain values; what is code is left out."""
        fields = self.run.fields
        return {
            "places": [
                [one.name, one.path, one.side, one.key, one.call, list(one.inner)]
                for one in self._places
            ],
            "calls": [self._seen.calls[one] for one in self._places],
            "marks": dict(self._seen.marks),
            "fields": dict(fields) if isinstance(fields, Mapping) else fields and list(fields),
            "picked": self.run.output,
            "whole": self._whole,
        }

    def output_on(self, example: Dataset) -> torch.Tensor:
        """The output on rows of data, sites left alone."""
        device = find_device(self.model, several=True)
        with torch.no_grad():
            return self.follow(number_fields(example, device), lambda tensor, _: tensor)

    def record(self, fields: Tensors) -> dict[str, torch.Tensor]:
        """Every site's clean value, in the order in which they are passed, and the output's."""
        found: dict[str, torch.Tensor] = {}

        def act(tensor: torch.Tensor, name: str) -> torch.Tensor:
            found[name] = tensor.clone()
            return tensor

        value = self.follow(fields, act)
        site = found.pop(self.output, value)
        if site.shape != value.shape or not torch.equal(site, value):
            raise GraphError(
                f"the name {self.output!r} is used twice: for a site and for the output. Rename "
                "the site, or set output=."
            )
        found[self.output] = value
        return found

    def value(self, fields: Tensors, put: Tensors, target: str) -> torch.Tensor:
        """The value that arrives at a site, or the output.

        Args:
            fields: the fields.
            put: site -> the value it has instead of its own.
            target: the site or the output whose value is wanted.

        Raises:
            GraphError: a site is not passed on these rows.
        """
        known = self._known(fields, put, target)
        if known is not None:
            return known
        if not put and not torch.is_grad_enabled():
            found = self.record(fields)
            if sum(value.nbytes for value in found.values()) <= HELD:
                self._clean = (dict(fields), found)
            if target in found:
                return found[target]
            raise _not_passed(target)
        left = set(put)
        kept: list[torch.Tensor] = []

        def act(tensor: torch.Tensor, name: str) -> torch.Tensor:
            if name == target and name != self.output:
                if not self._whole:
                    raise _ReachedError(tensor)
                kept.append(tensor.clone())
            elif name in put:
                left.discard(name)
                return fitted(put[name], tensor)
            return tensor

        try:
            value = self.follow(fields, act, [*put, target])
        except _ReachedError as reached:
            value = reached.value
        else:
            if target != self.output:
                if not kept:
                    raise _not_passed(target)
                value = kept[0]
        if left:
            raise _not_passed(*sorted(left))
        return value

    def _known(self, fields: Tensors, put: Tensors, target: str) -> torch.Tensor | None:
        """A value of the last clean run, if this run would only repeat it."""
        held = self._clean
        if held is None or torch.is_grad_enabled() or target not in held[1]:
            return None
        if all(_equal(fields[name], held[0][name]) for name in fields) and all(
            name in held[1] and _equal(value, held[1][name]) for name, value in put.items()
        ):
            return held[1][target]
        return None


class Replay:
    """A node's function: the model, run with the parents' values put in place.

    Attributes:
        machine: the model.
        sites: the sites whose values come first among the arguments.
        fields: the fields that follow.
        target: the site whose value is returned.
    """

    __slots__ = ("fields", "machine", "sites", "target")

    def __init__(
        self, machine: Machine, sites: Sequence[str], fields: Sequence[str], target: str
    ) -> None:
        self.machine = machine
        self.sites = tuple(sites)
        self.fields = tuple(fields)
        self.target = target

    def __call__(self, *arguments: torch.Tensor) -> torch.Tensor:
        count = len(self.sites)
        put = dict(zip(self.sites, arguments[:count], strict=True))
        fields = dict(zip(self.fields, arguments[count:], strict=True))
        return self.machine.value(fields, put, self.target)

    def __repr__(self) -> str:
        return f"Replay({type(self.machine.model).__name__} up to {self.target})"


def fitted(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A copy of a value for the place of a tensor: on its device, laid out in memory like it."""
    moved = value.to(like.device)
    if moved.shape[1:] == like.shape[1:] and len(moved) == 1 != len(like):
        moved = moved.expand_as(like)
    if moved.shape == like.shape:
        # The model may view it in the shape that its own strides allow.
        return torch.empty_like(like, dtype=moved.dtype).copy_(moved)
    return moved.clone(memory_format=torch.contiguous_format)


def _equal(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one is two:
        return True
    return one.dtype == two.dtype and one.device == two.device and torch.equal(one, two)


def _not_passed(*names: str) -> GraphError:
    return GraphError(
        f"the model does not pass {', '.join(map(repr, names))} on these rows, so there is no "
        "value there: the example ran other parts of it. Choose sites that every row passes."
    )
