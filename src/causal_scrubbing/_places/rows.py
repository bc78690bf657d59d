"""How rows are run through the model: fields in, one tensor out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError

Forward = Callable[[Any, Any], Any]


class Rows:
    """The rows a forward reads while it is traced: fields by name, nothing else of a Dataset.

    Reading a field notes it, so that the captured graph has the inputs that matter and no more.
    """

    def __init__(self, fields: Mapping[str, torch.Tensor], known: Sequence[str] = ()) -> None:
        self._fields = dict(fields)
        self._known = tuple(known) or tuple(fields)
        self.read: dict[str, None] = {}

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names of the fields."""
        return self._known

    def keys(self) -> tuple[str, ...]:
        """Names of the fields with numbers, so that ``model(**rows)`` passes them by keyword."""
        return tuple(self._fields)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self._fields:
            what = "holds strings" if name in self._known else "is no field of the example"
            raise GraphError(
                f"forward reads rows[{name!r}], which {what}. Fields with numbers: "
                f"{', '.join(self._fields)}."
            )
        self.read[name] = None
        return self._fields[name]

    def __len__(self) -> int:
        raise GraphError(
            "forward takes len(rows), which would fix the number of rows for good; use "
            "rows[field].shape[0]."
        )


def number_fields(example: Dataset, device: torch.device | None) -> dict[str, torch.Tensor]:
    """The fields of an example that hold numbers, on the model's device."""
    return {
        name: example[name] if device is None else example[name].to(device)
        for name in example.field_names
        if not isinstance(example[name], np.ndarray)
    }


def make_forward(
    fields: Sequence[str] | Mapping[str, str] | None,
    forward: Forward | None,
    example: Dataset,
    output: str,
) -> Run:
    """The function that runs rows and picks the output.

    Args:
        fields: fields passed in order, or keyword -> field.
        forward: how the user runs a row, instead.
        example: some rows.
        output: name of the output; an entry of that name is taken from a result with several.

    Raises:
        GraphError: both or neither way is given, or a field is missing.
    """
    if forward is not None and fields is not None:
        raise GraphError(
            "capture takes fields= or forward=, not both: forward= reads its own rows."
        )
    if forward is None and fields is None:
        if len(example.field_names) != 1:
            raise GraphError(
                f"the example has the fields {', '.join(example.field_names)}: say which the model "
                f"takes, fields=[{example.field_names[0]!r}], or how it is run, "
                "forward=lambda model, rows: model(rows['tokens'], mask=rows['mask'])."
            )
        fields = list(example.field_names)
    if isinstance(fields, str):
        raise GraphError(f"fields={fields!r} is a string; write a list, [{fields!r}].")
    for field in fields.values() if isinstance(fields, Mapping) else fields or ():
        if field not in example:
            raise GraphError(
                f"fields: the example has no field {field!r}; it has "
                f"{', '.join(example.field_names)}."
            )

    return Run(fields, forward, output)


@dataclass(frozen=True, eq=False)
class Run:
    """How rows are run; arguments as of `make_forward`, one of the first two given."""

    fields: Sequence[str] | Mapping[str, str] | None
    forward: Forward | None
    output: str

    def __call__(self, model: torch.nn.Module, rows: Rows) -> torch.Tensor:
        """The output of a model on rows."""
        if self.forward is not None:
            return pick_output(self.forward(model, rows), self.output, own=True)
        if isinstance(self.fields, Mapping):
            named = {keyword: rows[field] for keyword, field in self.fields.items()}
            return pick_output(model(**named), self.output)
        return pick_output(model(*(rows[field] for field in self.fields or ())), self.output)


def pick_output(result: Any, output: str, *, own: bool = False) -> torch.Tensor:
    """The one tensor that is the output: the result, its only tensor, or its entry of that name.

    Raises:
        GraphError: there is no such tensor, or several and none has the name.
    """
    if isinstance(result, torch.Tensor):
        return result
    entries: dict[Any, Any] = {}
    if isinstance(result, Mapping):
        entries = dict(result.items())
    elif isinstance(result, (tuple, list)):
        names = getattr(result, "_fields", range(len(result)))
        entries = dict(zip(names, result, strict=True))
    tensors = {k: v for k, v in entries.items() if isinstance(v, torch.Tensor)}
    if output in tensors:
        return tensors[output]
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    who = "forward" if own else "the model"
    if not tensors:
        raise GraphError(
            f"{who} returned {type(result).__name__}, which holds no tensor; return the one tensor "
            "that is the output."
        )
    first = next(iter(tensors))
    pick = f"[{first!r}]" if isinstance(first, str) else f"[{first}]"
    raise GraphError(
        f"{who} returned several tensors ({', '.join(map(str, tensors))}). Say which is the "
        f"output: forward=lambda model, rows: model(...){pick}, or name it, output={str(first)!r}."
    )
