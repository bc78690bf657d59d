"""Fields: what a user gives, checked, as a tensor or an array of strings."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._data.classes import Floats, Ints
from causal_scrubbing._errors import DataError

Field: TypeAlias = torch.Tensor | npt.NDArray[np.str_]

_WIDER: Final = {
    torch.uint16: torch.int32,
    torch.uint32: torch.int64,
    torch.uint64: torch.int64,
}
"""Types of which a tensor can be made but not indexed, and what holds their numbers."""


def as_field(value: object, what: str, *, copy: bool = True) -> Field:
    """A field, one entry a row: a tensor, or an array of strings.

    Args:
        value: a tensor, an array, or a list of numbers, booleans, strings or tensors.
        what: what it is, for errors.
        copy: whether it must not share memory with what was given.

    Raises:
        DataError: it cannot be used.
    """
    if isinstance(value, torch.Tensor):
        return _as_tensor(value.detach(), what, copy)
    if isinstance(value, list | tuple) and any(isinstance(v, torch.Tensor) for v in value):
        try:
            stacked = torch.stack([torch.as_tensor(v) for v in value])
        except (RuntimeError, TypeError) as error:
            raise DataError(
                f"{what}: its entries differ in shape; pad them to one shape."
            ) from error
        return _as_tensor(stacked, what, False)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"{what}: its entries differ in length; pad them to one length.") from error
    if array.dtype == object and all(isinstance(v, str) for v in array.reshape(-1)):
        array = array.astype(np.str_)
    if array.dtype.kind == "U":
        if isinstance(value, list | tuple) and not all(isinstance(v, str) for v in value):
            raise DataError(
                f"{what} mixes strings with other things: give strings only, or numbers only."
            )
        if array.ndim != 1:
            raise DataError(f"{what}: strings come one a row, not in shape {list(array.shape)}.")
        return array.copy() if copy else array
    if array.dtype.kind not in "biufc":
        raise DataError(
            f"{what} has dtype {array.dtype}: give numbers, booleans or strings, one a row."
        )
    plain = array.dtype.newbyteorder("=")
    if plain.kind in "fc" and plain.itemsize > (8 if plain.kind == "f" else 16):
        raise DataError(
            f"{what} has dtype {array.dtype}, which no tensor has: give double precision, "
            ".astype('float64')."
        )
    fits = array.flags.writeable and min(array.strides, default=0) >= 0 and array.dtype == plain
    if copy or not fits:
        array = array.astype(plain, order="C")
    return _as_tensor(torch.as_tensor(array), what, False)


def _as_tensor(tensor: torch.Tensor, what: str, copy: bool) -> torch.Tensor:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise DataError(f"{what} is sparse or quantized: give plain numbers, .to_dense().")
    if tensor.ndim == 0:
        raise DataError(f"{what} is a single number: give one entry a row.")
    if tensor.dtype in _WIDER:
        wide = tensor.to(_WIDER[tensor.dtype])
        if tensor.dtype == torch.uint64 and bool((wide < 0).any()):
            raise DataError(f"{what} has numbers of 2**63 and more, which no int64 holds.")
        return wide
    plain = tensor.resolve_conj().resolve_neg()
    return plain.clone() if copy and plain.data_ptr() == tensor.data_ptr() else plain


def as_weights(value: object, n: int) -> Floats:
    """Weights, one a row, finite and not negative.

    Raises:
        DataError: they are not.
    """
    plain = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
    weights = np.asarray(plain, dtype=np.float64)
    if weights.shape != (n,):
        raise DataError(
            f"weights have shape {list(weights.shape)}: give one number for each of {n} rows."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        bad = int(np.flatnonzero(~np.isfinite(weights) | (weights < 0))[0])
        raise DataError(f"weights[{bad}] is {weights[bad]}: weights are finite and not negative.")
    if weights.sum() <= 0:
        raise DataError("all weights are zero: give at least one row a positive weight.")
    return weights


def as_array(value: Field) -> npt.NDArray[Any]:
    """A field as an array of its own; half precision with fewer bits than numpy has, as single."""
    if isinstance(value, np.ndarray):
        return value.astype(object)
    plain = value.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy().copy()


def take(value: Field, rows: Ints) -> Field:
    """The rows of a field, copied."""
    if isinstance(value, np.ndarray):
        return value[rows]
    return value.index_select(0, torch.as_tensor(rows, device=value.device))


def move(value: Field, device: torch.device | str | None) -> Field:
    """A field on a device; strings stay."""
    return value if device is None or isinstance(value, np.ndarray) else value.to(device)


def copied(value: Field) -> Field:
    """A field that shares no memory with the given one."""
    return value.copy() if isinstance(value, np.ndarray) else value.clone()


def kind(value: Field) -> str:
    """The type of a field's entries, in a word."""
    return "str" if isinstance(value, np.ndarray) else str(value.dtype).removeprefix("torch.")


def bytes_view(value: Field) -> npt.NDArray[Any]:
    """What a field holds, as bytes."""
    if isinstance(value, np.ndarray):
        return np.char.encode(value, "utf-8")
    flat = value.detach().cpu().contiguous()
    if flat.is_complex():
        flat = torch.view_as_real(flat)
    return flat.view(torch.uint8).numpy() if flat.ndim and flat.numel() else np.zeros(0)
