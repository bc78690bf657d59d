"""Strings of parentheses: how they are made, written as tokens, and what one can say of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

import causal_scrubbing as cs

START, PAD, END, OPEN, CLOSE = 0, 1, 2, 3, 4
LONGEST = 40
POSITIONS = LONGEST + 2

Signs = npt.NDArray[np.int8]
"""Strings of one length as an array [strings, length]: +1 is "(", -1 is ")"."""


def to_text(signs: Signs) -> list[str]:
    """Strings of one length as text."""
    return ["".join("(" if sign > 0 else ")" for sign in row) for row in signs]


def tokenize(strings: Sequence[str]) -> torch.Tensor:
    """Token ids [n, 42], int64: start, the string, end, and pads up to the last position."""
    tokens = np.full((len(strings), POSITIONS), PAD, dtype=np.int64)
    tokens[:, 0] = START
    for row, string in enumerate(strings):
        if not 1 <= len(string) <= LONGEST or not set(string) <= {"(", ")"}:
            raise cs.DataError(
                f"string {row} ({string[:50]!r}) is not 1 to {LONGEST} parentheses: the model "
                "reads '(' and ')' only, and no longer strings"
            )
        tokens[row, 1 : len(string) + 1] = [OPEN if c == "(" else CLOSE for c in string]
        tokens[row, len(string) + 1] = END
    return torch.from_numpy(tokens)


def balanced_signs(count: int, length: int, rng: np.random.Generator) -> Signs:
    """Uniformly random balanced strings of an even length.

    A random arrangement of k opens and k + 1 closes has exactly one rotation whose prefix sums
    stay non-negative until its very last sign (the cycle lemma); without that sign it is balanced.
    """
    half = length // 2
    steps = np.tile(np.repeat(np.array([1, -1], np.int8), [half, half + 1]), (count, 1))
    steps = rng.permuted(steps, axis=1)
    lowest = np.argmin(np.cumsum(steps, axis=1, dtype=np.int64), axis=1)
    turned = (np.arange(length)[None, :] + lowest[:, None] + 1) % (length + 1)
    return np.take_along_axis(steps, turned, axis=1)


def _uniform(count: int, length: int, rng: np.random.Generator) -> Signs:
    return rng.choice(np.array([-1, 1], np.int8), size=(count, length))


def _equal_counts(count: int, length: int, rng: np.random.Generator) -> Signs:
    row = np.where(np.arange(length) % 2 == 0, 1, -1).astype(np.int8)
    return rng.permuted(np.tile(row, (count, 1)), axis=1)


def _starts_open_ends_closed(count: int, length: int, rng: np.random.Generator) -> Signs:
    signs = _equal_counts(count, length, rng)
    signs[:, 0] = 1
    signs[:, -1] = -1
    return signs


def _near_balanced(flips: int) -> Callable[[int, int, np.random.Generator], Signs]:
    def make(count: int, length: int, rng: np.random.Generator) -> Signs:
        signs = balanced_signs(count, length - length % 2, rng)
        if length % 2:
            extra = _uniform(count, 1, rng)
            signs = np.concatenate([extra, signs], axis=1)
        for _ in range(flips):
            signs[np.arange(count), rng.integers(length, size=count)] *= -1
        return signs

    return make


def _two_swapped(count: int, length: int, rng: np.random.Generator) -> Signs:
    signs = _near_balanced(0)(count, length, rng)
    rows = np.arange(count)
    one, two = rng.integers(length, size=(2, count))
    signs[rows, one], signs[rows, two] = signs[rows, two], signs[rows, one]
    return signs


def _turned(count: int, length: int, rng: np.random.Generator) -> Signs:
    signs = _near_balanced(0)(count, length, rng)
    turn = (np.arange(length)[None, :] + rng.integers(length, size=count)[:, None]) % length
    return np.take_along_axis(signs, turn, axis=1)


_KINDS: dict[Callable[[int, int, np.random.Generator], Signs], float] = {
    _near_balanced(0): 0.40,
    _uniform: 0.20,
    _near_balanced(1): 0.10,
    _near_balanced(2): 0.10,
    _two_swapped: 0.08,
    _turned: 0.05,
    _equal_counts: 0.04,
    _starts_open_ends_closed: 0.03,
}


def generate(count: int, rng: np.random.Generator, odd_share: float = 0.05) -> list[str]:
    """Random strings up to 40 long, about half of them balanced.

    Lengths are uniform over the even ones, but for a small share of odd ones. Balanced strings,
    uniformly random ones and several kinds of nearly balanced ones are mixed, so that strings
    that fail only the count, only the horizon, or only by a little are common.
    """
    lengths = 2 * rng.integers(1, LONGEST // 2 + 1, size=count)
    lengths -= rng.random(count) < odd_share
    makers = list(_KINDS)
    kinds = rng.choice(len(makers), size=count, p=list(_KINDS.values()))
    strings = np.empty(count, dtype=object)
    for length in np.unique(lengths):
        for kind, make in enumerate(makers):
            rows = np.flatnonzero((lengths == length) & (kinds == kind))
            if len(rows):
                strings[rows] = to_text(make(len(rows), int(length), rng))
    return list(strings)
