"""Features that say what others say already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causal_scrubbing._data import Dataset, exact, flatten_feature
from causal_scrubbing._discover.partial_hypothesis import PartialHypothesis
from causal_scrubbing._discover.scorer import Scorer
from causal_scrubbing._trials import PoolFeature, class_entropy


def without_twins(
    pool: Sequence[PoolFeature], data: Dataset
) -> tuple[list[PoolFeature], dict[str, str]]:
    """Features of different classes, the first of those with the same classes; `exact` stays.

    Args:
        pool: the features.
        data: the dataset.

    Returns:
        Those kept, and the name of each other one with that of the one that says the same.
    """
    first: dict[bytes, str] = {}
    kept, same = [], {}
    for one in pool:
        if flatten_feature(one.feature) == (exact,):
            kept.append(one)
            continue
        ids = data.classes(one.feature).ids
        _, at, number = np.unique(ids, return_index=True, return_inverse=True)
        key = at[number].astype(np.int64).tobytes()  # each row's class by its first row
        if key in first:
            same[one.name] = first[key]
        else:
            first[key] = one.name
            kept.append(one)
    return kept, same


def without_redundant(
    partial: PartialHypothesis, scorer: Scorer
) -> tuple[PartialHypothesis, list[str]]:
    """A claim whose claims carry no feature that their others settle.

    Args:
        partial: the claim.
        scorer: knows the features and the data.

    Returns:
        The claim, and what was left out, in words.
    """
    said: list[str] = []
    children = []
    for one in partial.children or ():
        features = _needed(one.features, scorer, one.node, said)
        children.append(replace(one, features=features))
    others = _needed(partial.others, scorer, "the others", said)
    if not said:
        return partial, said
    return replace(partial.with_children(children), others=others), said


def _needed(
    features: tuple[int, ...], scorer: Scorer, node: str, said: list[str]
) -> tuple[int, ...]:
    """Those of a claim's features that the others do not settle, the coarsest left out first."""
    pool, left = scorer.pool, features
    order = sorted(
        features, key=lambda i: class_entropy(scorer.data.classes(pool.features[i].feature))
    )
    for one in order:
        rest = tuple(i for i in left if i != one)
        if rest and scorer.settles(rest, (one,)):
            said.append(f"{pool.names(rest)} of {node} settles {pool.names((one,))}")
            left = rest
    return left
