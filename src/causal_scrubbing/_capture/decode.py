"""A node's function from the plain values of a file: known operators alone, checked one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

import torch

from causal_scrubbing._capture.encode import FUNCTIONS
from causal_scrubbing._capture.program import Given, Made, Piece, Program, Size, Step, made_in
from causal_scrubbing._capture.replay import Machine, Replay
from causal_scrubbing._capture.sizes import read
from causal_scrubbing._graph import VALUES

_OPERATOR: Final = re.compile(
    r"(?P<name>[A-Za-z]\w*|__(?:and|or|xor|lshift|rshift)__)\.(?P<overload>[A-Za-z]\w*)"
)
_REFUSED: Final = ("from_file", "set_data", "record_stream")
_WORDS: Final = {
    "dtype": torch.dtype,
    "layout": torch.layout,
    "memory_format": torch.memory_format,
}


class Decoder:
    """Decodes functions.

    Args:
        weights: the model's parameters and buffers by name.
        constants: the file's own tensors.
        device: where the model is, which stands for the device of the capture.
        machine: runs the model for the nodes of a graph made by hooks; None for another.
    """

    def __init__(
        self,
        weights: Mapping[str, torch.Tensor],
        constants: Mapping[str, torch.Tensor],
        device: torch.device | None,
        machine: Machine | None,
    ) -> None:
        self._weights = weights
        self._constants = constants
        self._device = device
        self._machine = machine

    def function(self, found: Any, arguments: int) -> Callable[..., Any] | None:
        """A node's function.

        Args:
            found: the plain value.
            arguments: how many parents the node has.

        Raises:
            ValueError: it is not of the form that a file has.
        """
        if found is None:
            return None
        if not expect(found, dict, "a function"):
            raise ValueError("a function is empty")
        (kind, body), *more = found.items()
        if kind == "piece":
            program = self._program(expect(body, dict, "a piece"), arguments)
            return Piece(program)
        if kind == "replay" and self._machine is not None:
            sites, names = (strings(body[part], part) for part in ("sites", "fields"))
            target = expect(body["target"], str, "a target")
            return Replay(self._machine, sites, names, target)
        del more
        return self._target(found)

    def _program(self, body: Mapping[str, Any], arguments: int) -> Program:
        steps = []
        count = expect(body["arguments"], int, "the number of arguments")
        if count != arguments:
            raise ValueError(f"a piece takes {count} arguments, and its node has {arguments}")
        for i, entry in enumerate(expect(body["steps"], list, "the steps")):
            target, args, kwargs = expect(entry, list, "a step")
            named = expect(kwargs, dict, "named arguments")
            if not all(name.isidentifier() for name in named):
                raise ValueError("a named argument has no name of Python's")
            step = Step(
                self._target(target),
                tuple(self.value(one, count) for one in expect(args, list, "arguments")),
                {name: self.value(one, count) for name, one in named.items()},
            )
            if any(not 0 <= used < i for used in made_in([step.args, step.kwargs])):
                raise ValueError(f"step {i} reads a step that is not before it")
            steps.append(step)
        result = self.value(body["result"], count)
        if not isinstance(result, (Given, Made)) or (
            isinstance(result, Made) and result.index not in range(len(steps))
        ):
            raise ValueError("the result of a piece is one of its values")
        return Program(count, tuple(steps), result)

    def _target(self, found: Any) -> Callable[..., Any]:
        entry = expect(found, dict, "an operator")
        if "own" in entry:
            return FUNCTIONS[entry["own"]]
        if "aten" in entry:
            return _aten(expect(entry["aten"], str, "an operator"))
        value = self.value(found, 0)
        if not callable(value):
            raise ValueError(f"{found!r} is not a function")
        made: Callable[..., Any] = value
        return made

    def value(self, found: Any, count: int) -> Any:
        """Any argument.

        Args:
            found: the plain value.
            count: how many arguments the piece has.

        Raises:
            ValueError: it is not of the form that a file has.
        """
        if found is None or isinstance(found, (bool, int, str, float)):
            return found
        entry = expect(found, dict, "an argument")
        kind = next(iter(entry), "")
        body = entry.get(kind)
        if kind == "float" and body in ("nan", "inf", "-inf"):
            return float(body)
        if kind in ("list", "tuple", "slice"):
            parts = [self.value(one, count) for one in expect(body, list, kind)]
            return {"list": list, "tuple": tuple, "slice": lambda p: slice(*p)}[kind](parts)  # type: ignore[operator]
        if kind in ("given", "made"):
            index = expect(body, int, kind)
            if kind == "given" and not 0 <= index < count:
                raise ValueError(f"there is no argument {index}")
            return Given(index) if kind == "given" else Made(index)
        if kind == "size":
            return _size(body, expect(entry["extents"], list, "extents"), count)
        if kind in _WORDS:
            word = getattr(torch, expect(body, str, kind), None)
            if not isinstance(word, _WORDS[kind]):
                raise ValueError(f"{body!r} is no {kind} of torch")
            return word
        if kind == "device":
            return self._device or torch.device(expect(body, str, kind))
        if kind in ("weight", "constant"):
            return self._tensor(entry)
        if kind == "function":
            return self._made(entry, count)
        return self._target(found)

    def _made(self, entry: Mapping[str, Any], count: int) -> Any:
        cls = VALUES[entry["function"]]
        given = expect(entry["fields"], dict, "fields")
        known = {one.name for one in fields(cls)}
        if set(given) != known:
            raise ValueError(f"{cls.__name__} has the fields {sorted(known)}, not {sorted(given)}")
        return cls(**{name: self.value(one, count) for name, one in given.items()})

    def _tensor(self, entry: Mapping[str, Any]) -> torch.Tensor:
        if "constant" in entry:
            return self._constants[entry["constant"]]
        whole = self._weights[entry["weight"]]
        if "view" not in entry:
            return whole
        shape, strides, offset = entry["view"]
        sizes, steps = (numbers(one, "a view") for one in (shape, strides))
        if len(sizes) != len(steps) or type(offset) is not int or offset < 0:
            raise ValueError("a view has a shape, as many strides and an offset")
        last = sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
        if not whole.is_contiguous() or offset + last >= whole.numel() or min(sizes, default=1) < 1:
            raise ValueError(f"a view lies outside of {entry['weight']!r}")
        return torch.as_strided(whole, sizes, steps, whole.storage_offset() + offset)


def _size(body: Any, extents: Sequence[Any], count: int) -> Size:
    places = []
    for extent in extents:
        position, dim = numbers(extent, "an extent")
        if position >= count:
            raise ValueError(f"there is no argument {position}")
        places.append((position, dim))
    return Size(read(body, len(places)), tuple(places))


def _aten(name: str) -> Callable[..., Any]:
    """An operator of ATen that only computes."""
    parsed = _OPERATOR.fullmatch(name)
    packet = None if parsed is None else getattr(torch.ops.aten, parsed["name"], None)
    found = None if parsed is None else getattr(packet, parsed["overload"], None)
    if not isinstance(found, torch._ops.OpOverload) or found._schema.is_mutable:
        raise ValueError(f"{name!r} is no operator of ATen that only computes")
    if parsed is not None and parsed["name"] in _REFUSED:
        raise ValueError(f"the operator {name!r} is not allowed in a file")
    return found


def expect(value: Any, kind: type[Any], what: str) -> Any:
    """A value of a kind.

    Raises:
        ValueError: it is of another.
    """
    if type(value) is not kind:
        raise ValueError(f"{what} is {type(value).__name__}, not {kind.__name__}")
    return value


def numbers(value: Any, what: str) -> list[int]:
    """Integers, none below 0."""
    found = expect(value, list, what)
    if not all(type(one) is int and one >= 0 for one in found):
        raise ValueError(f"{what} holds what is no size")
    return list(found)


def strings(value: Any, what: str) -> list[str]:
    """A list of texts."""
    found = expect(value, list, what)
    if not all(type(one) is str for one in found):
        raise ValueError(f"{what} holds what is no text")
    return list(found)
