"""Which rows and samples a page shows, within the room it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from causal_scrubbing._data import (
    Dataset,
    Feature,
    Ints,
    anything,
    exact,
    feature_name,
    flatten_feature,
)
from causal_scrubbing._errors import CausalScrubbingError
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._page import BlockData, ClassExample, FieldData, Shown, SteppedData, shown
from causal_scrubbing._result.views import RunViews
from causal_scrubbing._statistics import FloatArray

MOST_STEPPED: Final = 300
MOST_CHARACTERS: Final = 700_000
"""Of rows shown as text or image."""

MOST_SEARCHED: Final = 600_000
"""Characters of text to search, over all reference rows."""

MOST_FIELDS: Final = 24
MOST_FIELD_BYTES: Final = 6_000_000
MOST_LEVELS: Final = 60
MOST_CLASSES: Final = 12
EXAMPLES: Final = 3
MOST_OUTPUTS: Final = 6


class Shelf:
    """Rows that are shown, each once, until there is no more room."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self.place: dict[int, int] = {}
        self.shown: list[Shown] = []
        self.room = MOST_CHARACTERS

    def add(self, rows: Sequence[int]) -> bool:
        """Show these rows, all or none; whether there was room for them."""
        new = [row for row in dict.fromkeys(rows) if row not in self.place]
        entries = [shown(self._data.show(row)) for row in new]
        size = sum(one.size + 20 for one in entries)
        if size > self.room and self.shown:
            return False
        self.room -= size
        for row, one in zip(new, entries, strict=True):
            self.place[row] = len(self.shown)
            self.shown.append(one)
        return True


def stepped(
    result: RunViews, blocks: Sequence[BlockData], worst_first: Ints | None
) -> tuple[SteppedData, tuple[tuple[ClassExample, ...], ...]] | None:
    """Samples to look at one by one, and classes of each block with some of their rows."""
    if result.data is None:
        return None
    shelf = Shelf(result.data)
    keys = [REFERENCE, *(block.key for block in blocks)]
    drawn = np.stack([result.drawn[key] for key in keys], 1)
    chosen: list[int] = []
    shelf.room = int(0.8 * MOST_CHARACTERS)
    for sample in _order(len(result), worst_first):
        if len(chosen) == MOST_STEPPED or not shelf.add([int(row) for row in drawn[sample]]):
            break
        chosen.append(sample)
    chosen.sort()
    shelf.room += int(0.2 * MOST_CHARACTERS)
    features = _block_features(result, blocks)
    each: dict[Feature | None, _Named] = {}
    for feature in features:
        if feature not in each:
            each[feature] = _Named(result.data, feature)
    named = [each[feature] for feature in features]
    examples = tuple(one.examples(shelf) for one in named)
    names = np.array(list(shelf.place), dtype=np.int64)
    texts: dict[str, int] = {}
    values = np.array(
        [[texts.setdefault(one.value(int(row)), len(texts)) for one in named] for row in names]
    ).reshape(len(names), len(named))
    place = np.array([[shelf.place[int(row)] for row in drawn[k]] for k in chosen])
    return SteppedData(
        samples=np.array(chosen, dtype=np.int32),
        rows=place.astype(np.int32),
        names=names.astype(np.int32),
        shown=shelf.shown,
        values=values.astype(np.int32),
        classes=list(texts),
        outputs=_outputs(result, chosen),
    ), examples


def _order(n: int, worst_first: Ints | None) -> list[int]:
    """Samples by turns from the worst, the best and the first on."""
    first = np.arange(n)
    if worst_first is None:
        return [int(i) for i in first[: 2 * MOST_STEPPED]]
    most = min(n, MOST_STEPPED)
    turns = np.stack([worst_first[:most], worst_first[::-1][:most], first[:most]], 1)
    return list(dict.fromkeys(int(i) for i in turns.ravel()))


def _block_features(result: RunViews, blocks: Sequence[BlockData]) -> list[Feature | None]:
    if result.hypothesis is None:
        return [None] * len(blocks)
    features = {block.key: block.feature for block in result.hypothesis.tree.blocks}
    return [features.get(block.key) for block in blocks]


