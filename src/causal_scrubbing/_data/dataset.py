"""The dataset D: named fields of equal length, weights, and features evaluated on it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
import torch

from causal_scrubbing._data.classes import Classes, Floats, Ints, classes_of_values, joint_classes
from causal_scrubbing._data.features import Feature, exact, feature_name, flatten_feature
from causal_scrubbing._data.fields import (
    Field,
    as_array,
    as_field,
    as_weights,
    bytes_view,
    copied,
    kind,
    move,
    take,
)
from causal_scrubbing._data.lazy import LazyFields, version
from causal_scrubbing._data.pictures import Picture, shown
from causal_scrubbing._data.real_features import RealFeature, feature_key
from causal_scrubbing._data.rounding import check_real
from causal_scrubbing._data.selection import Rows, brief, row_numbers
from causal_scrubbing._data.tables import check_name, columns_of
from causal_scrubbing._display import Displayed, html_table
from causal_scrubbing._errors import DataError, Notice
from causal_scrubbing._format import plural

if TYPE_CHECKING:
    import pandas as pd

ROW: Final = "~row"
"""Read like a field: each row's number in the dataset that the rows were taken from."""

_COLUMN = re.compile(r"^(?P<field>.+)\[(?P<column>-?\d+)\]$")


NOT_GIVEN: Final = object()


