"""Prompts in which two people meet and one of them gives the other something."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

import causal_scrubbing as cs

from .._smollm2 import LanguageModel

TEMPLATES = (
    "When {a} and {b} went to the {place}, {s} gave a {thing} to",
    "While {a} and {b} sat in the {place}, {s} passed a {thing} to",
    "Soon after {a} and {b} left the {place}, {s} handed a {thing} to",
    "At the {place} {a} talked with {b}, then {s} handed a {thing} to",
    "Today {a} saw {b} at the {place}, then {s} gave a {thing} to",
    "In the {place}, {a} met {b}, and {s} gave a {thing} to",
    "At the {place} {a} and {b} were alone. {s} gave a {thing} to",
)
"""Names stand at different positions, and in each the giver is the first or the second named."""

NAMES = ("Mary", "John", "Tom", "James", "Anna", "Paul", "Mark", "Peter", "Sarah", "David")
PLACES = ("store", "park", "school", "office", "house", "garden", "station", "hospital")
THINGS = ("drink", "book", "ball", "letter", "ring", "gift", "pen", "key", "map", "box")


def make_data(language_model: LanguageModel, pairs: int, seed: int) -> cs.Dataset:
    """Pairs of prompts that differ in who gives, all of one length in tokens.

    Fields: `tokens`; `receiver` and `giver`, tokens of names; `first`, whether the giver is the
    first named; `template`, `pair`; `first_name` and `second_name`.
    """
    source = random.Random(seed)
    texts: list[str] = []
    columns: dict[str, list[int]] = {
        name: []
        for name in ("receiver", "giver", "first", "template", "pair", "first_name", "second_name")
    }
    for pair in range(pairs):
        template = pair % len(TEMPLATES)
        one, two = source.sample(NAMES, 2)
        place, thing = source.choice(PLACES), source.choice(THINGS)
        for giver in (one, two):
            texts.append(
                TEMPLATES[template].format(a=one, b=two, s=giver, place=place, thing=thing)
            )
            tokens = {
                "giver": language_model.token(giver),
                "receiver": language_model.token(two if giver == one else one),
                "first_name": language_model.token(one),
                "second_name": language_model.token(two),
            }
            for name, value in tokens.items():
                columns[name].append(value)
            columns["first"].append(int(giver == one))
            columns["template"].append(template)
            columns["pair"].append(pair)
    rows = [language_model.tokenizer(text)["input_ids"] for text in texts]
    check_lengths(rows)
    fields = {name: torch.tensor(values) for name, values in columns.items()}
    return cs.Dataset(tokens=torch.tensor(rows), text=texts).with_fields(**fields)


def check_lengths(rows: Sequence[Sequence[int]]) -> None:
    """All prompts have the same number of tokens.

    Raises:
        DataError: they have not, with this model's tokenizer.
    """
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise cs.DataError(
            f"the prompts have {lengths} tokens with this model's tokenizer, and are to have one "
            "length; copy the entry and change TEMPLATES or NAMES."
        )
