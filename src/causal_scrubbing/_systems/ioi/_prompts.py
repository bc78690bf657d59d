"""Prompts in which two people meet and one of them gives the other something."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations
from random import Random

import torch

import causal_scrubbing as cs
from causal_scrubbing.gallery import GalleryError

from ._model import LanguageModel

TEMPLATES = (
    "When {a} and {b} went to the {place}, {s} gave a {thing} to",
    "While {a} and {b} sat in the {place}, {s} passed a {thing} to",
    "Soon after {a} and {b} left the {place}, {s} handed a {thing} to",
    "At the {place} {a} talked with {b}, then {s} handed a {thing} to",
    "In the {place}, {a} met {b}, and {s} gave a {thing} to",
    "At the {place} {a} and {b} were alone. {s} gave a {thing} to",
)
"""The first name stands at position 1, 2, 3 or 4, the second at 3, 4, 5 or 6. In each template the
giver is as often the first named (ABA) as the second (ABB)."""

NAMES = ("Mary", "John", "Tom", "James", "Anna", "Paul", "Mark", "Peter", "Sarah", "David")
PEOPLE, PAIRS = 4, 4
"""So many names are used, and so many pairs of them in each template."""
PLACES = ("store", "park", "school", "office", "house", "garden", "station", "hospital")
THINGS = ("drink", "book", "ball", "letter", "ring", "gift", "pen", "key", "map", "box")


def make_data(language_model: LanguageModel, seed: int) -> cs.Dataset:
    """Prompts in pairs that differ in who gives, all of one length in tokens.

    Each template has the same number of prompts with either order and either giver. Fields:
    `tokens`; `receiver` and `giver`, tokens of names; `first`, whether the giver is the first
    named; `template`; `pair`.

    Raises:
        GalleryError: with this tokenizer too few names are one token, or the prompts differ in
            length.
    """
    source = Random(seed)
    people = _words(language_model, NAMES, "names")[:PEOPLE]
    places = _words(language_model, PLACES, "places")
    things = _words(language_model, THINGS, "things")
    couples = list(combinations(people, 2))
    texts: list[str] = []
    fields: dict[str, list[int]] = {
        name: [] for name in ("receiver", "giver", "first", "template", "pair")
    }
    for number, template in enumerate(TEMPLATES):
        for chosen in range(PAIRS):
            couple = couples[(number * PAIRS + chosen) % len(couples)]
            for one, two in permutations(couple):
                place, thing = source.choice(places), source.choice(things)
                pair = len(texts) // 2
                for giver, receiver in ((one, two), (two, one)):
                    texts.append(template.format(a=one, b=two, s=giver, place=place, thing=thing))
                    fields["giver"].append(language_model.token(giver) or 0)
                    fields["receiver"].append(language_model.token(receiver) or 0)
                    fields["first"].append(int(giver == one))
                    fields["template"].append(number)
                    fields["pair"].append(pair)
    rows = [language_model.tokens(text) for text in texts]
    lengths = Counter(map(len, rows))
    if len(lengths) > 1:
        raise GalleryError(
            f"the prompts have {sorted(lengths)} tokens with this model's tokenizer, not one "
            "length; copy the entry and change TEMPLATES."
        )
    made = cs.Dataset(tokens=torch.tensor(rows), text=texts, show=lambda row: str(row["text"]))
    return made.with_fields(**{name: torch.tensor(values) for name, values in fields.items()})


def _words(language_model: LanguageModel, words: tuple[str, ...], what: str) -> list[str]:
    """The words that are one token.

    Raises:
        GalleryError: fewer than four are.
    """
    found = [word for word in words if language_model.token(word) is not None]
    if len(found) < PEOPLE:
        raise GalleryError(
            f"with this model's tokenizer {len(found)} of the {what} {', '.join(words)} are one "
            f"token, and {PEOPLE} are needed; copy the entry and change them."
        )
    return found
