"""Hypotheses that permit the same swaps have one digest, and only they."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import FEATURES, datasets, hypotheses

import causal_scrubbing as cs
from causal_scrubbing._algebra import block_form, same_swaps, swaps_digest


def changed(claim: cs.Claim, rng: np.random.Generator) -> cs.Claim:
    """The claim with a feature or a child changed here and there."""
    children = claim.children
    if children is not None:
        children = tuple(changed(child, rng) for child in children if rng.uniform() < 0.9)
    feature = claim.feature if rng.uniform() < 0.8 else FEATURES[rng.integers(len(FEATURES))]
    return replace(claim, feature=feature, children=children)


@settings(max_examples=150, deadline=None)
@given(h=hypotheses(), data=datasets(), seed=st.integers(0, 2**31))
def test_the_digest_says_what_the_comparison_says(h, data, seed) -> None:
    rng = np.random.default_rng(seed)
    forms = [block_form(h)]
    for _ in range(3):
        try:
            forms.append(block_form(h.with_(root=changed(h.root, rng))))
        except cs.HypothesisError:
            continue
    for one in forms:
        for two in forms:
            assert (swaps_digest(one, data) == swaps_digest(two, data)) == same_swaps(
                one, two, data
            )