class Dataset(Displayed):
    """A finite dataset with weights: named fields, one entry a row.

    A datum is a row index. Rows with equal contents are different data. Rows of weight zero are
    dropped, with a notice. D is fixed: fields are copied when the dataset is made, and functions
    of a Dataset are given copies of what they read. What ``data["name"]`` gives is the dataset's
    own: copy it before writing into it.

    Example::

        data = cs.Dataset(tokens=tokens, balanced=labels)
        data = cs.Dataset(frame)
        data = data.with_fields(length=(tokens != pad).sum(1))

    Args:
        table: fields by name in one thing: a mapping, a pandas or polars frame, an Arrow table, a
            Hugging Face dataset or a TensorDict. An index of rows is left out.
        weights: one non-negative number a row; they are scaled to sum to one. Uniform if None.
        show: turns one row, a dict from field name to its entry, into text or a picture, for
            reports. A picture is a tensor or array [height, width], channels first or last, with
            1, 3 or 4 channels; a PIL image; or a figure. Real numbers from 0 to 1 are brightness,
            and others are scaled; integers are from 0 to 255. It is tried on the first row.
        copy: whether fields are copied. With False, large tensors are held once, not twice, and
            what was given must not be written into any more.
        **fields: tensors, arrays or lists with one entry a row (numbers, booleans or strings).

    Raises:
        DataError: a field or the weights cannot be used, or `show` fails; the message names it.
    """

    __slots__ = ("_classes", "_fields", "_n", "_output", "_rows", "_show", "_source", "_weights")

    # The first form is for ``Dataset(**fields)``, where fields is a dict of one kind of value.
    @overload
    def __init__(
        self,
        table: object = ...,
        /,
        *,
        weights: object = None,
        **fields: torch.Tensor | np.ndarray[Any, Any] | Sequence[Any],
    ) -> None: ...

    @overload
    def __init__(
        self,
        table: object = ...,
        /,
        *,
        weights: object = None,
        show: Callable[[dict[str, Any]], Any] | None = None,
        copy: bool = True,
        **fields: object,
    ) -> None: ...

    def __init__(
        self,
        table: object = NOT_GIVEN,
        /,
        *,
        weights: object = None,
        show: Any = None,
        copy: Any = True,
        **fields: object,
    ) -> None:
        given: dict[str, object] = {} if table is NOT_GIVEN else columns_of(table)
        twice = sorted(set(given) & set(fields))
        if twice:
            raise DataError(f"fields given twice, in the table and by name: {', '.join(twice)}.")
        given |= {check_name(name): value for name, value in fields.items()}
        if not given:
            raise DataError("a Dataset needs at least one field: cs.Dataset(tokens=tokens).")
        table = {
            name: as_field(value, f"field {name!r}", copy=copy) for name, value in given.items()
        }
        lengths = {name: len(value) for name, value in table.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                f"fields differ in length: {lengths}. Every field has one entry a row; "
                "give them the same length."
            )
        n = next(iter(lengths.values()))
        if n == 0:
            raise DataError("the dataset is empty: give at least one row.")
        checked = None if weights is None else as_weights(weights, n)
        if checked is not None and (checked == 0).any():
            keep = np.flatnonzero(checked > 0)
            warnings.warn(
                f"{n - len(keep)} of {n} rows have weight zero and were dropped.",
                Notice,
                stacklevel=2,
            )
            table = {name: take(value, keep) for name, value in table.items()}
            checked, n = checked[keep], len(keep)
        self._setup(table, n, None if checked is None else checked / checked.sum(), show)
        if show is not None:
            self.show(0)

    def _setup(
        self,
        fields: Mapping[str, Field],
        n: int,
        weights: Floats | None,
        show: Callable[[dict[str, Any]], Any] | None,
    ) -> None:
        if weights is not None and (weights == weights[0]).all():
            weights = None
        self._fields: Mapping[str, Field] = (
            fields if isinstance(fields, LazyFields) else dict(fields)
        )
        self._n = n
        self._weights = weights
        self._show = show
        self._output: torch.Tensor | Callable[[], torch.Tensor] | None = None
        self._rows: Ints | None = None
        self._classes: dict[Any, tuple[Any, Classes]] = {}

    @classmethod
    def _make(
        cls,
        fields: Mapping[str, Field],
        n: int,
        weights: Floats | None = None,
        show: Callable[[dict[str, Any]], Any] | None = None,
    ) -> Dataset:
        self = cls.__new__(cls)
        self._setup(fields, n, weights, show)
        return self

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[str]:
        raise TypeError(
            "a Dataset is not iterable: use data.field_names for its fields, data[i:j] for rows."
        )

    def __contains__(self, name: object) -> bool:
        return name in self._fields or name == ROW

    def __repr__(self) -> str:
        fields = ", ".join(
            f"{name}: {kind(value)}{list(value.shape[1:]) if value.ndim > 1 else ''}"
            for name, value in self._fields.items()
        )
        weighted = "" if self._weights is None else ", weighted"
        return f"Dataset({self._n} {plural(self._n, 'row')}{weighted}; {fields})"

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names of the fields, in the order given."""
        return tuple(self._fields)

    @property
    def weights(self) -> Floats:
        """Weight of each row, float64 [n], summing to one."""
        return np.full(self._n, 1.0 / self._n) if self._weights is None else self._weights

    @property
    def is_uniform(self) -> bool:
        """Whether all rows weigh the same."""
        return self._weights is None

    @property
    def model_output(self) -> torch.Tensor:
        """The model's own output on these rows; set on the rows that a metric is given.

        Raises:
            DataError: these rows did not come from a run.
        """
        if self._output is None:
            raise DataError(
                "these rows carry no model_output: it is set only on the rows that a metric is "
                "given during a run."
            )
        if not isinstance(self._output, torch.Tensor):
            self._output = self._output()
        return self._output

    @property
    def writes(self) -> dict[str, int]:
        """How often each field at hand, and ``model_output``, was written to in place."""
        fields = self._fields
        found = (
            fields.writes
            if isinstance(fields, LazyFields)
            else {name: version(value) for name, value in fields.items()}
        )
        return {f"field {name!r}": times for name, times in found.items()} | {
            "rows.model_output": version(self._output)
        }

    @overload
    def __getitem__(self, key: str) -> Any: ...

    @overload
    def __getitem__(self, key: Rows) -> Dataset: ...

    def __getitem__(self, key: str | Rows) -> Any:
        """A field by name (or ``"field[3]"``, a column of it), or some of the rows.

        A subset's weights are scaled to sum to one again.
        """
        if isinstance(key, str):
            return self._field(key)
        rows = row_numbers(key, self._n)
        if len(rows) == 0:
            raise DataError("no row is left: the rows chosen are empty.")
        weights = None if self._weights is None else self._weights[rows]
        if weights is not None:
            weights = weights / weights.sum()
        fields = {name: take(value, rows) for name, value in self._fields.items()}
        return Dataset._make(fields, len(rows), weights, self._show)

    def _field(self, key: str) -> Field:
        if key in self._fields:
            return self._fields[key]
        if key == ROW:
            return torch.as_tensor(np.arange(self._n) if self._rows is None else self._rows)
        match = _COLUMN.match(key)
        if match and match["field"] in self._fields:
            value, column = self._fields[match["field"]], int(match["column"])
            if value.ndim < 2 or not -value.shape[1] <= column < value.shape[1]:
                raise DataError(
                    f"{key!r}: field {match['field']!r} has shape {list(value.shape)}, "
                    f"so it has no column {column}."
                )
            return value[:, column]
        near = get_close_matches(key, list(self._fields), n=3)
        hint = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
        raise DataError(
            f"the dataset has no field {key!r}; it has {', '.join(self._fields)}.{hint} "
            "Add one with data.with_fields(...)."
        )

    def take(self, rows: Ints, device: torch.device | str | None = None) -> Dataset:
        """The given rows in the given order, repeats allowed, each of equal weight.

        Args:
            rows: row numbers, int64 [N].
            device: where the tensors shall be; where they are if None.
        """
        fields = {name: move(take(field, rows), device) for name, field in self._fields.items()}
        return self._taken(fields, rows)

    def lazy(self, rows: Ints, device: torch.device | str | None = None) -> Dataset:
        """`take`, for rows that do not outlive this dataset: a field is copied when first read."""
        return self._taken(
            LazyFields(self._fields, lambda field: move(take(field, rows), device)), rows
        )

    def _taken(self, fields: Mapping[str, Field], rows: Ints) -> Dataset:
        """Some rows, which still know their numbers in the dataset that they were taken from."""
        found = Dataset._make(fields, len(rows), None, self._show)
        found._rows = rows if self._rows is None else self._rows[rows]
        return found

    def sample(self, n: int, *, seed: int = 0) -> Dataset:
        """Some of the rows, chosen at random without replacement, in row order.

        The subset is a dataset of its own, whose expectations are near those of the whole: use it
        where the whole is too large to run the model on. Rows keep their weights, scaled to sum to
        one.

        Args:
            n: how many rows.
            seed: the same seed, the same rows.

        Returns:
            A dataset of n rows.

        Raises:
            DataError: `n` is not a number of rows that the dataset has.

        Example:
            >>> import causal_scrubbing as cs
            >>> len(cs.Dataset(x=range(1000)).sample(10))
            10
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 0 < n <= self._n:
            raise DataError(f"sample({n!r}): give a number of rows from 1 to {self._n}.")
        return self[np.sort(np.random.default_rng(seed).choice(self._n, int(n), replace=False))]

    def to_pandas(self) -> pd.DataFrame:
        """The fields as a `pandas.DataFrame`, one row a row.

        A field with several columns becomes a column of arrays. Weights are no field; they are
        `data.weights`.

        Returns:
            A frame, of which ``cs.Dataset(frame)`` makes a dataset with equal fields again.

        Example:
            >>> import causal_scrubbing as cs
            >>> list(cs.Dataset(x=[1, 2], word=["a", "b"]).to_pandas().columns)
            ['x', 'word']
        """
        import pandas as pd

        arrays = {name: as_array(value) for name, value in self._fields.items()}
        return pd.DataFrame(
            {name: list(value) if value.ndim > 1 else value for name, value in arrays.items()}
        )

    def _apart(self) -> Dataset:
        """The same rows, each field copied when first read, for functions that may write in it."""
        apart = Dataset._make(LazyFields(self._fields, copied), self._n, self._weights, self._show)
        apart._output = self._output
        return apart

    def with_fields(self, **fields: object) -> Dataset:
        """The same rows and weights with fields added or replaced.

        A field may be given as a function of the dataset.
        """
        table = dict(self._fields)
        for name, value in fields.items():
            values = value(self._apart()) if callable(value) else value
            table[check_name(name)] = as_field(values, f"field {name!r}")
            if len(table[name]) != self._n:
                raise DataError(
                    f"field {name!r} has {len(table[name])} entries for {self._n} rows; "
                    "give one a row (rows of weight zero were dropped when the data was made)."
                )
        return Dataset._make(table, self._n, self._weights, self._show)

    def with_model_output(self, output: torch.Tensor | Callable[[], torch.Tensor]) -> Dataset:
        """The same rows, carrying the model's own output on them (made when first asked for)."""
        copy = Dataset._make(self._fields, self._n, self._weights, self._show)
        copy._output = output
        copy._rows = self._rows
        return copy

    def _repr_html_(self) -> str:
        rows = [
            [str(row), *(brief(take(value, np.array([row]))[0]) for value in self._fields.values())]
            for row in range(min(self._n, 5))
        ]
        return html_table(repr(self), ["row", *self._fields], rows)

    def show(self, row: int) -> str | Picture:
        """One row as a person should see it: what `show=` makes of it, else its fields as text.

        Args:
            row: the row's number.

        Returns:
            Text, or a picture as uint8 [height, width, 3].

        Raises:
            DataError: there is no such row, or `show=` fails on it.
        """
        if not -self._n <= row < self._n:
            raise DataError(f"show({row}): there is no such row; rows are 0 to {self._n - 1}.")
        entry = {
            name: take(value, np.array([row % self._n]))[0] for name, value in self._fields.items()
        }
        if self._show is not None:
            try:
                return shown(self._show(entry))
            except Exception as error:
                said = str(error) if isinstance(error, DataError) else f"it failed, {error!r}"
                raise DataError(
                    f"show= on row {row}: {said} It is given one row, a dict from field name to "
                    "entry, and returns text or a picture."
                ) from error
        return ", ".join(f"{name}={brief(value)}" for name, value in entry.items())

    def evaluate(self, feature: Feature) -> Field:
        """The values of a field or function feature on every row.

        Raises:
            DataError: the feature fails, or does not give one value a row.
        """
        if isinstance(feature, str):
            return self._field(feature)
        what = f"feature {feature_name(feature)!r}"
        if not callable(feature):
            raise DataError(f"{what} has no values of its own; ask data.classes for its classes.")
        try:
            # On a copy, for a function that writes into what it reads must not change D.
            values = feature(self._apart())
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"{what} failed on the dataset: {type(error).__name__}: {error}"
            ) from error
        field = as_field(values, what, copy=False)
        if len(field) != self._n:
            raise DataError(
                f"{what} gave {len(field)} values for {self._n} rows; a feature is a function of a "
                "Dataset that returns one value (or one row of values) for each row."
            )
        return field

    def classes(self, feature: Feature) -> Classes:
        """The classes of rows on which the feature is equal; each feature is evaluated once.

        Real numbers are compared exactly. Where rounding has split the classes, that is an error;
        see `rounded`, `bins`, `quantiles` and `distinct`.

        Raises:
            DataError: the feature fails, gives the wrong number of values, or NaN, or rounding has
                split its classes.
        """
        parts = flatten_feature(feature)
        if parts == (exact,):
            return self._cached(exact, lambda: Classes(np.arange(self._n), self._n, self._weights))
        if len(parts) != 1:
            return self._cached(
                parts,
                lambda: joint_classes([self.classes(p) for p in parts], self._n, self._weights),
            )

        def evaluate() -> Classes:
            name = feature_name(parts[0])
            values = self.evaluate(parts[0])
            plain = classes_of_values(values, self._n, f"feature {name!r}")
            if isinstance(values, torch.Tensor) and not isinstance(parts[0], RealFeature):
                check_real(values, plain, name)
            return Classes(plain.ids, plain.count, self._weights)

        return self._cached(parts[0], evaluate)

    def _cached(self, feature: Any, make: Callable[[], Classes]) -> Classes:
        # Functions are known by identity; keeping them in the entry keeps that identity alive.
        key = feature_key(feature)
        if key not in self._classes:
            self._classes[key] = (feature, make())
        return self._classes[key][1]

    @property
    def fingerprint(self) -> str:
        """A hash of all fields and weights: equal data, equal fingerprint."""
        digest = blake2b(digest_size=16)
        for name in sorted(self._fields):
            value = self._fields[name]
            array = bytes_view(value)
            digest.update(f"{name}|{kind(value)}|{list(value.shape)}|".encode())
            digest.update(array.tobytes())
        digest.update(b"uniform" if self._weights is None else self._weights.tobytes())
        return digest.hexdigest()
