"""Rows of a dataset, each field copied when it is first read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

import torch

Value = TypeVar("Value")


class LazyFields(Mapping[str, Value], Generic[Value]):
    """Fields made one by one, when asked for, and kept.

    Args:
        source: the fields they are made from, by the same names.
        make: what is done to one.
    """

    def __init__(self, source: Mapping[str, Value], make: Callable[[Value], Value]) -> None:
        self._source = source
        self._make = make
        self._made: dict[str, Value] = {}
        self._first: dict[str, int] = {}

    def __getitem__(self, name: str) -> Value:
        if name not in self._made:
            self._made[name] = self._make(self._source[name])
            self._first[name] = version(self._made[name])
        return self._made[name]

    @property
    def writes(self) -> dict[str, int]:
        """How often each field made so far was written to in place."""
        return {name: version(value) - self._first[name] for name, value in self._made.items()}

    def __contains__(self, name: object) -> bool:
        return name in self._source

    def __iter__(self) -> Iterator[str]:
        return iter(self._source)

    def __len__(self) -> int:
        return len(self._source)


def version(value: object) -> int:
    """How often a tensor was written to in place; 0 for what keeps no count."""
    if not isinstance(value, torch.Tensor) or value.is_inference():
        return 0
    return int(value._version)