class _Named:
    """A feature's classes by what its value is on a row, in words."""

    def __init__(self, data: Dataset, feature: Feature | None) -> None:
        self.parts = () if feature is None else flatten_feature(feature)
        self.values = []
        for part in self.parts:
            try:
                value = None if part is exact else data.evaluate(part)
            except CausalScrubbingError:
                value = None
            self.values.append((feature_name(part), part is exact, value))
        self.classes = None if not self.parts else data.classes(feature or anything)
        self._found: dict[int, str] = {}

    def value(self, row: int) -> str:
        """The feature on a row, like ``count=3``; all rows of a class have the same."""
        if self.classes is None:
            return ""
        number = int(self.classes.ids[row])
        if number not in self._found:
            self._found[number] = self._value(row)
        return self._found[number]

    def _value(self, row: int) -> str:
        found = []
        for name, is_exact, values in self.values:
            if is_exact:
                found.append(f"row {row}")
            elif values is not None:
                one = values[row]
                text = str(one.tolist() if hasattr(one, "tolist") else one)
                found.append(f"{name}={text if len(text) <= 60 else text[:57] + '...'}")
        return ", ".join(found)

    def examples(self, shelf: Shelf) -> tuple[ClassExample, ...]:
        """The largest classes that have more than one row, with some rows each."""
        if self.classes is None:
            return ()
        found = []
        sizes = self.classes.sizes
        for number in np.argsort(-sizes, kind="stable")[:MOST_CLASSES]:
            if sizes[number] < 2:
                break
            rows = [int(row) for row in np.flatnonzero(self.classes.ids == number)[:EXAMPLES]]
            if not shelf.add(rows):
                break
            places = tuple(shelf.place[row] for row in rows)
            name = self.value(rows[0])
            found.append(ClassExample(name=name, size=int(sizes[number]), rows=places))
        return tuple(found)


def _outputs(result: RunViews, chosen: Sequence[int]) -> list[tuple[str, str]]:
    """Model's and scrubbed output of samples in words: few numbers, or the largest of many."""
    if result.outputs is None:
        return []
    scrubbed, own = result.outputs
    return [(_words(own[k].numpy()), _words(scrubbed[k].numpy())) for k in chosen]


def _words(output: FloatArray) -> str:
    flat = np.asarray(output, dtype=np.float64).reshape(-1)
    if len(flat) <= MOST_OUTPUTS:
        return ", ".join(f"{value:.4g}" for value in flat)
    top = np.argsort(-flat, kind="stable")[:MOST_OUTPUTS]
    return "largest: " + ", ".join(f"[{i}] {flat[i]:.4g}" for i in top)


def searched(data: Dataset | None, rows: Ints) -> list[str]:
    """The reference rows as text to search; none where there is no room for all."""
    if data is None:
        return []
    found, room = [], MOST_SEARCHED
    for row in rows:
        one = shown(data.show(int(row)))
        if one.image:
            return []
        found.append(one.text)
        room -= len(one.text)
        if room < 0:
            return []
    return found


def fields(data: Dataset | None, rows: Ints) -> list[FieldData]:
    """Fields with one number or few values a row, on the reference rows."""
    if data is None:
        return []
    found: list[FieldData] = []
    room = MOST_FIELD_BYTES
    for name in data.field_names:
        array = data[name]
        array = array.cpu().numpy() if hasattr(array, "cpu") else np.asarray(array)
        array = array.reshape(len(array), -1)[rows]
        if array.shape[1] != 1 or len(found) == MOST_FIELDS or room < 4 * len(rows):
            continue
        field = _field(name, array[:, 0])
        if field is not None:
            found.append(field)
            room -= 4 * len(rows)
    return found


def _field(name: str, values: np.ndarray[tuple[int], np.dtype[np.generic]]) -> FieldData | None:
    levels, codes = np.unique(values, return_inverse=True)
    if values.dtype.kind in "fiu" and len(levels) > 12:
        return FieldData(name=name, numbers=values.astype(np.float32))
    if len(levels) > MOST_LEVELS:
        return None
    if values.dtype.kind == "f":
        texts = tuple(f"{value:.6g}" for value in levels)
    else:
        texts = tuple(str(value) for value in levels)
    return FieldData(name=name, codes=codes.reshape(-1).astype(np.int32), levels=texts)
