"""Damage done to saved things: bytes flipped and cut, JSON with entries of other kinds."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Path_ = tuple[Any, ...]

NESTED: list[Any] = []
for _ in range(60):
    NESTED = [NESTED]

MISSING = object()
OTHERS: tuple[Any, ...] = (
    None, True, 3, -1, 10**30, 0.5, 1e308, "text", "", "\x1b[31m", [], {}, [1, 2], {"a": 1},
    NESTED, MISSING,
)  # fmt: skip
"""What an entry is replaced with."""

TEXTS = {
    "nested lists": "[" * 100_000,
    "nested objects": '{"a":' * 50_000,
    "empty": "",
    "no object": "[1, 2]",
    "null": "null",
    "a zero byte": "\x00",
    "not UTF-8": b"\xff\xfe\xfa",
    "an infinite number": '{"format": 1e999}',
    "other keys": '{"format": 1}',
}
"""What a page of JSON is replaced with."""


def places(body: Any, most: int = 3, place: Path_ = ()) -> Iterator[Path_]:
    """Places of all entries; of a list the first ones."""
    if place:
        yield place
    if isinstance(body, dict):
        for key in body:
            yield from places(body[key], most, (*place, key))
    elif isinstance(body, list):
        for i in range(min(len(body), most)):
            yield from places(body[i], most, (*place, i))


def changed(body: Any, place: Path_, other: Any) -> Any:
    """The data with another entry at a place."""
    made = copy.deepcopy(body)
    at = made
    for key in place[:-1]:
        at = at[key]
    if other is MISSING:
        del at[place[-1]]
    else:
        at[place[-1]] = copy.deepcopy(other)
    return made


def variants(body: Any, count: int, seed: int = 0) -> Iterator[tuple[Path_, Any, Any]]:
    """So many changes of a page: place, what is there now, the whole page."""
    rng = random.Random(seed)
    everywhere = list(places(body))
    for number in range(count):
        # Every place in turn, so that few changes reach many places.
        place = everywhere[(number * 37) % len(everywhere)]
        other = rng.choice(OTHERS)
        yield place, other, changed(body, place, other)


def spoil(file: Path, rng: random.Random) -> None:
    """Flip a bit, cut, lengthen, empty or delete a file."""
    content = bytearray(file.read_bytes())
    way = rng.randrange(6)
    if way <= 1 and content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif way == 2:
        del content[rng.randrange(len(content) + 1) :]
    elif way == 3:
        content += b"more"
    elif way == 4:
        content.clear()
    else:
        file.unlink()
        return
    file.write_bytes(content)


def copied(saved: Path, where: Path) -> Path:
    """A fresh copy of a file or folder."""
    if saved.is_file():
        shutil.copyfile(saved, where)
    else:
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(saved, where)
    return where


def write_json(file: Path, body: Any) -> None:
    """Write a page."""
    file.write_text(json.dumps(body))


Use = Callable[[Path], object]
