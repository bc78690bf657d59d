"""Pools in a run: refused where they would bias it, their bias told where it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from causal_scrubbing._data import Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import plural, share
from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE, Hypothesis
from causal_scrubbing._sampling import POOL, PoolSampler
from causal_scrubbing._simulate.untested import tested_blocks
from causal_scrubbing._statistics import BoolArray, FloatArray

MOST_RISE: Final = 0.05
"""How much a claim's self-draw share may rise before a pool is refused."""


def risen(sampler: PoolSampler) -> str | None:
    """The claims whose draws are the row itself much more often in the pools, in words, if any."""
    shares = self_draw_shares(sampler)
    found = {path: one for path, one in shares.items() if one["pool"] - one["data"] > MOST_RISE}
    if not found:
        return None
    listed = "; ".join(
        f"{path}: {share(found_in['pool'])} in the pool, {share(found_in['data'])} in all"
        for path, found_in in found.items()
    )
    return (
        f"hypothesis {sampler.hypothesis.name or 'unnamed'!r}: in pools of {sampler.pools.size} "
        "rows too many draws would be the row itself, which makes the hypothesis look better than "
        f"it is ({listed})."
    )


def check_rise(sampler: PoolSampler, *, force: bool) -> None:
    """Refuse a pool in which draws are the row itself much more often than in the dataset.

    Raises:
        ScrubError: a claim's self-draw share rises by more than 0.05 and `force` is False.
    """
    said = None if force else risen(sampler)
    if said is not None:
        raise ScrubError(f"{said} Take larger pools, coarser features, or force=True.")


def self_draw_shares(sampler: PoolSampler) -> dict[str, dict[str, float]]:
    """Claim path, or key of a draw of unimportant parents -> its share in the pools and in D.

    Tied claims are drawn as one datum and each have its share.
    """
    shares = sampler.self_draw
    keys = {entry.path: entry.draw for entry in sampler.hypothesis.tree.claims}
    keys |= {block.key: block.key for block in sampler.hypothesis.tree.blocks}
    return {path: {"pool": shares[key][0], "data": shares[key][1]} for path, key in keys.items()}


def pool_settings(
    sampler: PoolSampler,
    draws: Mapping[str, Ints],
    *,
    scrubbed: FloatArray,
    model: FloatArray,
    randomized: FloatArray | None,
    baseline: PoolSampler | None,
) -> dict[str, Any]:
    """What a result says of its pools.

    Args:
        sampler: draws from the pools.
        draws: draw key -> row of each sample, and the pool of each.
        scrubbed: the metric's value of each sample, [N]; vectors [N, k] have no bias told.
        model: the model's own, same shape.
        randomized: those of E_randomized, or None.
        baseline: draws of the hypothesis that stands in for E_randomized, or None.

    Returns:
        Size and number of pools; each claim's self-draw share in the pools and in the dataset;
        the agreement figures in the pools, means over them; by how much E_scrubbed and
        E_randomized in such pools differ from those in the dataset, None where not known.
    """
    return {
        "size": sampler.pools.size,
        "pools": len(sampler.pools.rows),
        "self_draw": self_draw_shares(sampler),
        "agreement": {block.key: _figures(sampler, block.key)
                      for block in sampler.hypothesis.tree.blocks},
        "bias": _bias(sampler, free_draw(sampler), draws, scrubbed, model),
        "bias_randomized": None
        if randomized is None
        else _bias(
            baseline or sampler,
            RANDOMIZED if baseline is None else free_draw(baseline),
            draws,
            randomized,
            model,
        ),
    }  # fmt: skip


def _figures(sampler: PoolSampler, key: str) -> dict[str, float]:
    inside = sampler.inside(key)
    return {
        "classes": float(np.mean([one.count for one in inside])),
        "smallest": min(int(one.sizes.min()) for one in inside),
        "one_row": float(np.mean([one.one_row_share for one in inside])),
        "self_draw": sampler.self_draw[key][0],
    }


def free_draw(sampler: PoolSampler) -> str | None:
    """The key of the one draw that can swap rows; None if several can, or means stand for some.

    Where none can, any key is as good: its share is 1 and nothing is shifted.
    """
    tree = sampler.hypothesis.tree
    if tree.ablates:
        return None
    free = [block.key for block in tree.blocks if not sampler.classes[block.key].is_exact]
    return None if len(free) > 1 else (free or [tree.blocks[0].key])[0]


def _bias(
    sampler: PoolSampler,
    key: str | None,
    draws: Mapping[str, Ints],
    values: FloatArray,
    model: FloatArray,
) -> float | None:
    """By how much a mean in the pools differs from that in the dataset, where one draw is free.

    A draw that is the row itself scores what the model scores, another one, on average, the same
    in a pool as in the dataset. So the mean over samples whose reference row is in class c moves
    by (share of c in the dataset - share of c in the pool) times G_c, the mean gap to the model of
    a draw that is another row; G_c is told from the gaps seen, of which a share of 1 - (share in
    the pool) are such draws. Where G_c is alike in all classes and draws are seldom the row itself
    in the dataset, that is (E_model - E_scrubbed) times the expected number of occupied classes
    over the size of a pool. On weighted data this is right to first order: what a draw that is
    another row scores in a pool depends a little on how the pool's weights come out.
    """
    if key is None or values.ndim != 1:
        return None
    rows = draws[REFERENCE].astype(np.int64)
    inside, whole = sampler.chances(key, rows, draws[POOL].astype(np.int64))
    ids = sampler.classes_of(key).ids[rows]
    swaps = np.bincount(ids, weights=1 - inside)
    gaps = np.bincount(ids, weights=values - model)
    if np.array_equal(inside, whole):
        return 0.0
    if not swaps.any():
        return None
    # A class alone in every pool it was seen in shows no swap: the others speak for it.
    mean = gaps.sum() / swaps.sum()
    per_swap = np.divide(gaps, swaps, out=np.full(len(swaps), mean), where=swaps > 0)
    return float(((whole - inside) * per_swap[ids]).mean())


def stuck_in_pools(
    hypothesis: Hypothesis, sampler: PoolSampler, draws: Mapping[str, Ints]
) -> BoolArray:
    """`stuck_samples` with the classes of the pools, which are smaller than the dataset's."""
    pools = draws[POOL].astype(np.int64)
    alone: BoolArray = np.ones(len(pools), dtype=bool)
    for block in tested_blocks(hypothesis, sampler.classes):
        alone &= sampler.alone(block.key, draws[block.of].astype(np.int64), pools)
    return alone


def on_subset(settings: Mapping[str, Any], notes: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """The settings of `pool_settings` and a run's notes without what is about all samples."""
    kept = {name: value for name, value in settings.items() if not name.startswith("bias")}
    old, new = pool_note(settings), pool_note(kept)
    return kept, tuple(new if note == old else note for note in notes)


def pool_note(settings: Mapping[str, Any]) -> str:
    """The settings of `pool_settings` in words."""
    rises = {path: s["pool"] - s["data"] for path, s in settings["self_draw"].items()}
    most = max(rises, key=lambda path: rises[path])
    drawn = settings["self_draw"][most]
    known = {
        "E_scrubbed": settings.get("bias"),
        "E_randomized": settings.get("bias_randomized"),
    }
    told = [f"{name} by {shift:+.3g}" for name, shift in known.items() if shift is not None]
    words = (
        f"drawn from {settings['pools']} {plural(settings['pools'], 'pool')} of {settings['size']} "
        f"{plural(settings['size'], 'row')}: intervals are Student's "
        f"over pools. Draws are the row itself up to {100 * rises[most]:.2f} percentage points "
        f"more often than in the whole dataset ({most}: {share(drawn['data'], 2)} of draws on the "
        f"data, {share(drawn['pool'], 2)} in a pool), which moves means towards the model's"
    )
    if told:
        words += f"; as estimated, {' and '.join(told)}"
    if "bias" not in settings:
        words += "; by how much on this subset is not known"
    elif settings["bias"] is None:
        words += (
            "; by how much for E_scrubbed is not known: a formula holds where one draw is free and "
            "the behaviour is one number"
        )
    return words
