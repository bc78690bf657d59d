"""Pools in a run: refused where they would bias it, their bias told where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._sampling import Pools, PoolSampler

MOST_RISE: Final = 0.05
"""How much a claim's self-draw share may rise before a pool is refused."""


def check_rise(sampler: PoolSampler, *, force: bool) -> None:
    """Refuse a pool in which draws are the row itself much more often than in the dataset.

    Raises:
        ScrubError: a claim's self-draw share rises by more than 0.05 and `force` is False.
    """
    risen = {
        key: (inside, whole)
        for key, (inside, whole) in sampler.self_draw.items()
        if inside - whole > MOST_RISE
    }
    if not risen or force:
        return
    listed = "; ".join(f"{k}: {i:.1%} in the pool, {w:.1%} in all" for k, (i, w) in risen.items())
    raise ScrubError(
        f"hypothesis {sampler.hypothesis.name or 'unnamed'!r}: in pools of "
        f"{len(sampler.pools.rows[0])} rows too many draws would be the row itself, which makes "
        f"the hypothesis look better than it is ({listed}). Take larger pools, coarser features, "
        "or force=True."
    )


def pool_settings(sampler: PoolSampler, model: float, scrubbed: float) -> dict[str, Any]:
    """What a result says of its pools.

    For one leaf claim E_scrubbed in a pool of m rows lies nearer to the model by
    (E_model - E_scrubbed) times the expected number of occupied classes over m, which is the mean
    self-draw share in the pool; in a large dataset the share is near 0. With E_P the mean in the
    pool, (E_model - E_scrubbed) = (E_model - E_P) / (1 - share), so that the shift can be told from
    what was measured. With several claims the largest rise is taken, since the claims' effects on
    the gap add up to it.

    Args:
        sampler: draws from the pools.
        model: E_model as estimated.
        scrubbed: E_scrubbed as estimated, in the pools.
    """
    shares: Mapping[str, tuple[float, float]] = sampler.self_draw
    rise, inside = max(((i - w, i) for i, w in shares.values()), default=(0.0, 0.0))
    bias = rise * (model - scrubbed) / (1 - inside) if inside < 1 else float("nan")
    return {
        "size": len(sampler.pools.rows[0]),
        "pools": len(sampler.pools.rows),
        "self_draw": {key: {"pool": i, "data": w} for key, (i, w) in shares.items()},
        "bias": bias,
    }


def pool_note(settings: Mapping[str, Any], pools: Pools) -> str:
    """The settings of `pool_settings` in words."""
    rises = [s["pool"] - s["data"] for s in settings["self_draw"].values()]
    return (
        f"drawn from {len(pools.rows)} pools of {settings['size']} rows: intervals are Student's "
        f"over pools; draws are the row itself up to {max(rises, default=0.0):.2%} more often than "
        f"in the whole dataset, which suggests that E_scrubbed is {settings['bias']:+.3g} nearer "
        "to the model"
    )
