"""A node's function as plain values for a file: operators by name, weights by name in the model."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import torch

from causal_scrubbing._capture.batching import by_rows
from causal_scrubbing._capture.build import same
from causal_scrubbing._capture.program import Given, Made, Piece, Program, Size
from causal_scrubbing._capture.replay import Replay
from causal_scrubbing._capture.sizes import written
from causal_scrubbing._capture.tidy import filled, overwritten
from causal_scrubbing._graph import VALUES

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "by_rows": by_rows,
    "filled": filled,
    "getitem": operator.getitem,
    "overwritten": overwritten,
    "same": same,
}
"""The package's own functions that stand among a captured graph's operators."""

_NAMES: Final = {id(fn): name for name, fn in FUNCTIONS.items()}
_WORDS: Final = {torch.dtype: "dtype", torch.layout: "layout", torch.memory_format: "memory_format"}


class Encoder:
    """Encodes functions, and gathers the tensors that are not the model's.

    Args:
        weights: the model's parameters and buffers by name.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self.constants: dict[str, torch.Tensor] = {}
        self.used: set[str] = set()
        self._exact = {id(tensor): name for name, tensor in reversed(list(weights.items()))}
        self._weights = weights
        self._memory: dict[int, str] = {}
        for name, tensor in weights.items():
            if _is_plain(tensor) and tensor.is_contiguous() and tensor.numel():
                self._memory.setdefault(tensor.untyped_storage().data_ptr(), name)

    def function(self, fn: Any) -> Any:
        """A node's function.

        Raises:
            ValueError: it is code of the user's, or uses what has no form in a file.
        """
        if fn is None:
            return None
        if isinstance(fn, Piece):
            return {"piece": self._program(fn.program)}
        if isinstance(fn, Replay):
            found = {"sites": list(fn.sites), "fields": list(fn.fields), "target": fn.target}
            return {"replay": found}
        return self._target(fn)

    def _program(self, program: Program) -> Any:
        return {
            "arguments": program.arguments,
            "result": self.value(program.result),
            "steps": [
                [
                    self._target(step.target),
                    [self.value(one) for one in step.args],
                    {name: self.value(one) for name, one in step.kwargs.items()},
                ]
                for step in program.steps
            ],
        }

    def _target(self, target: Any) -> Any:
        if id(target) in _NAMES:
            return {"own": _NAMES[id(target)]}
        if isinstance(target, torch._ops.OpOverload) and target.namespace == "aten":
            return {"aten": str(target).removeprefix("aten.")}
        if type(target) in VALUES.values():
            return self.value(target)
        name = getattr(target, "__qualname__", type(target).__qualname__)
        raise ValueError(f"{name} is code, which a file does not hold")

    def value(self, value: Any) -> Any:
        """Any argument.

        Raises:
            ValueError: it has no form in a file.
        """
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            finite = value == value and abs(value) != float("inf")
            return value if finite else {"float": repr(value)}
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, Given):
            return {"given": value.index}
        if isinstance(value, Made):
            return {"made": value.index}
        if isinstance(value, Size):
            return {"size": written(value.expression), "extents": list(map(list, value.extents))}
        if isinstance(value, list):
            return {"list": [self.value(one) for one in value]}
        if isinstance(value, tuple):
            return {"tuple": [self.value(one) for one in value]}
        if isinstance(value, slice):
            return {"slice": [self.value(v) for v in (value.start, value.stop, value.step)]}
        if type(value) in _WORDS:
            return {_WORDS[type(value)]: str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return {"device": str(value)}
        if is_dataclass(value) and type(value) in VALUES.values():
            found = {one.name: self.value(getattr(value, one.name)) for one in fields(value)}
            return {"function": type(value).__name__, "fields": found}
        return self._target(value)

    def _tensor(self, tensor: torch.Tensor) -> Any:
        name = self._exact.get(id(tensor))
        if name is None and _is_plain(tensor) and tensor.numel():
            name = self._memory.get(tensor.untyped_storage().data_ptr())
        if name is not None:
            whole = self._weights[name]
            if tensor is whole:
                self.used.add(name)
                return {"weight": name}
            offset = tensor.storage_offset() - whole.storage_offset()
            last = sum(
                (n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True)
            )
            if tensor.dtype == whole.dtype and offset >= 0 and offset + last < whole.numel():
                self.used.add(name)
                view = [list(tensor.shape), list(tensor.stride()), offset]
                return {"weight": name, "view": view}
        key = next((k for k, held in self.constants.items() if held is tensor), None)
        if key is None:
            if not _is_plain(tensor):
                raise ValueError(f"a {tensor.layout} tensor has no form in a file")
            key = f"constant.{len(self.constants)}"
            self.constants[key] = tensor
        return {"constant": key}


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized
